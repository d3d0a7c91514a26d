"""The benchmark's ratios as bars."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from .benchmark import Measurement
from .plots import COLOURS, new_figure, plot_style, write_figure

ROW, GAP = 0.24, 1.1  # inches a bar; bars that the space above a group is as high as
BESIDE = {
    "xytext": (5, 0),
    "textcoords": "offset points",
    "va": "center",
    "fontsize": 8,
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.5},  # over the line at 1
}


def plot_ratios(measurements: Sequence[Measurement], path: Path | str, *, title: str) -> None:
    """A bar a case, in groups of one attention and size; a colour a way of computing."""
    names = [_way(one) for one in measurements]
    colours = {way: COLOURS[i % len(COLOURS)] for i, way in enumerate(dict.fromkeys(names))}
    places, headings = [], []
    place = 0.0
    for heading, group in groupby(measurements, key=_group):
        headings.append((place, heading))
        place += GAP
        for _ in group:
            places.append(place)
            place += 1
        place += GAP / 2
    ratios = [one.ratio for one in measurements]
    with plot_style():
        figure, [[axis]] = new_figure(1, 1, (7.5, ROW * place + 1.0))
        axis.barh(places, ratios, height=0.8, color=[colours[name] for name in names])
        axis.axvline(1, color="#191c23", linewidth=1)
        for bar, one in zip(places, measurements, strict=True):
            label = f"{one.ratio:.2f}  ({one.seconds:.3g} s)"
            axis.annotate(label, (one.ratio, bar), **BESIDE)
        for top, heading in headings:
            axis.text(0, top, heading, va="center", weight="bold", fontsize=9)
        axis.set_yticks(places, names)
        axis.set_ylim(place - GAP / 2, -GAP)
        axis.set_xlim(0, 1.25 * max(ratios))
        axis.tick_params(left=False)
        axis.grid(visible=False, axis="y")
        first = measurements[0]
        axis.set_xlabel(f"times as fast as {first.case.attention}, {_way(first)}, of the same size")
        axis.set_title(title, loc="left")
        write_figure(figure, path)


def _way(one: Measurement) -> str:
    return f"{one.case.form}, {one.case.dtype}{one.case.tiling}"


def _group(one: Measurement) -> str:
    return f"{one.case.attention}, {one.case.size}"
