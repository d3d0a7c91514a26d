"""How long a group's attentions take, all in turn in one process: ratios to the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import torch

from ..analysis.benchmark import Measurement, benchmark
from ..analysis.benchmark_subjects import RandomWeights
from ..models.configuration_attention import ChannelAttentionConfig
from ..training.start import build_config
from .cells import device_name
from .costs import SIDE
from .plan import Group
from .results import Row, read_rows, write_rows

COLUMNS = ("group", "attention", "form", "dtype", "size", "milliseconds", "ratio", "repeats",
           "device", "torch")  # fmt: skip


def attentions_of(group: Group) -> list[str]:
    """The different attentions that whole networks of the group have, the reference's first."""
    names = [group.recipe_with(each).model["attention"] for each in group.recipe.variants.values()]
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def time_group(
    group: Group, *, repeats: int, device: str, size: int = SIDE, report: Callable[[str], None]
) -> list[Row]:
    """Medians of one size×size input; the ratio is to the reference in the same form and dtype."""
    attentions = attentions_of(group)
    config = cast(ChannelAttentionConfig, build_config(group.recipe_with({})))
    subject = RandomWeights(config, attentions, sizes=((size, size),))
    measured = benchmark(subject, repeats=repeats, device=device, report=report)
    return [_row(group, one, measured, attentions[0], repeats, device) for one in measured]


def _row(
    group: Group,
    one: Measurement,
    measured: Sequence[Measurement],
    reference: str,
    repeats: int,
    device: str,
) -> Row:
    case = one.case
    base = next(
        other
        for other in measured
        if other.case.attention == reference
        and (other.case.form, other.case.dtype) == (case.form, case.dtype)
    )
    return {
        "group": group.name,
        "attention": case.attention,
        "form": case.form,
        "dtype": case.dtype,
        "size": case.width,
        "milliseconds": 1000 * one.seconds,
        "ratio": one.seconds / base.seconds,
        "repeats": repeats,
        "device": device_name(torch.device(device)),
        "torch": torch.__version__,
    }


def store_times(path: Path, rows: Sequence[Row]) -> None:
    """In the place of what was measured for the same groups."""
    groups = {row["group"] for row in rows}
    others = [row for row in read_times(path) if row["group"] not in groups]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, COLUMNS, [*others, *rows])


def read_times(path: Path) -> list[Row]:
    return read_rows(path, key=COLUMNS[:2])
