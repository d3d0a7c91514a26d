"""Means over seeds, and when two of them differ."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["better", "worse", "no difference beyond the spread", "unfinished"]


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation over the seeds; no deviation of a single one."""

    mean: float
    deviation: float | None
    seeds: int


def summarise(scores: Mapping[int, float]) -> Summary:
    """Of a variant's scores by seed."""
    values = list(scores.values())
    return Summary(statistics.fmean(values), spread(values), len(values))


def spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Difference:
    """Of two variants' scores, seed by seed, over the seeds that both have.

    `error` is the standard error of the mean difference; `bar` the larger of the two variants'
    standard deviations. Both are None where fewer than two seeds are shared.
    """

    mean: float
    error: float | None
    bar: float | None
    seeds: int

    @property
    def exceeds_the_spread(self) -> bool:
        """More than twice its standard error, and more than either variant scatters."""
        if self.error is None or self.bar is None:
            return False
        return abs(self.mean) > 2 * self.error and abs(self.mean) > self.bar


def difference(scores: Mapping[int, float], against: Mapping[int, float]) -> Difference | None:
    """`scores` less `against`; None where they share no seed."""
    shared = sorted(scores.keys() & against.keys())
    if not shared:
        return None
    each = [scores[seed] - against[seed] for seed in shared]
    deviation = spread(each)
    spreads = [spread([side[seed] for seed in shared]) for side in (scores, against)]
    return Difference(
        statistics.fmean(each),
        None if deviation is None else deviation / math.sqrt(len(each)),
        max((value for value in spreads if value is not None), default=None),
        len(shared),
    )


def judge(
    scores: Mapping[int, float],
    against: Mapping[int, float],
    *,
    seeds: int,
    higher_is_better: bool,
) -> Verdict:
    """In words; nothing is said before both variants have all their `seeds`."""
    if min(len(scores), len(against)) < seeds:
        return "unfinished"
    found = difference(scores, against)
    if found is None or not found.exceeds_the_spread:
        return "no difference beyond the spread"
    return "better" if (found.mean > 0) == higher_is_better else "worse"
