"""The tab that sets two models side by side."""

from typing import Any

import gradio as gr
import pandas as pd

from ..analysis.plots import COLOURS
from . import examples
from .comparing import ENERGY, HEADER, RANK_CROP, compare_models
from .degrading import USUAL, degraded_example
from .models import PICTURE_TASKS, find_shipped, shipped, task_label
from .parts import (
    COMPUTE,
    STOPS,
    go_and_stop,
    let_stop,
    model_input,
    own_truth,
    picture_gallery,
    picture_input,
    plainly,
    result_slider,
    results_folder,
    rows_table,
    shares_of,
    truth_input,
)

RANK_COLUMNS = ["block", "share of the channels (%)", "model"]


@plainly
def compare(
    picture: str,
    first: str,
    second: str,
    truth: str | None,
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> tuple[Any, ...]:
    """Two models on one picture: results, difference and its scale, costs, ranks, Figure 1."""
    with STOPS.watch(request.session_hash, "compare") as stopped:
        done = compare_models(
            picture,
            results_folder(),
            first=first,
            second=second,
            truth=truth,
            progress=shares_of(progress, "Comparing"),
            stopped=stopped,
        )
    return (
        (str(done.first), str(done.second)),
        str(done.difference),
        f"Difference: black is none, the brightest is {done.difference_peak:.0f} of 255 or more.",
        done.rows,
        pd.DataFrame(done.ranks, columns=RANK_COLUMNS),
        str(done.eigenvalues),
    )


@plainly
def take_example(number: int, first: str) -> tuple[str, str]:
    """An example, degraded for the first model's task."""
    rain, blur, noise = USUAL[find_shipped(first, *PICTURE_TASKS).task]
    return degraded_example(number, results_folder(), rain=rain, blur=blur, noise=noise)


def build_compare_tab() -> None:
    models = shipped(*PICTURE_TASKS)
    choices = [(task_label(model), model.name) for model in models]
    names: list[str | None] = [model.name for model in models] or [None]
    same_task: list[str | None] = [
        model.name for model in models[1:] if model.task == models[0].task
    ]
    second = (same_task or names[1:] or names)[0]
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            picture = picture_input(
                label="Picture, up to a megapixel",
                sources=["upload", "clipboard"],
                height=240,
            )
            gallery = picture_gallery(
                examples.pictures(), label="Examples, degraded for the first model's task"
            )
            one = model_input(choices, label="First model", value=names[0])
            other = model_input(choices, label="Second model", value=second)
            go, stop = go_and_stop("Compare", possible=bool(models))
            with gr.Accordion("Truth", open=False):
                truth = truth_input()
        with gr.Column(scale=3, min_width=320):
            slider = result_slider("First | second", height=420)
            table = rows_table(*HEADER)
    with gr.Row(equal_height=True):
        with gr.Column(min_width=300):
            difference = gr.Image(
                label="Difference",
                format="png",
                height=360,
                interactive=False,
                buttons=["download", "fullscreen"],
            )
            scale = gr.Markdown("Difference: none yet.", elem_classes="note")
        ranks = gr.LinePlot(
            None,
            x=RANK_COLUMNS[0],
            y=RANK_COLUMNS[1],
            color=RANK_COLUMNS[2],
            color_map=dict(zip([name for name in names if name], COLOURS * 3, strict=False)),
            color_title=" ",
            elem_classes="plot",
            label=f"Attention rank, block by block: the channels that hold {ENERGY:.0%} of a map",
            buttons=[],
            min_width=300,
        )
    gr.Markdown(
        "The attention maps' eigenvalues, level by level, as in Figure 1 of the GLMHA paper; on "
        f"the middle {RANK_CROP} × {RANK_CROP} pixels.",
        elem_classes="note",
    )
    eigenvalues = gr.Image(
        show_label=False,
        format="png",
        height=520,
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_classes="figure",
    )

    quiet: dict[str, Any] = {"api_visibility": "private"}
    picture.input(own_truth, truth, truth, show_progress="hidden", **quiet)
    gallery.click(take_example, [gallery, one], [picture, truth], show_progress_on=picture, **quiet)
    shown = [slider, difference, scale, table, ranks, eigenvalues]
    running = go.click(
        compare,
        [picture, one, other, truth],
        shown,
        api_name="compare",
        concurrency_id=COMPUTE,
        show_progress_on=slider,
    )
    let_stop(stop, running, "compare", shown)
