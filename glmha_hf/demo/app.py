"""The page as a whole, and how it is served."""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Callable
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr
from gradio.route_utils import delete_files_created_by_app

from ..cpu import keep_pages
from ..hub.zoo import ZOO
from . import examples
from .compare_tab import build_compare_tab
from .look import CSS, theme
from .models import shipped
from .parts import AT_ONCE, COMPUTE, KEPT_SECONDS, STOPS
from .pictures import MAX_FILE_SIZE, MAX_PIXELS, megapixels
from .restore_tab import build_restore_tab
from .spectral_tab import build_spectral_tab

MOST_WAITING = 32
LIGHT_WORK_AT_ONCE = 4
SWEEP_SECONDS = 300
"""How often uploads are looked through for old ones; on leaving, all are deleted."""

TITLE = "GLMHA: clean pictures, and spectra"
INTRODUCTION = f"""# {TITLE}
Small transformers remove rain, blur and noise, or read spectra out of colours. Everything runs
on this machine, on its CPU; pictures of up to {megapixels(MAX_PIXELS)} megapixels are taken, and
deleted within the hour."""
NOTHING_SHIPS = """**No model has its weights here yet.** Train one (`accelerate launch
training/train.py …`) or convert one (`glmha convert`), and put it into
`glmha_hf/weights/` under its name in the zoo."""
ABOUT = """GLMHA is low-rank channel attention that the picture itself guides (Ilyas, Akhtar,
Suter and Gilani); Restormer is by Zamir et al., MST and MST++ by Cai et al. The rain of the
examples is simulated drop by drop and was not trained on. Photographs: Sander Klootwijk, Bolly,
Aitzol Berasategi (CC BY-SA 4.0, CC BY 4.0), Clemens Engelhardt (CC0); scaled."""

TABS: dict[str, Callable[[], None]] = {
    "Restore": build_restore_tab,
    "Spectral": build_spectral_tab,
    "Compare": build_compare_tab,
}


def list_shipped() -> list[dict[str, str]]:
    """The models that can be named in the other calls: name, task, attention, description."""
    return [
        {
            "name": model.name,
            "task": model.task,
            "attention": model.attention,
            "description": model.description,
        }
        for model in shipped(*dict.fromkeys(model.task for model in ZOO.values()))
    ]


def build_app() -> gr.Blocks:
    """The page, ready to be launched."""
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(SWEEP_SECONDS, KEPT_SECONDS)
    ) as app:
        gr.Markdown(INTRODUCTION, elem_id="title")
        if not list_shipped():
            gr.Markdown(NOTHING_SHIPS)
        for name, build in TABS.items():
            with gr.Tab(name):
                build()
        gr.Markdown(ABOUT, elem_classes="note")
        gr.api(list_shipped, api_name="models")
        app.unload(_leave)
    for function in app.fns.values():
        if function.concurrency_id == COMPUTE:
            function.concurrency_limit = AT_ONCE
    return app.queue(max_size=MOST_WAITING, default_concurrency_limit=LIGHT_WORK_AT_ONCE)


def _leave(request: gr.Request) -> None:
    """Nobody waits for a closed page's work."""
    STOPS.stop(request.session_hash)


def launch(
    *, host: str | None = None, port: int | None = None, **settings: Any
) -> tuple[Any, str, str]:
    """Serves the page; on a Space, where the Space says. Hands back what gradio's launch does."""
    # A stopped process leaves as an interrupted one does: its files deleted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    keep_pages()
    app = build_app()
    # Gradio's own shutdown gives up where a browser still holds its connection.
    atexit.register(delete_files_created_by_app, app, None)
    return app.launch(
        server_name=host,
        server_port=port,
        max_file_size=MAX_FILE_SIZE,
        allowed_paths=[str(examples.FOLDER)],
        theme=theme(),
        css=CSS,
        footer_links=["api", "settings"],
        share=False,
        ssr_mode=False,
        **settings,
    )
