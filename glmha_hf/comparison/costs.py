"""What a variant costs, and reductions of keys and values that ranks suggest at a given cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from ..analysis.complexity import Cost, profile
from ..analysis.rank import attention_spectra, level_ranks
from ..models.attention import GuidedLowRankAttention
from ..models.configuration_attention import ChannelAttentionConfig
from ..models.modeling_base import ChannelAttentionModel
from ..registration import model_class_of
from ..training.recipe import Recipe
from ..training.start import build_config

SIDE = 256
ENERGY = 0.99
HIGHEST_REDUCTION = 0.95


def cost_of(config: ChannelAttentionConfig, *, side: int = SIDE) -> Cost:
    """Of one side×side input. A calibration network that α = 0 multiplies away is not counted."""
    counted = profile(config, height=side, width=side).total
    return counted - _unused_calibration(config)


def recipe_cost(recipe: Recipe) -> Cost:
    """Of the model that a recipe trains."""
    return cost_of(cast(ChannelAttentionConfig, build_config(recipe)))


def _unused_calibration(config: ChannelAttentionConfig) -> Cost:
    if config.alpha:
        return Cost()
    with torch.device("meta"):
        network = model_class_of(config)(config)
    parameters = macs = 0
    for mixer in network.modules():
        if isinstance(mixer, GuidedLowRankAttention):
            depthwise = mixer.calibration_depthwise.weight.numel()
            linear = mixer.calibration_linear.weight.numel()
            parameters += depthwise + linear
            macs += depthwise + mixer.heads * linear
    return Cost(parameters, macs, macs)


def reductions_from_ranks(
    model: ChannelAttentionModel,
    inputs: Iterable[Mapping[str, Tensor]],
    config: ChannelAttentionConfig,
) -> list[float]:
    """One `kv_reduction` a level for `config`, which costs as much as it does with a uniform 0.5.

    The share of channels that a level keeps is what holds 99% of the energy in `model`'s maps, all
    levels' shares scaled alike until the multiply-accumulates are those of the uniform reduction.
    """
    shares = [
        1 - level.kv_reductions[ENERGY] for level in level_ranks(attention_spectra(model, inputs))
    ]

    def reductions(scale: float) -> list[float]:
        kept = [min(1.0, max(1 - HIGHEST_REDUCTION, scale * share)) for share in shares]
        return [round(1 - each, 3) for each in kept]

    def macs(kv_reduction: Any) -> int:
        return profile(config.changed(kv_reduction=kv_reduction), height=64, width=64).total.macs

    wanted = macs(0.5)
    low, high = 0.0, 1 / min(shares)
    tried = []
    for _ in range(12):
        scale = (low + high) / 2
        now = macs(reductions(scale))
        tried.append((abs(now - wanted), reductions(scale)))
        low, high = (scale, high) if now < wanted else (low, scale)
    return min(tried)[1]
