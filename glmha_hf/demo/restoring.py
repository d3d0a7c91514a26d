"""One picture through one model: the result, and what it took."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np

from ..inference.restoration import Restorer
from ..metrics.fidelity import psnr, rgb_to_y
from . import models
from .models import PICTURE_TASKS
from .pictures import Upload, for_screen, open_upload, save_like, shown
from .stopping import StoppedError

# Called with the share that is done, from 0 to 1.
Share = Callable[[float], object]

WHOLE_PIXELS = 1_100_000
"""Larger pictures are cut, so that there is progress to see and Stop works within seconds."""
USUAL_TILE = 512
UNKNOWN = "–"
TILES = ("auto", "256", "512", "768", "none")


@dataclass(frozen=True)
class Restoration:
    before: Path  # as browsers can show it
    after: Path  # PNG
    own_format: Path | None  # the result in the input's format where that is no PNG
    facts: dict[str, str]


def restore_picture(
    path: Path | str | None,
    folder: Path,
    *,
    model: str | None,
    tile: str = "auto",
    truth: Path | str | None = None,
    progress: Share = lambda share: None,
    stopped: Event | None = None,
) -> Restoration:
    """The picture restored in its own depth, colour and alpha; PSNR where the truth is given."""
    chosen = models.find_shipped(model, *PICTURE_TASKS)
    upload = open_upload(path)
    clean = open_truth(truth, upload)
    restored, seconds, tiles = run(upload, chosen.name, tile, progress, stopped)
    after, own_format = save_like(upload, restored, folder)
    height, width = upload.size
    macs = models.cost(chosen.name, height, width).total.macs
    facts = {
        "Time": f"{seconds:.2f} s",
        "Picture": f"{width} × {height}",
        "MACs": f"{macs / 1e9:,.1f} G",
        "Tiles": tiles,
    }
    facts["PSNR"] = UNKNOWN
    if clean is not None:
        before = picture_psnr(for_screen(upload.pixels), clean, task=chosen.task)
        gained = picture_psnr(for_screen(restored), clean, task=chosen.task)
        facts["PSNR"] = f"{in_decibels(before)} → {in_decibels(gained)}"
    return Restoration(shown(upload, folder), after, own_format, facts)


def run(
    upload: Upload, model: str, tile: str, progress: Share, stopped: Event | None
) -> tuple[np.ndarray, float, str]:
    """The restored pixels, the seconds without loading, and how the picture was cut."""
    height, width = upload.size
    restorer = cut_into(models.restorer(model), tile, pixels=height * width)
    done = 0

    def finished(pixels: int) -> None:
        nonlocal done
        if stopped is not None and stopped.is_set():
            raise StoppedError
        done += pixels
        progress(done / (height * width))

    started = time.perf_counter()
    restored = restorer.restore_batch([upload.pixels], progress=finished)[0]
    seconds = time.perf_counter() - started
    plan = restorer.plan(height, width)
    side = max(plan.rows.tile, plan.columns.tile)
    return restored, seconds, "whole" if plan.tiles == 1 else f"{plan.tiles} of {side} × {side}"


def cut_into(restorer: Restorer, tile: str, *, pixels: int) -> Restorer:
    """The restorer with the tile that was asked for."""
    if tile not in TILES:
        raise ValueError(f"the tile is one of {', '.join(TILES)}, not {tile!r}")
    if tile == "none" and pixels > WHOLE_PIXELS:
        raise ValueError("the picture is too large to run whole here: choose a tile")
    if tile == "auto":
        return dataclasses.replace(restorer, tile=USUAL_TILE if pixels > WHOLE_PIXELS else "auto")
    return dataclasses.replace(restorer, tile=None if tile == "none" else int(tile))


def open_truth(path: Path | str | None, upload: Upload) -> np.ndarray | None:
    """The clean picture as it is scored, of the size of the other."""
    if path is None:
        return None
    truth = open_upload(path, what="truth")
    if truth.size != upload.size:
        (H, W), (h, w) = upload.size, truth.size
        raise ValueError(f"the truth is {w} × {h}, the picture {W} × {H}: they must be one size")
    return for_screen(truth.pixels)


def picture_psnr(picture: np.ndarray, truth: np.ndarray, *, task: str) -> float:
    """As the task's papers score: on luma for rain, over RGB otherwise."""
    if task == "derain":
        picture, truth = rgb_to_y(picture), rgb_to_y(truth)
    return float(psnr(picture, truth))


def in_decibels(value: float) -> str:
    return "identical" if math.isinf(value) else f"{value:.2f} dB"
