"""Two models on one picture: results, their difference, what they cost, and their ranks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np

from ..analysis.plots import plot_eigenvalues
from ..analysis.rank import LayerSpectrum, attention_spectra
from ..analysis.sheets import error_map
from ..models.modeling_base import ChannelAttentionModel
from . import models
from .models import PICTURE_TASKS
from .pictures import for_screen, open_upload, save_pixels
from .restoring import UNKNOWN, Share, in_decibels, open_truth, picture_psnr, run

COMPARED_PIXELS = 1_100_000
RANK_CROP = 192
"""The maps are those of the middle of the picture, this many pixels a side."""
ENERGY = 0.95
LEAST_PEAK = 8
HEADER = ("Model", "PSNR", "Time", "Parameters", "MACs")


@dataclass(frozen=True)
class Comparison:
    first: Path
    second: Path
    difference: Path
    difference_peak: float  # 8-bit levels, where the map is brightest
    rows: list[dict[str, str]]  # by the names in HEADER
    ranks: list[tuple[int, float, str]]  # block, share of a head's channels in per cent, model
    eigenvalues: Path


def compare_models(
    path: Path | str | None,
    folder: Path,
    *,
    first: str | None,
    second: str | None,
    truth: Path | str | None = None,
    progress: Share = lambda share: None,
    stopped: Event | None = None,
) -> Comparison:
    """Both models' results, whole, with times after a first small run."""
    chosen = [models.find_shipped(name, *PICTURE_TASKS) for name in (first, second)]
    upload = open_upload(path, max_pixels=COMPARED_PIXELS)
    clean = open_truth(truth, upload)
    results, rows = [], []
    spectra: dict[str, list[LayerSpectrum]] = {}
    for number, model in enumerate(chosen):
        warm_up(model.name)
        restored, seconds, _ = run(upload, model.name, "none", lambda share: None, stopped)
        shown = for_screen(restored)
        results.append(shown)
        cost = models.cost(model.name, *upload.size).total
        score = (
            UNKNOWN if clean is None else in_decibels(picture_psnr(shown, clean, task=model.task))
        )
        values = (
            model.name,
            score,
            f"{1000 * seconds:,.0f} ms",
            f"{cost.parameters:,}",
            f"{cost.macs / 1e9:,.2f} G",
        )
        rows.append(dict(zip(HEADER, values, strict=True)))
        spectra.setdefault(model.name, spectra_of(model.name, upload.pixels))
        progress((number + 1) / (len(chosen) + 1))
    peak = difference_peak(*results)
    difference = error_map(results[0], results[1], peak=peak)
    eigenvalues = folder / "eigenvalues.png"
    plot_eigenvalues(spectra, eigenvalues)
    return Comparison(
        save_pixels(results[0], folder / "first.png"),
        save_pixels(results[1], folder / "second.png"),
        save_pixels(difference, folder / "difference.png"),
        peak,
        rows,
        [
            (each.block + 1, 100 * each.rank_share(ENERGY), name)
            for name, layers in spectra.items()
            for each in layers
        ],
        eigenvalues,
    )


def warm_up(name: str) -> None:
    """A first run allocates and plans: its time says nothing about the model."""
    restorer = models.restorer(name)
    side = 8 * restorer.network.config.size_multiple
    restorer.restore_batch([np.zeros((side, side, 3), np.uint8)])


def spectra_of(name: str, pixels: np.ndarray) -> list[LayerSpectrum]:
    """The attention maps' eigenvalues on the middle of the picture."""
    restorer = models.restorer(name)
    network = restorer.network
    if not isinstance(network, ChannelAttentionModel):
        raise ValueError(f"{name} is an exported model, which has no attention maps to look at")
    top, left = (max(0, (side - RANK_CROP) // 2) for side in pixels.shape[:2])
    middle = pixels[top : top + RANK_CROP, left : left + RANK_CROP]
    return attention_spectra(network, [dict(restorer.processor([middle]))])


def difference_peak(first: np.ndarray, second: np.ndarray) -> float:
    """The scale of the map: what all but the largest half per cent of differences stay below."""
    difference = np.abs(first.astype(np.int16) - second).mean(axis=-1)
    return float(max(LEAST_PEAK, np.percentile(difference, 99.5)))
