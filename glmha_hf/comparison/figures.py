"""Learning curves with their spread, and scores against costs."""

from __future__ import annotations

import statistics
import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..analysis.plots import COLOURS, new_figure, plot_style, write_figure
from ..metrics.names import UNITS
from .results import Row
from .statistics import Summary, spread

SIZE = (4.8, 3.4)
MARKERS = "os^vD"


def plot_curves(
    rows: Sequence[Row], variants: Sequence[str], metric: str, path: Path, *, title: str
) -> None:
    """A line a variant, the mean over its seeds by update; the band is one standard deviation."""
    with plot_style():
        figure, [[axis]] = new_figure(1, 1, SIZE)
        for variant, colour in zip(variants, COLOURS, strict=False):
            scores = defaultdict(list)
            for row in rows:
                if row["variant"] == variant:
                    scores[row["iteration"]].append(row[metric])
            if not scores:
                continue
            places = sorted(scores)
            means = [statistics.fmean(scores[place]) for place in places]
            widths = [spread(scores[place]) or 0.0 for place in places]
            seeds = max(map(len, scores.values()))
            name = f"{variant}, {seeds} seed{'s' if seeds > 1 else ''}"
            axis.plot(places, means, color=colour, linewidth=1.6, marker=".", label=name)
            low, high = zip(
                *((m - w, m + w) for m, w in zip(means, widths, strict=True)), strict=True
            )
            axis.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
        axis.set(title=title, xlabel="updates", ylabel=UNITS[metric])
        axis.legend(fontsize=8)
        write_figure(figure, path)


def plot_costs(
    panels: Mapping[str, Mapping[str, tuple[float, Summary]]], metric: str, path: Path
) -> None:
    """A panel a table: each variant's mean score over its MACs, with its standard deviation."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    with plot_style():
        figure, axes = new_figure(rows, columns, (3.6 * columns, 2.9 * rows))
        for axis in axes.flat[len(panels) :]:
            axis.set_axis_off()
        for axis, (title, points) in zip(axes.flat, panels.items(), strict=False):
            for place, (variant, (macs, summary)) in enumerate(points.items()):
                axis.errorbar(
                    macs / 1e9,
                    summary.mean,
                    yerr=summary.deviation,
                    color=COLOURS[place % len(COLOURS)],
                    fmt=MARKERS[place % len(MARKERS)],
                    markersize=4,
                    capsize=2,
                    label=variant,
                )
            axis.margins(x=0.15)
            axis.set_title(textwrap.fill(title, 40))
            axis.legend(fontsize=6.5)
        for axis in axes[-1]:
            axis.set_xlabel("MACs (G)")
        for row in axes:
            row[0].set_ylabel(UNITS[metric])
        write_figure(figure, path)
