"""The models that ship, as a Markdown table: what for, how large, how good."""

from __future__ import annotations

import math
from typing import Any

from ..analysis.tables import markdown_table
from ..metrics.names import UNITS, format_score
from .zoo import list_models


def zoo_table() -> str:
    """A row a model; its scores are those of its card, by the protocol's first metric."""
    header = ["model", "attention", "parameters", "scores on what no training saw"]
    rows = [
        [
            f"[`{model.name}`](glmha_hf/weights/{model.name}/README.md)",
            model.attention,
            f"{model.parameters:,}",
            "<br>".join(_told(row) for row in model.metrics),
        ]
        for model in list_models()
        if model.ships
    ]
    return markdown_table(header, rows, left=4)


def _told(row: dict[str, Any]) -> str:
    key, value = next(iter(row["means"].items()))
    told = format_score(key, float(value))
    before = float((row.get("input_means") or {}).get(key, "inf"))
    if math.isfinite(before):
        told = f"{format_score(key, before)} → {told}"
    others = ", ".join(
        f"{name} {format_score(key, float(means[key]))}"
        for name, means in row.get("baseline_means", {}).items()
    )
    beside = f" ({others})" if others else ""
    return f"{row['set']}: {UNITS[key]} {told}{beside}"
