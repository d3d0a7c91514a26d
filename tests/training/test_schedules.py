"""Rates and batches of the recipes against the papers' own formulas and tables."""

from __future__ import annotations

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

from glmha_hf.training.batches import Plan
from glmha_hf.training.recipe import LearningRateRecipe, Recipe, load_recipe
from glmha_hf.training.schedules import LearningRate
from glmha_hf.training.typed import RecipeError

from .conftest import ROOT

RESTORMER = ["derain", "deblur", "denoise_real", "denoise_colour_blind", "denoise_gray_sigma"]


def recipe_of(name: str) -> Recipe:
    return load_recipe(ROOT / "configs" / f"{name}.yaml")


def rate_of(name: str) -> LearningRate:
    recipe = recipe_of(name)
    return LearningRate(recipe.learning_rate, iterations=recipe.iterations)


@pytest.mark.parametrize("name", RESTORMER)
def test_restormer_is_constant_for_92k_then_cosine_to_1e_6(name: str) -> None:
    rate = rate_of(f"restormer/{name}")
    for iteration in range(0, 300_000, 97):
        expected = 3e-4
        if iteration > 92_000:
            share = (iteration - 92_000) / 208_000
            expected = 1e-6 + 0.5 * (3e-4 - 1e-6) * (1 + math.cos(math.pi * share))
        assert rate(iteration) == pytest.approx(expected, rel=1e-12)
    assert rate(0) == rate(91_999) == rate(92_000) == 3e-4
    assert rate(92_001) < 3e-4
    assert rate(196_000) == pytest.approx((3e-4 + 1e-6) / 2)
    assert rate(300_000) == pytest.approx(1e-6)


@pytest.mark.parametrize("name", ["mst_plus_plus/ntire2022", "mst/ntire2022_l"])
def test_ntire_is_one_cosine_of_300k(name: str) -> None:
    rate = rate_of(name)
    assert rate(0) == 4e-4
    assert rate(150_000) == pytest.approx((4e-4 + 1e-6) / 2)
    assert rate(300_000) == pytest.approx(1e-6)


@pytest.mark.parametrize("size", "sml")
def test_cassi_halves_after_every_50_of_300_epochs(size: str) -> None:
    rate = rate_of(f"mst/cassi_{size}")
    epochs = [iteration // 1000 for iteration in (0, 49_999, 50_000, 149_999, 250_000, 299_999)]
    expected = [4e-4 * 0.5 ** min(epoch // 50, 5) for epoch in epochs]
    got = [rate(iteration) for iteration in (0, 49_999, 50_000, 149_999, 250_000, 299_999)]
    assert got == pytest.approx(expected, rel=1e-12)


def pytorch_rates(scheduler_of, iterations: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=4e-4)
    scheduler = scheduler_of(optimizer)
    rates = []
    for _ in range(iterations):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_the_formulas_equal_pytorch_at_every_iteration() -> None:
    cosine = LearningRate(LearningRateRecipe(name="cosine", peak=4e-4, floor=1e-6), iterations=500)
    expected = pytorch_rates(lambda it: CosineAnnealingLR(it, 500, eta_min=1e-6), 500)
    assert [cosine(t) for t in range(500)] == pytest.approx(expected, rel=1e-9)
    halving = LearningRate(
        LearningRateRecipe(name="halving", peak=4e-4, halve_at=(50, 100, 250)), iterations=300
    )
    expected = pytorch_rates(lambda it: MultiStepLR(it, [50, 100, 250], gamma=0.5), 300)
    assert [halving(t) for t in range(300)] == pytest.approx(expected, rel=1e-12)


def test_warmup_rises_in_equal_steps_to_the_peak() -> None:
    rate = LearningRate(
        LearningRateRecipe(name="constant", peak=1.0, warmup_iterations=4), iterations=10
    )
    assert [rate(t) for t in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_a_constant_part_that_leaves_no_cosine_is_refused() -> None:
    recipe = LearningRateRecipe(name="constant_then_cosine", peak=1, constant_iterations=5)
    with pytest.raises(RecipeError, match="leaves no cosine"):
        LearningRate(recipe, iterations=5)


def test_restormer_patches_grow_and_batches_shrink_as_published() -> None:
    """Eight processes hold 8, 5, 4, 2, 1 and 1 patches each."""
    recipe = recipe_of("restormer/derain")
    changes = [0, 92_000, 156_000, 204_000, 240_000, 276_000]
    for stage, start, patch, each in zip(
        recipe.stages, changes, (128, 160, 192, 256, 320, 384), (8, 5, 4, 2, 1, 1), strict=True
    ):
        for iteration in (start, start + stage.iterations - 1):
            plan = Plan(1000, recipe.stages, start=iteration, rank=7, processes=8)
            first = next(iter(plan))
            assert len(first) == each
            assert {request.patch_size for request in first} == {patch}
            assert next(plan.updates())[0] == iteration
