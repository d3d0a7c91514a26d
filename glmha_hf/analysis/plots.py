"""Curves, by matplotlib: the eigenvalue distributions of Figure 1, and spectra at pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import extra
from ..files import replaced_file
from .spectra import usual_wavelengths

if TYPE_CHECKING:
    from .rank import LayerSpectrum

STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#6e7480",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e8ec",
    "font.size": 9,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "savefig.dpi": 150,
}
COLOURS = ("#0b6e99", "#d9480f", "#2b8a3e", "#862e9c", "#b08900", "#495057")


def new_figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """A figure of so many inches, and its axes row by row."""
    figure = extra("matplotlib.figure").Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def plot_eigenvalues(spectra: Mapping[str, Sequence[LayerSpectrum]], path: Path | str) -> None:
    """A row a model, a panel a level: a thin line a block and their mean, as Figure 1 has it."""
    style = plot_style()
    depths = {name: sorted({s.level for s in each}) for name, each in spectra.items()}
    columns = max(map(len, depths.values()))
    with style:
        figure, axes = new_figure(len(spectra), columns, (2.9 * columns, 2.7 * len(spectra) + 0.3))
        for row, (name, layers) in zip(axes, spectra.items(), strict=True):
            for axis in row[len(depths[name]) :]:
                axis.set_axis_off()
            for axis, level in zip(row, depths[name], strict=False):
                blocks = [layer for layer in layers if layer.level == level]
                bottom = level == depths[name][-1]
                title = f"{name}: bottleneck" if bottom else f"{name}: level {level + 1}"
                _plot_level(axis, blocks, title)
            row[0].set_ylabel("cumulative share of energy")
        write_figure(figure, path)


def _plot_level(axis: Any, blocks: Sequence[LayerSpectrum], title: str) -> None:
    """Against the share of a head's channels, because blocks of one level differ in width."""
    grid = np.linspace(0, 100, 401)
    curves = []
    for block in blocks:
        shares = 100 * np.arange(1, len(block.cumulative) + 1) / block.head_channels
        axis.plot(shares, block.cumulative, color=COLOURS[0], alpha=0.25, linewidth=0.9)
        inside = (grid >= shares[0]) & (grid <= shares[-1])
        curves.append(np.where(inside, np.interp(grid, shares, block.cumulative), np.nan))
    shared = ~np.isnan(curves).any(axis=0)
    mean = np.mean(curves, axis=0)[shared]
    plural = "s" if len(blocks) > 1 else ""
    label = f"mean of {len(blocks)} block{plural}"
    axis.plot(grid[shared], mean, color=COLOURS[0], linewidth=2, label=label)
    axis.axvline(50, color=COLOURS[1], linewidth=1, linestyle="--", label="half of the channels")
    reached = [int(np.argmax(mean >= energy - 1e-12)) for energy in blocks[0].ranks]
    places = grid[shared][reached]
    axis.plot(places, mean[reached], "o", color=COLOURS[0], markersize=4, label="90, 95 and 99%")
    axis.set(title=title, xlabel="eigenvalues, % of a head's channels", xlim=(0, 101))
    axis.set_ylim(min(0.5, float(mean[0]) - 0.05), 1.015)
    axis.legend(loc="lower right", fontsize=7.5, frameon=True, framealpha=1, edgecolor="none")


def plot_spectra(
    cubes: Mapping[str, np.ndarray],
    pixels: Sequence[tuple[int, int]],
    path: Path | str,
    *,
    wavelengths: Sequence[float] | None = None,
) -> None:
    """A panel a pixel (row, column), a line a cube; the first cube is the truth, drawn thick."""
    first = next(iter(cubes.values()))
    for row, column in pixels:
        if not (0 <= row < first.shape[1] and 0 <= column < first.shape[2]):
            size = f"{first.shape[1]}×{first.shape[2]}"
            raise ValueError(f"no pixel ({row}, {column}) in a cube of {size}")
    nanometres = usual_wavelengths(len(first)) if wavelengths is None else wavelengths
    with plot_style():
        figure, axes = new_figure(1, len(pixels), (3.5 * len(pixels), 3.0))
        for number, (axis, (row, column)) in enumerate(zip(axes[0], pixels, strict=True), start=1):
            truth = first[:, row, column]
            for place, (name, cube) in enumerate(cubes.items()):
                look = (
                    {"color": "#191c23", "linewidth": 2.4}
                    if place == 0
                    else {"color": COLOURS[(place - 1) % len(COLOURS)], "linewidth": 1.4}
                )
                spectrum = cube[:, row, column]
                label = name if place == 0 else f"{name} (r = {correlation(spectrum, truth):.4f})"
                axis.plot(nanometres, spectrum, label=label, **look)
            axis.set(title=f"{number}: row {row}, column {column}", xlabel="wavelength (nm)")
            axis.set_ylim(bottom=0)
            axis.legend(fontsize=7.5)
        axes[0][0].set_ylabel("reflectance")
        write_figure(figure, path)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's r of two spectra, as the spectral papers print it; 0 where one is flat."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def plot_style() -> Any:
    return extra("matplotlib").rc_context(STYLE)


def write_figure(figure: Any, path: Path | str) -> None:
    """In the format that the file's name says, complete or not at all."""
    with replaced_file(Path(path)) as unfinished:
        figure.savefig(unfinished, format=Path(path).suffix.lstrip(".") or "png")
