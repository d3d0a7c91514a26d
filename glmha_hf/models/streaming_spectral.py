"""The block of MST and MST++, window by window."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import (
    ChannelSelfAttention,
    GuidedLowRankAttention,
    full_precision,
    without_autocast,
)
from .passes import Results, by_windows
from .streaming import (
    Window,
    Workspace,
    depthwise,
    linear,
    normalised,
    output_maps,
    through_own_maps,
    windows,
    with_zeros,
    zeros_around,
)

if TYPE_CHECKING:
    from .spectral import SpectralAttention, SpectralBlock, SpectralFeedForward


def spectral_block(
    block: "SpectralBlock", x: Tensor, weights: Tensor | None = None, *, workspace: Workspace
) -> tuple[Tensor, Tensor]:
    """What the block computes, B×C×H×W in and out, and its attention map.

    `weights` are the mask's for the values. x is overwritten if it is what the
    workspace's last block returned.
    """
    features = x.permute(0, 2, 3, 1).contiguous()
    attended, attention = attend(
        block.attention, features, weights, into=workspace.take_spare(features)
    )
    restored = feed_forward(
        block.feed_forward,
        attended,
        into=features if workspace.owns(features) else torch.empty_like(features),
    )
    workspace.hand_on(restored, spare=attended)
    return restored.permute(0, 3, 1, 2), attention


def attend(
    layer: "SpectralAttention", x: Tensor, weights: Tensor | None, *, into: Tensor
) -> tuple[Tensor, Tensor]:
    """x + the attention layer's output, and the attention map."""
    mixer = layer.mixer
    if weights is not None:
        weights = weights.permute(0, 2, 3, 1).expand(x.shape[0], -1, -1, -1)
    factors = None
    if isinstance(mixer, GuidedLowRankAttention):
        factors = mixer.of_picture("guidance", x.shape[0], lambda: guidance(mixer, x, layer.query))
    attention = mixer.of_picture(
        "attention",
        x.shape[0],
        lambda: attention_map(mixer, x, layer.query.weight, layer.key.weight, factors),
    )
    maps = output_maps(mixer, attention, layer.project_out.weight)
    if factors is not None:
        with without_autocast(x.device):
            maps = maps @ layer.value.weight.to(maps.dtype)
    first, second = (one.weight for one in layer.position if isinstance(one, nn.Conv2d))

    def mixed_and_placed(
        images: slice, window: Window, x: Tensor, weights: Tensor | None
    ) -> Results:
        """The mixed values + the positional branch, of the values or the guided features."""
        inner, missing = window.with_margin(1)
        inner_padding, inner_missing = zeros_around(missing)
        outer, missing = inner.with_margin(1)
        outer_padding, outer_missing = zeros_around(missing)
        if factors is None:
            source = linear(x, layer.value.weight)
        else:
            source = x * factors[images, None, None].to(x.dtype)
        position = depthwise(with_zeros(source, outer_missing), first, None, outer_padding)
        position = with_zeros(F.gelu(position), inner_missing)
        position = depthwise(position, second, None, inner_padding)
        values = within(source, outer, window)
        if weights is not None:
            values = values * weights
        return [position + through_own_maps(values, maps[images], layer.project_out.bias)], []

    (attended,), _ = by_windows(
        mixed_and_placed,
        x,
        weights,
        margins=(2, 0),
        channels=2 * x.shape[-1],
        residual=True,
        into=[into],
    )
    return attended, attention


def within(x: Tensor, larger: Window, window: Window) -> Tensor:
    """The window's part of what was computed for a larger one."""
    top = window.rows.start - larger.rows.start
    left = window.columns.start - larger.columns.start
    height = window.rows.stop - window.rows.start
    width = window.columns.stop - window.columns.start
    return x[:, top : top + height, left : left + width]


def guidance(mixer: GuidedLowRankAttention, x: Tensor, query: nn.Linear) -> Tensor:
    """What X is multiplied with, B×C; whole queries exist only where gradients are wanted."""
    if torch.is_grad_enabled():
        return mixer.guidance(linear(x, query.weight).permute(0, 3, 1, 2))
    return mixer.guidance_of_pooled(pooled_queries(x, query, mixer.kernel_size))


def pooled_queries(x: Tensor, query: nn.Linear, size: int) -> Tensor:
    """The adaptive max-pool of the queries to size×size, B×C×size×size, without whole queries."""
    B, H, W, C = x.shape
    pooled = x.new_full((B, size, size, C), -torch.inf)
    for row in range(size):
        rows = slice(row * H // size, -(-(row + 1) * H // size))
        for column in range(size):
            columns = slice(column * W // size, -(-(column + 1) * W // size))
            part = x[:, rows, columns]
            for images, window in windows(part, 2 * C):
                queries = linear(window.of(part[images]), query.weight)
                largest = queries.amax(1).amax(1)  # many times as fast as both axes at once
                target = pooled[images, row, column]
                torch.maximum(target, largest, out=target)
    return pooled.permute(0, 3, 1, 2)


def attention_map(
    mixer: ChannelSelfAttention, x: Tensor, query: Tensor, key: Tensor, factors: Tensor | None
) -> Tensor:
    """The map of queries and keys that never exist: X·Xᵀ gives their products and norms.

    What is added up over windows, and the few products after it, are in float64.
    """
    gram, *projections = gram_matrix(mixer, x)
    with without_autocast(x.device):
        heads = mixer.heads
        query_weight = query.double().unflatten(0, (heads, -1)).expand(len(x), -1, -1, -1)
        key_weight = key.double().unflatten(0, (heads, -1)).expand(len(x), -1, -1, -1)
        if mixer.key_projection is not None:
            key_weight = mixer.key_projection.double() @ key_weight
        if factors is not None:
            key_weight = key_weight * factors[:, None, None].double()
        query_gram, key_gram = query_weight @ gram, key_weight @ gram
        query_norm = norms(query_gram, query_weight)
        key_norm = norms(key_gram, key_weight)
        dtype = full_precision(x[:0]).dtype
        scores = (query_gram @ key_weight.mT / query_norm / key_norm.mT).to(dtype)
        projected = (
            (weight @ each / norm).to(dtype)
            for each in projections
            for weight, norm in ((query_weight, query_norm), (key_weight, key_norm))
        )
        return mixer.weigh(scores, *projected)


def norms(weighted_gram: Tensor, weight: Tensor) -> Tensor:
    squares = (weighted_gram * weight).sum(-1, keepdim=True)
    return squares.clamp_min(1e-24).sqrt()


def gram_matrix(mixer: ChannelSelfAttention, x: Tensor) -> list[Tensor]:
    """X·Xᵀ, B×1×C×C, and X on the mixer's directions if it has any, B×1×C×count, in float64."""
    H, W = x.shape[1:3]
    directions = mixer.directions(H * W, x.device)
    directions = None if directions is None else directions.view(H, W, -1)

    def products(images: slice, window: Window, x: Tensor) -> Results:
        with without_autocast(x.device):
            rows = full_precision(x).flatten(1, 2)
            sums = [rows.mT @ rows]
            if directions is not None:
                part = directions[window.rows, window.columns].flatten(0, 1)
                sums.append(rows.mT @ part.to(rows.dtype))
            return [], [each[:, None].double() for each in sums]

    _, sums = by_windows(products, x, margins=(0,), channels=2 * x.shape[-1])
    return sums


def feed_forward(layer: "SpectralFeedForward", x: Tensor, *, into: Tensor) -> Tensor:
    """x + the feed-forward of x."""
    norm, kernel = layer.norm, layer.depthwise.weight
    expand, contract = layer.expand.weight[:, :, 0, 0], layer.contract.weight[:, :, 0, 0]

    def expanded(images: slice, window: Window, x: Tensor) -> Results:
        padding, missing = zeros_around(window.with_margin(1)[1])
        x = with_zeros(normalised(x, norm.weight, norm.bias), missing)
        hidden = F.gelu(depthwise(F.gelu(linear(x, expand)), kernel, None, padding))
        return [linear(hidden, contract)], []

    (result,), _ = by_windows(
        expanded, x, margins=(1,), channels=2 * len(expand), residual=True, into=[into]
    )
    return result
