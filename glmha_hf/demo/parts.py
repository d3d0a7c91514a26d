"""What the tabs share: pictures that are handed over as they came, facts, errors in one line."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.data_classes import ImageData
from gradio.events import Dependency
from gradio.utils import get_upload_folder

from .look import FACTS_CSS, FACTS_TEMPLATE, ROWS_CSS, ROWS_TEMPLATE
from .models import label, shipped
from .restoring import UNKNOWN, Share
from .stopping import StoppedError, Stops

STOPS = Stops()
COMPUTE = "compute"
"""What all heavy work queues for: one piece at a time has both cores."""
AT_ONCE = 1
KEPT_SECONDS = 1800
"""How long uploads and results are kept."""
UNTIL_HEARD = 1.0
"""Seconds until a page knows that stopped work has ended."""
F = TypeVar("F", bound=Callable[..., Any])


def picture_input(**settings: Any) -> gr.Image:
    """An image whose file is handed over untouched: its depth, alpha and format matter here.

    Gradio would open it first, and fail in its own words where it is no picture.
    """
    image = gr.Image(format="png", **settings)
    image.preprocess = _path_of  # type: ignore[method-assign, assignment]
    return image


def _path_of(payload: ImageData | None) -> str | None:
    return None if payload is None else payload.path


def model_input(
    choices: Sequence[tuple[str, str]], *, label: str, value: str | None
) -> gr.Dropdown:
    """A choice of models. Callers may name any that ships, not only those that are offered now."""
    dropdown = gr.Dropdown(choices, value=value, label=label)
    dropdown.preprocess = lambda payload: payload  # type: ignore[method-assign]
    return dropdown


def answered_in_browser(answers: Mapping[str, Sequence[Any]]) -> str:
    """JavaScript that gives each choice what it changes, without asking the server.

    A click that follows at once then finds the page changed. And a component that the server
    changes is made anew, without the `preprocess` that it was given here.
    """
    return f"(choice) => ({json.dumps(answers)})[choice]"


def truth_input() -> gr.Image:
    """Where the clean picture may be given, once the accordion around it is opened."""
    return picture_input(
        label="The clean picture, to score against (optional)", sources=["upload"], height=180
    )


def result_slider(label: str, *, height: int) -> gr.ImageSlider:
    """Two pictures under one divider."""
    return gr.ImageSlider(
        label=label,
        format="png",
        height=height,
        max_height=height,
        elem_classes="result",
        buttons=["fullscreen"],
        interactive=False,
    )


def go_and_stop(label: str, *, possible: bool) -> tuple[gr.Button, gr.Button]:
    """The button that starts the work, and beside it the one that ends it early."""
    with gr.Row():
        go = gr.Button(label, variant="primary", interactive=possible, scale=3)
        stop = gr.Button("Stop", scale=1, min_width=80)
    return go, stop


def picture_gallery(pictures: Sequence[Path], *, label: str) -> gr.Dataset:
    """Examples as small pictures to click; which one was is handed over by its number."""
    return gr.Dataset(
        components=[gr.Image(visible=False, render=False)],
        samples=[[str(path)] for path in pictures],
        type="index",
        label=label,
        samples_per_page=len(pictures),
        elem_classes="examples",
    )


def facts_table(*names: str) -> gr.HTML:
    """Names and values side by side, in a place as high as it will be."""
    return gr.HTML(
        value=dict.fromkeys(names, UNKNOWN),
        html_template=FACTS_TEMPLATE,
        css_template=FACTS_CSS,
        js_on_load=None,
    )


def rows_table(*names: str, rows: int = 2) -> gr.HTML:
    """A row for each of some things that are compared, by the names of its columns."""
    header = "".join(f"<th>{name}</th>" for name in names)
    return gr.HTML(
        value=[dict.fromkeys(names, UNKNOWN)] * rows,
        html_template=ROWS_TEMPLATE.format(header=header),
        css_template=ROWS_CSS,
        js_on_load=None,
        apply_default_css=False,
    )


def results_folder() -> Path:
    """A folder of its own for one answer; those that have been kept long enough go."""
    root = _results()
    for folder in root.iterdir():
        with contextlib.suppress(OSError):  # another call may be deleting it, too
            if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=root))


@functools.cache
def _results() -> Path:
    """Where gradio takes files from without copying them; it goes with the process."""
    uploads = Path(get_upload_folder())
    uploads.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="results-", dir=uploads))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


def plainly(function: F) -> F:
    """Bad input becomes one line on the page; anything else stays an error of ours, in the log."""

    @functools.wraps(function)
    def told(*arguments: Any, **settings: Any) -> Any:
        try:
            return function(*arguments, **settings)
        except StoppedError:
            raise gr.Error("Stopped.", visible=False, print_exception=False) from None
        except MemoryError:
            line = "there is not enough memory for this: choose a smaller tile or picture"
            raise gr.Error(line, print_exception=False) from None
        except (ValueError, OSError) as error:
            line = " ".join(str(error).split())
            raise gr.Error(line, title="That did not work", print_exception=False) from None

    return told  # type: ignore[return-value]


def shares_of(progress: gr.Progress, text: str) -> Share:
    """Gradio's bar as what the functions call with the share that is done."""
    return lambda share: progress(min(1.0, share), desc=text)


def let_stop(button: gr.Button, running: Dependency, work: str, outputs: list[Any]) -> None:
    """The button ends what runs, or waits to, and leaves what the outputs show."""

    def stop(request: gr.Request) -> list[Any]:
        STOPS.stop(request.session_hash, work)
        gr.Info("Stopped.", duration=3)
        time.sleep(UNTIL_HEARD)  # of two ends the page shows the later one, and the work's is bad
        return [gr.skip()] * len(outputs)

    button.click(stop, None, outputs, cancels=[running], api_visibility="private")


def model_choices(*tasks: str) -> list[tuple[str, str]]:
    return [(label(model), model.name) for model in shipped(*tasks)]


def own_truth(truth: str | None) -> Any:
    """What a new picture leaves as the truth: a file of the caller's, but no example's."""
    is_ours = truth is not None and Path(truth).is_relative_to(_results())
    return None if is_ours else gr.skip()


def first_of(choices: Sequence[tuple[str, str]]) -> str | None:
    return choices[0][1] if choices else None
