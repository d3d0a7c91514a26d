"""The tab that makes cubes, and looks at them."""

from typing import Any

import gradio as gr
import numpy as np
import pandas as pd

from ..analysis.plots import COLOURS
from . import examples
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
    picture_gallery,
    picture_input,
    plainly,
    results_folder,
    shares_of,
)
from .pictures import save_pixels
from .spectral import (
    GAP_TV,
    VIEWS,
    add_place,
    cube_of_picture,
    cube_of_snapshot,
    draw_view,
    enlargement,
    open_cube,
    read_places,
    snapshot_picture,
    spectra_rows,
)

RGB, CASSI = "RGB photograph", "CASSI snapshot"
COLUMNS = ["wavelength (nm)", "reflected light", "pixel"]
COLOUR_MAP = {
    **{f"pixel {number}": colour for number, colour in enumerate(COLOURS, start=1)},
    **{f"pixel {number}, truth": f"{colour}80" for number, colour in enumerate(COLOURS, start=1)},
}


@plainly
def reconstruct(
    picture: str | None,
    kind: str,
    model: str,
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> tuple[Any, ...]:
    """Make a cube: its .npy, its truth's where known, pixels to look at, facts, .npy and .mat."""
    with STOPS.watch(request.session_hash, "reconstruct") as stopped:
        settings: dict[str, Any] = {
            "model": model,
            "progress": shares_of(progress, "Reconstructing"),
            "stopped": stopped,
        }
        if kind == RGB:
            done = cube_of_picture(picture, results_folder(), **settings)
        elif kind == CASSI:
            done = cube_of_snapshot(results_folder(), **settings)
        else:
            raise ValueError(f"the kind is {RGB} or {CASSI}, not {kind!r}")
    truth = str(done.truth) if done.truth else None
    array, matlab = (str(file) for file in done.files)
    return array, truth, done.pixels, done.facts, array, matlab


@plainly
def view(cube: str | None, shown: str, wavelength: float, pixels: str) -> str:
    """A cube as a picture: its colours, false colour, or the band nearest to a wavelength."""
    opened = open_cube(cube)
    low, high = opened.wavelengths[0], opened.wavelengths[-1]
    picture = draw_view(
        opened,
        shown,
        wavelength=float(np.clip(wavelength, low, high)),
        places=read_places(pixels or "", opened),
    )
    return str(save_pixels(picture, results_folder() / "view.png"))


@plainly
def spectra(cube: str | None, truth: str | None, pixels: str) -> pd.DataFrame:
    """The spectra of pixels given as `row, column; row, column`."""
    opened = open_cube(cube)
    known = open_cube(truth) if truth else None
    return pd.DataFrame(
        spectra_rows(opened, read_places(pixels or "", opened), known), columns=COLUMNS
    )


@plainly
def click(cube: str | None, pixels: str, event: gr.SelectData) -> str:
    """The clicked pixel of the cube, which the view may show enlarged."""
    scale = enlargement(open_cube(cube))
    column, row = event.index
    return add_place(pixels or "", int(row) // scale, int(column) // scale)


def take_example() -> str:
    return str(examples.copied(examples.SCENE_PICTURE, results_folder()))


def choose_kind(kind: str) -> tuple[Any, ...]:
    choices = choices_of(kind)
    return (
        gr.update(choices=choices, value=first_of(choices)),
        gr.update(visible=kind == RGB),
        gr.update(visible=kind == CASSI),
    )


def choices_of(kind: str) -> list[tuple[str, str]]:
    if kind == RGB:
        return model_choices("rgb2hsi")
    return [*model_choices("cassi"), ("GAP-TV, which needs no training", GAP_TV)]


def build_spectral_tab() -> None:
    kinds = [kind for kind in (RGB, CASSI) if choices_of(kind)]
    choices = choices_of(kinds[0])
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            kind = gr.Radio(kinds, value=kinds[0], label="From", visible=len(kinds) > 1)
            with gr.Column(visible=kinds[0] == RGB) as from_picture:
                picture = picture_input(
                    label="RGB photograph",
                    sources=["upload", "clipboard"],
                    height=240,
                )
                gallery = picture_gallery([examples.SCENE_PICTURE], label="Example, with its truth")
            with gr.Column(visible=kinds[0] == CASSI) as from_snapshot:
                gr.Image(
                    snapshot_picture(),
                    label="Snapshot: 28 bands on one sensor",
                    height=240,
                    format="png",
                    interactive=False,
                    buttons=[],
                )
                gr.Markdown(
                    "A synthetic scene, coded by a random mask and sheared by a prism, two "
                    "columns a band; its truth is known.",
                    elem_classes="note",
                )
            model = model_input(choices, label="Model", value=first_of(choices))
            go, stop = go_and_stop("Reconstruct", possible=True)
            facts = facts_table("Time", "Cube", "PSNR", "Spectral angle")
            with gr.Row():
                as_npy = gr.DownloadButton(
                    "Download .npy", interactive=False, min_width=120, size="md"
                )
                as_mat = gr.DownloadButton(
                    "Download .mat", interactive=False, min_width=120, size="md"
                )
            cube = gr.File(label="The cube, as .npy", visible=False)
            truth = gr.File(label="Its truth, as .npy", visible=False)
        with gr.Column(scale=3, min_width=320):
            shown = gr.Radio(VIEWS, value=VIEWS[0], label="View")
            wavelength = gr.Slider(400, 700, 550, step=1, label="Band (nm)")
            image = gr.Image(
                label="Click a pixel to see its spectrum",
                format="png",
                height=420,
                interactive=False,
                elem_classes="result",
                buttons=["download", "fullscreen"],
            )
            pixels = gr.Textbox(
                label="Pixels: row, column; row, column",
                placeholder="Click in the picture, or write them here",
                max_lines=1,
            )
            plot = gr.LinePlot(
                None,
                x=COLUMNS[0],
                y=COLUMNS[1],
                color=COLUMNS[2],
                color_map=COLOUR_MAP,
                color_title=" ",
                elem_classes="plot",
                label="Spectra",
                buttons=[],
            )

    quiet: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}
    private: dict[str, Any] = {"api_visibility": "private", **quiet}
    to_view: dict[str, Any] = {
        "fn": view,
        "inputs": [cube, shown, wavelength, pixels],
        "outputs": image,
    }
    to_plot: dict[str, Any] = {"fn": spectra, "inputs": [cube, truth, pixels], "outputs": plot}
    chosen = answered_in_browser({name: choose_kind(name) for name in kinds})
    kind.input(None, kind, [model, from_picture, from_snapshot], js=chosen)
    gallery.click(take_example, None, picture, **private)
    made = [cube, truth, pixels, facts, as_npy, as_mat]
    running = go.click(
        reconstruct,
        [picture, kind, model],
        made,
        api_name="reconstruct",
        concurrency_id=COMPUTE,
        show_progress_on=image,
    )
    running.success(**to_view, api_name="view", **quiet).success(
        **to_plot, api_name="spectra", **quiet
    )
    running.success(
        lambda: [gr.DownloadButton(interactive=True)] * 2, None, [as_npy, as_mat], **private
    )
    let_stop(stop, running, "reconstruct", [*made, image])
    for changed in (shown.input, wavelength.input):
        changed(**to_view, **private)
    for shown_again in (
        image.select(click, [cube, pixels], pixels, **private).success,
        pixels.submit,
    ):
        shown_again(**to_view, **private).success(**to_plot, **private)
