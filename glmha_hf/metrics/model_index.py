"""Scores as the Hub's model index has them."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .names import TASK_OF_PROTOCOL, UNITS

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


def index_entries(
    protocol: str, name: str, settings: Mapping[str, Any], means: Mapping[str, float]
) -> "list[EvalResult]":
    """The mean scores on the test set `name`, for `ModelCardData(eval_results=…)`."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="image-to-image",
            task_name=TASK_OF_PROTOCOL.get(protocol, protocol),
            dataset_type=slug(name),
            dataset_name=name,
            dataset_args=dict(settings) or None,
            metric_type=key,
            metric_name=f"{UNITS[key]}, protocol {protocol}",
            metric_value=round(value, 6),
        )
        for key, value in means.items()
        if math.isfinite(value)
    ]


def slug(name: str) -> str:
    kept = "".join(letter if letter.isalnum() else "-" for letter in name.lower())
    return "-".join(part for part in kept.split("-") if part)
