"""Attention maps computed on windows of the training size, as TLC does at test time.

Channel attention sums over the whole picture, but was trained on small crops: on a large picture
the sums mix what training never mixed. Here each window has its own attention map (and GLMHA its
own calibration), while convolutions still see the whole picture; neighbouring windows are blended.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from ..models.modeling_base import ChannelAttentionModel
from .network import Network, reference_form
from .tiling import TilePlan, plan_tiles


def local_statistics(network: Network, *, window: int) -> ChannelAttentionModel:
    """A copy of the network, sharing its weights, whose statistics are of window×window pixels."""
    if not isinstance(network, ChannelAttentionModel):
        raise ValueError("local statistics need the trained model, not an exported one")
    local = reference_form(network)
    blocks = [block for block in local.modules() if isinstance(block, GradientCheckpointingLayer)]
    smallest = 8 * 2 ** (local.config.num_levels - 1)
    if window < smallest:
        raise ValueError(f"the window of local statistics must be at least {smallest}")
    for block, level in zip(blocks, local.config.block_levels, strict=True):
        LocalWindows(block.attention, window=window >> level)
    return local


class LocalWindows:
    """Makes one attention's mixer work window by window.

    A mixer is given flattened pixels: how they lie is seen when the attention is called.
    """

    def __init__(self, attention: Any, *, window: int):
        mixer = attention.mixer
        self.window = window
        self.size = (0, 0)
        self.guide_whole, self.mix_whole = mixer.guide, mixer.forward
        mixer.guide, mixer.forward = self.guide, self.mix
        attention.register_forward_pre_hook(self.see)

    def see(self, attention: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.size = (inputs[0].shape[-2], inputs[0].shape[-1])

    def guide(self, x: Tensor, query: Tensor) -> Tensor:
        guided = torch.zeros_like(x)
        for seen, kept, inside, weights in self.windows():
            window = self.guide_whole(x[(..., *seen)], query[(..., *seen)])
            guided[(..., *kept)] += window[(..., *inside)] * weights.to(x)
        return guided

    def mix(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """B×h×d×L in and out; the attention map is the windows' mean."""
        parts = [part.unflatten(-1, self.size) for part in (query, key, value)]
        mixed = query.new_zeros(*query.shape[:-1], *self.size)
        maps = []
        for seen, kept, inside, weights in self.windows():
            height, width = parts[0][(..., *seen)].shape[-2:]
            window, attention = self.mix_whole(*(part[(..., *seen)].flatten(-2) for part in parts))
            window = window.unflatten(-1, (height, width))
            mixed[(..., *kept)] += window[(..., *inside)] * weights.to(window)
            maps.append(attention)
        return mixed.flatten(-2), torch.stack(maps).mean(0)

    def windows(self) -> Iterator[tuple[tuple, tuple, tuple, Tensor]]:
        """What a window sees, what it keeps, where that lies inside it, and its weights there."""
        plan = plan_tiles(*self.size, tile=self.window, overlap=self.window // 4)
        for row in range(len(plan.rows)):
            for column in range(len(plan.columns)):
                yield _window(plan, row, column)


def _window(plan: TilePlan, row: int, column: int) -> tuple[tuple, tuple, tuple, Tensor]:
    axes = ((plan.rows, row), (plan.columns, column))
    seen = tuple(axis.extent(index) for axis, index in axes)
    kept = tuple(axis.kept(index) for axis, index in axes)
    inside = tuple(
        slice(part.start - whole.start, part.stop - whole.start)
        for part, whole in zip(kept, seen, strict=True)
    )
    return seen, kept, inside, plan.rows.weights(row)[:, None] * plan.columns.weights(column)
