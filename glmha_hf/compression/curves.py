"""What it does to a network's output to leave a block fewer keys, rank by rank."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ..inference.network import reference_form
from ..models.attention import ChannelSelfAttention
from ..models.modeling_base import ChannelAttentionModel
from .blocks import Inputs, blocks_of
from .keys import Head, KeyOrder, heads_of, order_keys, reduced_maps


@dataclass(frozen=True)
class BlockCurve:
    """`losses[r-1]` is the squared change of the network's output, a value, with r keys a head."""

    block: int
    level: int
    losses: tuple[float, ...]

    @property
    def head_channels(self) -> int:
        return len(self.losses)


def measure_curves(
    teacher: ChannelAttentionModel, inputs: Inputs, *, report: Callable[[str], None]
) -> list[BlockCurve]:
    """Each block's curve on some pictures.

    The shape of a curve is the error of the block's own output, in closed form. Its height is
    measured: the network runs once with this block alone cut to half of its keys.
    """
    network = reference_form(teacher)
    blocks = blocks_of(network)
    found: dict[int, list[tuple[Head, KeyOrder]]] = {}

    def look(number: int) -> Callable:
        def hook(block, arguments, keywords) -> None:
            x, *context = arguments
            heads = heads_of(block, x, tuple(each.expand(len(x), -1, -1, -1) for each in context))
            found[number] = [(head, order_keys(head)) for head in heads]

        return hook

    hooks = [
        block.register_forward_pre_hook(look(number), with_kwargs=True)
        for number, block in enumerate(blocks)
    ]
    with torch.no_grad():
        whole = network(**inputs).reconstruction
    for hook in hooks:
        hook.remove()

    curves = []
    for number, block in enumerate(blocks):
        report(f"how much block {number + 1} of {len(blocks)} matters")
        heads = found[number]
        errors = [sum(order.errors[r] for _, order in heads) for r in range(len(heads[0][1].keys))]
        half = max(1, len(errors) // 2)
        with torch.no_grad(), _cut(block.attention.mixer, heads, half):
            change = float((network(**inputs).reconstruction - whole).square().mean())
        height = change / errors[half - 1] if errors[half - 1] > 0 else 0.0
        level = network.config.block_levels[number]
        curves.append(BlockCurve(number, level, tuple(height * error for error in errors)))
    return curves


@contextmanager
def _cut(
    mixer: ChannelSelfAttention, heads: list[tuple[Head, KeyOrder]], rank: int
) -> Iterator[None]:
    """The mixer's maps replaced by the best ones over so many keys, as maps over all values."""
    usual = mixer.attention
    kept = [order.kept(rank) for _, order in heads]
    mixing = [head.fit(each)[1] for (head, _), each in zip(heads, kept, strict=True)]

    def attention(query: Tensor, key: Tensor) -> Tensor:
        maps = usual(query, key)
        cut = [
            reduced_maps(maps[:, head].double(), each) @ mixed
            for head, (each, mixed) in enumerate(zip(kept, mixing, strict=True))
        ]
        return torch.stack(cut, dim=1).to(maps.dtype)

    mixer.attention = attention  # type: ignore[method-assign]
    try:
        yield
    finally:
        del mixer.attention  # the class's own is seen again
