"""Budgets are met exactly, at the least loss, or refused with the nearest that can be."""

import itertools

import pytest

from glmha_hf import RestormerConfig, profile
from glmha_hf.compression.blocks import blocks_of
from glmha_hf.compression.budget import (
    SIDE,
    Plan,
    Prices,
    head_channels,
    plan_budget,
    uniform_plan,
)
from glmha_hf.compression.compress import Settings
from glmha_hf.compression.curves import BlockCurve
from glmha_hf.models.configuration_attention import AttentionSettings
from glmha_hf.registration import model_class_of
from tests.models.small import SMALL_CONFIGS

from .conftest import FORMS


def curves_of(config, seed: int = 0) -> list[BlockCurve]:
    """Falling losses of uneven heights, zero with all keys."""
    heights = [1 + (7 * block + seed) % 5 for block in range(len(config.block_levels))]
    return [
        BlockCurve(block, level, tuple(height * ((d - r) / d) ** 2 for r in range(1, d + 1)))
        for block, (level, d, height) in enumerate(
            zip(config.block_levels, head_channels(config), heights, strict=True)
        )
    ]


def cost_of(config, plan: Plan, measure: str) -> int:
    planned = profile(plan.apply(config, alpha=0.6), height=SIDE, width=SIDE)
    return getattr(planned.total, measure)


def changes(plan: Plan, levels, widths) -> list[tuple[int, int]]:
    """The blocks that become GLMHA, each with its rank."""
    return [
        (block, AttentionSettings(kv_reduction=reduction).rank(d))
        for block, (reduction, level, d) in enumerate(
            zip(plan.kv_reduction, levels, widths, strict=True)
        )
        if plan.attention[level] == "glmha"
    ]


def price_of(prices: Prices, changed) -> int:
    return prices.total + sum(
        prices.glmha(block, rank) - prices.csa[block] for block, rank in changed
    )


def every_plan(config, grain: str):
    """All plans: each level CSA, or GLMHA with any reductions."""
    levels, widths = config.block_levels, head_channels(config)
    choices = []
    for level in range(config.num_levels):
        blocks = [block for block, each in enumerate(levels) if each == level]
        widest = max(widths[block] for block in blocks)
        if grain == "level":
            ways = [[1 - k / widest] * len(blocks) for k in range(1, widest)]
        else:
            each = [[1 - k / widths[b] for k in range(1, widths[b] + 1)] for b in blocks]
            ways = list(itertools.product(*each))
        choices.append([("csa", [0.0] * len(blocks)), *(("glmha", list(way)) for way in ways)])
    for picks in itertools.product(*choices):
        reductions = [iter(way) for _, way in picks]
        yield Plan(
            tuple(name for name, _ in picks), tuple(next(reductions[level]) for level in levels)
        )


@pytest.mark.parametrize("grain", ["level", "block"])
@pytest.mark.parametrize("measure", ["macs", "parameters"])
def test_no_other_plan_within_the_budget_loses_less(grain, measure) -> None:
    config = RestormerConfig(dim=4, num_blocks=(1, 1), num_refinement_blocks=0, num_heads=(1, 2))
    curves = curves_of(config)
    prices = Prices.of(config, measure)
    levels, widths = config.block_levels, head_channels(config)

    def judged(plan: Plan) -> tuple[int, float]:
        changed = changes(plan, levels, widths)
        loss = sum(curves[block].losses[rank - 1] for block, rank in changed)
        return price_of(prices, changed), loss

    plans = [judged(plan) for plan in every_plan(config, grain)]
    least = min(cost for cost, _ in plans) / prices.total
    for share in (least + 1e-6, (least + 1) / 2, 0.999):
        found = plan_budget(config, curves, share=share, measure=measure, grain=grain)
        cost, loss = judged(found)
        assert cost <= share * prices.total
        assert loss == pytest.approx(found.loss)
        assert loss == pytest.approx(
            min(lost for spent, lost in plans if spent <= share * prices.total)
        )


@pytest.mark.parametrize("form", FORMS)
def test_prices_are_the_profile_s(form) -> None:
    config = SMALL_CONFIGS[form](attention="csa")
    found = plan_budget(config, curves_of(config), share=0.985, measure="macs", grain="block")
    prices = Prices.of(config, "macs")
    counted = cost_of(config, found, "macs")
    assert counted == price_of(prices, changes(found, config.block_levels, head_channels(config)))
    assert 0.9 * prices.total < counted <= 0.985 * prices.total


@pytest.mark.parametrize("form", FORMS)
def test_a_reduction_for_each_block_is_followed_exactly(form) -> None:
    config = SMALL_CONFIGS[form](attention="csa")
    widths = head_channels(config)
    ranks = [1 + block % d for block, d in enumerate(widths)]
    plan = uniform_plan(config, [1 - r / d for r, d in zip(ranks, widths, strict=True)])
    planned = plan.apply(config, alpha=0.6)
    network = model_class_of(planned)(planned)
    kept = [
        block.attention.mixer.kv_channels // block.attention.heads for block in blocks_of(network)
    ]
    assert kept == ranks
    prices = Prices.of(config, "parameters")
    assert network.num_parameters() == price_of(prices, list(enumerate(ranks)))


def test_what_cannot_be_had_is_refused_with_the_nearest() -> None:
    config = SMALL_CONFIGS["restormer"](attention="csa")
    with pytest.raises(
        ValueError, match=r"0\.1 of the macs cannot be had .* least is 0\.\d+"
    ) as told:
        plan_budget(config, curves_of(config), share=0.1, measure="macs", grain="block")
    whole = Plan(("csa",) * config.num_levels, (0.0,) * len(config.block_levels))
    nearest = float(str(told.value).rpartition("least is ")[2].split()[0])
    found = plan_budget(config, curves_of(config), share=nearest, measure="macs", grain="block")
    share = cost_of(config, found, "macs") / cost_of(config, whole, "macs")
    assert nearest - 0.001 <= share <= nearest


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5, -1.0, float("nan")])
def test_a_share_is_within_zero_and_one(share) -> None:
    for measure in ("macs", "parameters"):
        with pytest.raises(ValueError, match=f"a share of the model's {measure} within 0 and 1"):
            Settings(**{measure: share})


def test_a_plan_is_written_in_as_few_numbers_as_say_it() -> None:
    config = SMALL_CONFIGS["mst"](attention="csa")
    one = Plan(("glmha",) * 3, (0.5,) * 5).apply(config, alpha=0.3)
    assert (one.attention, one.kv_reduction, one.alpha) == ("glmha", 0.5, 0.3)
    level = Plan(("csa", "glmha", "glmha"), (0.0, 0.5, 0.25, 0.5, 0.0)).apply(config, alpha=0.6)
    assert (level.attention, level.kv_reduction) == (["csa", "glmha", "glmha"], [0.0, 0.5, 0.25])
    block = Plan(("glmha",) * 3, (0.1, 0.5, 0.25, 0.5, 0.0)).apply(config, alpha=0.6)
    assert block.kv_reduction == [0.1, 0.5, 0.25, 0.5, 0.0]
