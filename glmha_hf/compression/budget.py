"""Ranks that lose least at a cost: an exact search over what each block or level may keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from ..analysis.complexity import profile
from ..models.configuration_attention import AttentionSettings, ChannelAttentionConfig
from ..registration import model_class_of
from .blocks import blocks_of
from .curves import BlockCurve

Measure = Literal["macs", "parameters"]
Grain = Literal["level", "block"]
SIDE = 256  # of the input whose MACs are counted
MOST_STATES = 4096  # beyond so many, states that differ by less than this part of the cost are one


@dataclass(frozen=True)
class Plan:
    """Each level's attention and each block's reduction."""

    attention: tuple[str, ...]
    kv_reduction: tuple[float, ...]
    loss: float = 0.0

    def apply(self, config: ChannelAttentionConfig, *, alpha: float) -> ChannelAttentionConfig:
        """The configuration of the model that is planned, in as few numbers as say it."""
        names, reductions = list(self.attention), list(self.kv_reduction)
        by_level = {
            level: {
                r for r, each in zip(reductions, config.block_levels, strict=True) if each == level
            }
            for level in range(config.num_levels)
        }
        if all(len(each) == 1 for each in by_level.values()):
            reductions = [min(by_level[level]) for level in range(config.num_levels)]
        return config.changed(
            attention=names[0] if len(set(names)) == 1 else names,
            kv_reduction=reductions[0] if len(set(reductions)) == 1 else reductions,
            alpha=alpha,
        )


def uniform_plan(config: ChannelAttentionConfig, reduction: float | Sequence[float]) -> Plan:
    """GLMHA everywhere, with one reduction, one for each level or one for each block."""
    given = reduction if isinstance(reduction, (int, float)) else list(reduction)
    settings = config.changed(attention="glmha", kv_reduction=given).block_settings()
    return Plan(("glmha",) * config.num_levels, tuple(each.kv_reduction for each in settings))


def plan_budget(
    config: ChannelAttentionConfig,
    curves: Sequence[BlockCurve],
    *,
    share: float,
    measure: Measure,
    grain: Grain,
) -> Plan:
    """The plan that loses least with at most this share of the model's MACs or parameters.

    A level of which nothing is cut stays CSA, because GLMHA would only add its calibration there.
    """
    prices = Prices.of(config, measure)
    fronts = [
        _level_front(level, [curve for curve in curves if curve.level == level], prices, grain)
        for level in range(config.num_levels)
    ]
    whole = Front.start(prices.total - sum(prices.csa))
    for front in fronts:
        whole = whole.joined(front)
    limit = int(share * prices.total)
    within = np.flatnonzero(whole.cost <= limit)
    if not len(within):
        least = np.ceil(1000 * whole.cost.min() / prices.total) / 1000
        raise ValueError(
            f"{share:g} of the {measure} cannot be had by cutting keys and values; the least is "
            f"{least:g}"
        )
    chosen = within[np.argmin(whole.loss[within])]
    levels = whole.picks[chosen]
    reductions = {block: r for level in levels for block, r in level.reductions}
    return Plan(
        tuple(level.attention for level in levels),
        tuple(reductions[curve.block] for curve in curves),
        float(whole.loss[chosen]),
    )


@dataclass(frozen=True)
class Prices:
    """What each block's attention costs: as CSA, and as GLMHA of rank 1 and for every rank more."""

    total: int
    csa: list[int]
    least: list[int]
    step: list[int]

    @classmethod
    def of(cls, config: ChannelAttentionConfig, measure: Measure) -> Prices:
        """By the counters of the profile; costs are affine in the rank."""
        now = profile(config, height=SIDE, width=SIDE)
        low, high = (
            profile(uniform_plan(config, each).apply(config, alpha=0.0), height=SIDE, width=SIDE)
            for each in (1 - 1e-6, 0.0)
        )
        csa, least, most = (
            [getattr(block.attention_cost, measure) for block in each.blocks]
            for each in (now, low, high)
        )
        widths = head_channels(config)
        step = [(b - a) // max(1, d - 1) for a, b, d in zip(least, most, widths, strict=True)]
        return cls(getattr(now.total, measure), csa, least, step)

    def glmha(self, block: int, rank: int) -> int:
        return self.least[block] + (rank - 1) * self.step[block]


@dataclass(frozen=True)
class LevelPick:
    """What a level becomes: its attention, and the reduction of each of its blocks."""

    attention: str
    reductions: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Front:
    """Costs, losses and choices of which none is better than another in both."""

    cost: np.ndarray
    loss: np.ndarray
    picks: list = field(default_factory=list)

    @classmethod
    def start(cls, cost: int) -> Front:
        return cls(np.array([cost]), np.array([0.0]), [()])

    @classmethod
    def best(cls, cost: np.ndarray, loss: np.ndarray, pick: Callable[[int], Any]) -> Front:
        order = np.lexsort((loss, cost))
        lowest = np.minimum.accumulate(loss[order])
        order = order[np.concatenate([[True], lowest[1:] < lowest[:-1]])]
        if len(order) > MOST_STATES:
            span = np.ptp(cost[order]) / MOST_STATES
            _, last = np.unique((cost[order] - cost[order[0]]) // span, return_index=True)
            order = order[last]
        return cls(cost[order], loss[order], [pick(int(place)) for place in order])

    def joined(self, other: Front) -> Front:
        """Every choice of one with every choice of the other."""
        cost = (self.cost[:, None] + other.cost).ravel()
        loss = (self.loss[:, None] + other.loss).ravel()

        def both(place: int) -> tuple:
            first, second = divmod(place, len(other.picks))
            return (*self.picks[first], other.picks[second])

        return Front.best(cost, loss, both)


def _level_front(level: int, curves: Sequence[BlockCurve], prices: Prices, grain: Grain) -> Front:
    """What a level may become, CSA as it is among it."""
    if grain == "block":
        front = Front.start(0)
        for curve in curves:
            front = front.joined(_block_front(curve, prices))
        options = list(zip(front.cost, front.loss, front.picks, strict=True))
    else:
        widest = max(curve.head_channels for curve in curves)
        options = [_level_option(curves, 1 - keys / widest, prices) for keys in range(1, widest)]
    as_it_is = sum(prices.csa[curve.block] for curve in curves)
    costs = np.array([as_it_is, *(cost for cost, _, _ in options)])
    losses = np.array([0.0, *(loss for _, loss, _ in options)])
    picks = [
        LevelPick("csa", tuple((curve.block, 0.0) for curve in curves)),
        *(LevelPick("glmha", tuple(pick)) for _, _, pick in options),
    ]
    return Front.best(costs, losses, picks.__getitem__)


def _block_front(curve: BlockCurve, prices: Prices) -> Front:
    ranks = range(1, curve.head_channels + 1)
    return Front.best(
        np.array([prices.glmha(curve.block, rank) for rank in ranks]),
        np.array([curve.losses[rank - 1] for rank in ranks]),
        lambda place: (curve.block, 1 - ranks[place] / curve.head_channels),
    )


def _level_option(
    curves: Sequence[BlockCurve], reduction: float, prices: Prices
) -> tuple[int, float, list[tuple[int, float]]]:
    cost, loss = 0, 0.0
    for curve in curves:
        rank = AttentionSettings(kv_reduction=reduction).rank(curve.head_channels)
        cost += prices.glmha(curve.block, rank)
        loss += curve.losses[rank - 1]
    return cost, loss, [(curve.block, reduction) for curve in curves]


def head_channels(config: ChannelAttentionConfig) -> list[int]:
    """Channels of a head in each block."""
    with torch.device("meta"):
        network = model_class_of(config)(config)
    return [block.attention.mixer.head_channels for block in blocks_of(network)]
