"""Parameters and multiply-accumulates, counted by running the published operations on no data."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers.modeling_layers import GradientCheckpointingLayer

from ..models.attention import ChannelSelfAttention
from ..models.configuration_attention import ChannelAttentionConfig
from ..models.modeling_base import ChannelAttentionModel
from ..registration import model_class_of


@dataclass(frozen=True)
class Cost:
    """`macs` counts every multiply-accumulate; `conv_linear_macs` leaves out the products of
    queries, keys and values (and hashes and random features), as the papers' counters do."""

    parameters: int = 0
    macs: int = 0
    conv_linear_macs: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.parameters + other.parameters,
            self.macs + other.macs,
            self.conv_linear_macs + other.conv_linear_macs,
        )

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(
            self.parameters - other.parameters,
            self.macs - other.macs,
            self.conv_linear_macs - other.conv_linear_macs,
        )


@dataclass(frozen=True)
class LevelCost:
    """The blocks of one resolution, encoder's and decoder's together; or just one block."""

    level: int
    attention: str
    blocks: int
    attention_cost: Cost
    feed_forward_cost: Cost

    def __add__(self, other: "LevelCost") -> "LevelCost":
        return LevelCost(
            self.level,
            self.attention,
            self.blocks + other.blocks,
            self.attention_cost + other.attention_cost,
            self.feed_forward_cost + other.feed_forward_cost,
        )


@dataclass(frozen=True)
class Profile:
    """`blocks` are in the order in which they run; levels are counted from one."""

    height: int
    width: int
    total: Cost
    blocks: list[LevelCost] = field(default_factory=list)

    @property
    def levels(self) -> list[LevelCost]:
        """The blocks of each resolution together."""
        levels: dict[int, LevelCost] = {}
        for block in self.blocks:
            known = levels.get(block.level)
            levels[block.level] = block if known is None else known + block
        return [levels[level] for level in sorted(levels)]

    @property
    def outside_blocks(self) -> Cost:
        """Embedding, norms, resampling, merging and output."""
        inside = [block.attention_cost + block.feed_forward_cost for block in self.blocks]
        return self.total - sum(inside, Cost())


def profile(
    model: ChannelAttentionModel | ChannelAttentionConfig, *, height: int = 256, width: int = 256
) -> Profile:
    """What one height×width input costs, in total and level by level."""
    config = copy.deepcopy(model.config if isinstance(model, ChannelAttentionModel) else model)
    config.fused = False
    with torch.device("meta"):
        network = model_class_of(config)(config).eval()
        inputs = network.example_inputs(height, width)
    flops = _flops_of(network, inputs)
    root = type(network).__name__
    products = {
        name: _product_flops(name, mixer, flops, root)
        for name, mixer in network.named_modules()
        if isinstance(mixer, ChannelSelfAttention)
    }

    def cost(name: str, module: nn.Module) -> Cost:
        macs = _flops(flops, root, name) // 2
        inside = sum(count for mixer, count in products.items() if mixer.startswith(name))
        parameters = sum(parameter.numel() for parameter in module.parameters())
        return Cost(parameters, macs, macs - inside // 2)

    return Profile(height, width, cost("", network), _block_costs(network, cost))


def count_macs(network: ChannelAttentionModel, inputs: Mapping[str, torch.Tensor]) -> int:
    """Of one call as it is made, whatever the form and whatever is spared."""
    return _flops(_flops_of(network, inputs), "", "") // 2


def _flops_of(network: ChannelAttentionModel, inputs: Mapping[str, torch.Tensor]) -> Mapping:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(**inputs)
    return counter.get_flop_counts()


def _block_costs(network: ChannelAttentionModel, cost) -> list[LevelCost]:
    blocks = [
        (name, block)
        for name, block in network.named_modules()
        if isinstance(block, GradientCheckpointingLayer)
    ]
    settings = network.config.block_settings()
    return [
        LevelCost(
            level + 1,
            attention.name,
            1,
            cost(f"{name}.attention", block.attention),
            cost(f"{name}.feed_forward", block.feed_forward),
        )
        for (name, block), level, attention in zip(
            blocks, network.config.block_levels, settings, strict=True
        )
    ]


def _flops(flops: Mapping[str, Mapping], root: str, name: str) -> int:
    return sum(flops.get(f"{root}.{name}" if name else "Global", {}).values())


def _product_flops(name: str, mixer: nn.Module, flops: Mapping[str, Mapping], root: str) -> int:
    """All of a mixer's flops but those of its convolutions and linear layers."""
    layers = sum(_flops(flops, root, f"{name}.{child}") for child, _ in mixer.named_children())
    return _flops(flops, root, name) - layers
