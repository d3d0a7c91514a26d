from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest

from glmha_hf.training.batches import Plan, share_of
from glmha_hf.training.blending import Blend
from glmha_hf.training.recipe import Stage, load_recipe
from glmha_hf.training.typed import RecipeError

ROOT = Path(__file__).parents[2]
STAGES = [Stage(iterations=3, patch=16, batch=6), Stage(iterations=4, patch=32, batch=5)]


def updates(plan: Plan) -> list[list]:
    """The requests of each update, pieces put together."""
    pieces = iter(plan)
    return [
        [request for _ in share.pieces for request in next(pieces)] for _, share in plan.updates()
    ]


def merged(parts: Iterable[list[list]]) -> list[list]:
    return [list(chain(*update)) for update in zip(*parts, strict=True)]


@pytest.mark.parametrize("mixup", [0.0, 0.7])
@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_processes_and_pieces_share_the_same_patches(processes: int, mixup: float) -> None:
    whole = updates(Plan(7, STAGES, seed=3, mixup=mixup))
    parts = [
        updates(Plan(7, STAGES, seed=3, mixup=mixup, rank=rank, processes=processes, largest=8))
        for rank in range(processes)
    ]
    assert merged(parts) == whole


@pytest.mark.parametrize("start", [1, 3, 5, 7])
def test_a_plan_goes_on_where_it_was_left(start: int) -> None:
    whole = updates(Plan(7, STAGES, seed=3, mixup=0.5))
    assert updates(Plan(7, STAGES, seed=3, mixup=0.5, start=start)) == whole[start:]


def test_every_epoch_shows_every_picture_once() -> None:
    stages = [Stage(iterations=14, patch=8, batch=3)]
    requests = [request for batch in Plan(7, stages) for request in batch]
    for epoch in range(6):
        numbers = [request.number for request in requests if request.epoch == epoch]
        assert sorted(numbers) == list(range(7))


def test_blends_pair_the_batch_with_itself() -> None:
    batch = next(iter(Plan(20, [Stage(iterations=1, patch=8, batch=6)], mixup=1.0)))
    assert all(isinstance(item, Blend) for item in batch)
    assert {item.request for item in batch} == {item.partner for item in batch}
    assert len({item.share for item in batch}) == 1


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("largest", [None, 2, 3])
def test_weights_sum_to_one_over_processes(processes: int, largest: int | None) -> None:
    shares = [
        share_of(8, rank=rank, processes=processes, largest=largest) for rank in range(processes)
    ]
    assert sum(sum(share.weights) for share in shares) == pytest.approx(1)
    assert len({len(share.pieces) for share in shares}) == 1
    assert all(len(piece) <= (largest or 8) for share in shares for piece in share.pieces)


def test_larger_patches_go_fewer_at_a_time() -> None:
    recipe = load_recipe(ROOT / "configs" / "restormer" / "derain.yaml")
    plan = Plan(100, recipe.stages, largest=recipe.run.largest_batch)
    most = [max(map(len, plan.shares[stage].pieces)) for stage in recipe.stages]
    assert most == [8, 5, 4, 2, 1, 1]  # what each of the paper's eight GPUs held


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(RecipeError, match="cannot be shared by 9 processes"):
        share_of(8, processes=9)
    with pytest.raises(RecipeError, match="cannot cut into as many pieces"):
        share_of(3, processes=2, largest=1)
