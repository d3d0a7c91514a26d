"""Made-up scores with known answers."""

from __future__ import annotations

import math

import pytest

from glmha_hf.comparison.statistics import Summary, difference, judge, summarise


def by_seed(*scores: float) -> dict[int, float]:
    return dict(enumerate(scores))


def test_a_summary_has_the_sample_deviation() -> None:
    assert summarise(by_seed(1, 2, 3)) == Summary(2, 1, 3)
    assert summarise(by_seed(5)) == Summary(5, None, 1)


def test_a_difference_is_paired_over_the_common_seeds() -> None:
    found = difference({0: 2.0, 1: 4.0, 5: 100.0}, {0: 1.0, 1: 1.0, 7: 3.0})
    assert found is not None
    assert (found.mean, found.seeds) == (2, 2)
    assert found.error == pytest.approx(math.sqrt(2) / math.sqrt(2))  # of 1 and 3
    assert found.bar == pytest.approx(math.sqrt(2))  # of 2 and 4
    assert difference(by_seed(1), {3: 1.0}) is None


def test_one_seed_is_no_difference() -> None:
    found = difference(by_seed(10), by_seed(1))
    assert found is not None
    assert (found.mean, found.error, found.exceeds_the_spread) == (9, None, False)


@pytest.mark.parametrize(
    ("scores", "against", "expected"),
    [
        # Far beyond both spreads.
        ((30.0, 30.1, 30.2), (29.0, 29.1, 29.2), "better"),
        ((29.0, 29.1, 29.2), (30.0, 30.1, 30.2), "worse"),
        # Always a little better, by less than the seeds scatter.
        ((30.01, 30.51, 31.01), (30.0, 30.5, 31.0), "no difference beyond the spread"),
        # A mean of 1.0 with a standard error of 0.58: beyond the scatter of either, not of both.
        ((30.0, 30.1, 30.2), (30.0, 29.1, 28.2), "no difference beyond the spread"),
        ((30.0,) * 3, (30.0,) * 3, "no difference beyond the spread"),
        ((30.0, 30.1), (29.0, 29.1, 29.2), "unfinished"),
        ((30.0, 30.1, 30.2), (), "unfinished"),
    ],
)
def test_verdicts(scores: tuple, against: tuple, expected: str) -> None:
    sides = by_seed(*scores), by_seed(*against)
    assert judge(*sides, seeds=3, higher_is_better=True) == expected
    turned = {"better": "worse", "worse": "better"}.get(expected, expected)
    assert judge(*sides, seeds=3, higher_is_better=False) == turned
