"""The tab that restores one picture."""

from pathlib import Path
from typing import Any

import gradio as gr

from . import examples
from .degrading import MAX_BLUR, MAX_NOISE, USUAL, degrade, degraded_example
from .models import PICTURE_TASKS, shipped
from .parts import (
    COMPUTE,
    STOPS,
    answered_in_browser,
    facts_table,
    first_of,
    go_and_stop,
    let_stop,
    model_choices,
    model_input,
    own_truth,
    picture_gallery,
    picture_input,
    plainly,
    result_slider,
    results_folder,
    shares_of,
    truth_input,
)
from .restoring import TILES, restore_picture

OWN_FORMAT = "Download in its own format"


@plainly
def restore(
    picture: str,
    model: str,
    tile: str,
    truth: str | None,
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> tuple[Any, ...]:
    """Restore one picture: before and after, facts, and the result as PNG and in its own format."""
    with STOPS.watch(request.session_hash, "restore") as stopped:
        done = restore_picture(
            picture,
            results_folder(),
            model=model,
            tile=tile,
            truth=truth,
            progress=shares_of(progress, "Restoring"),
            stopped=stopped,
        )
    own = str(done.own_format) if done.own_format else None
    return (str(done.before), str(done.after)), done.facts, str(done.after), own


def offer(own: str | None) -> tuple[gr.DownloadButton, gr.DownloadButton]:
    """The buttons, once there is something to download."""
    label = f"Download {Path(own).suffix[1:].upper()}" if own else OWN_FORMAT
    return gr.DownloadButton(interactive=True), gr.DownloadButton(label, interactive=bool(own))


@plainly
def degrade_picture(
    picture: str | None,
    truth: str | None,
    rain: float | None,
    blur: float | None,
    noise: float | None,
    seed: float | None,
) -> tuple[str, str]:
    """Put rain, blur and noise on a clean picture: the degraded picture, and the clean one."""
    clean = truth or picture
    folder = results_folder()
    amounts = {"rain": rain or 0, "blur": blur or 0, "noise": noise or 0}
    path = degrade(clean, folder, **amounts, seed=int(seed or 0))
    return str(path), str(clean)


@plainly
def take_example(number: int, rain: float, blur: float, noise: float) -> tuple[str, str]:
    return degraded_example(number, results_folder(), rain=rain, blur=blur, noise=noise)


def choose_task(task: str) -> tuple[Any, ...]:
    """The task's models, and the sliders where its examples have them."""
    choices = model_choices(task)
    return gr.update(choices=choices, value=first_of(choices)), *USUAL[task]


def build_restore_tab() -> None:
    tasks = [task for task in PICTURE_TASKS if shipped(task)]
    first = tasks[0] if tasks else next(iter(PICTURE_TASKS))
    choices = model_choices(first)
    usual = USUAL[first]
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            picture = picture_input(
                label="Your picture",
                sources=["upload", "clipboard", "webcam"],
                height=280,
                placeholder="Drop a picture here, paste one, or take one of the examples",
            )
            gallery = picture_gallery(
                examples.pictures(), label="Examples, degraded for the task when taken"
            )
            task = gr.Radio(
                [(PICTURE_TASKS[name], name) for name in tasks],
                value=first if tasks else None,
                label="What is in the way?",
                visible=len(tasks) > 0,
            )
            model = model_input(choices, label="Model", value=first_of(choices))
            go, stop = go_and_stop("Restore", possible=bool(tasks))
            with gr.Accordion("Degrade a clean picture", open=False):
                rain = gr.Slider(0, 100, usual[0], step=1, label="Rain (%)")
                blur = gr.Slider(0, MAX_BLUR, usual[1], step=1, label="Motion blur (pixels)")
                noise = gr.Slider(0, MAX_NOISE, usual[2], step=1, label="Noise (σ, of 255)")
                seed = gr.Number(0, label="Seed", precision=0, minimum=0)
                spoil = gr.Button("Degrade")
            with gr.Accordion("Truth and tiles", open=False):
                truth = truth_input()
                tile = gr.Dropdown(
                    list(TILES),
                    value=TILES[0],
                    label="Tile",
                    info="Pixels a side. auto: whole up to about a megapixel, then 512.",
                )
        with gr.Column(scale=3, min_width=320):
            slider = result_slider("Before | after", height=520)
            facts = facts_table("Time", "Picture", "MACs", "Tiles", "PSNR")
            with gr.Row():
                as_png = gr.DownloadButton(
                    "Download PNG", interactive=False, min_width=140, size="md"
                )
                as_own = gr.DownloadButton(OWN_FORMAT, interactive=False, min_width=140, size="md")

    sliders = [rain, blur, noise]
    chosen = answered_in_browser({name: choose_task(name) for name in tasks})
    task.input(None, task, [model, *sliders], js=chosen)
    picture.input(own_truth, truth, truth, api_visibility="private", show_progress="hidden")
    gallery.click(
        take_example,
        [gallery, *sliders],
        [picture, truth],
        api_visibility="private",
        show_progress_on=picture,
    )
    spoil.click(
        degrade_picture,
        [picture, truth, *sliders, seed],
        [picture, truth],
        api_name="degrade",
        show_progress_on=picture,
    )
    shown = [slider, facts, as_png, as_own]
    running = go.click(
        restore,
        [picture, model, tile, truth],
        shown,
        api_name="restore",
        concurrency_id=COMPUTE,
        show_progress_on=slider,
    )
    running.success(
        offer, as_own, [as_png, as_own], api_visibility="private", show_progress="hidden"
    )
    let_stop(stop, running, "restore", shown)
