"""The block of MST and MST++, window by window."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import ChannelSelfAttention, GuidedLowRankAttention, full_precision
from .streaming import Window, Workspace, depthwise, linear, normalised, output_maps, windows

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
    attended = workspace.take_spare(features)
    attention = attend(block.attention, features, weights, out=attended)
    restored = features if workspace.owns(features) else torch.empty_like(features)
    feed_forward(block.feed_forward, attended, out=restored)
    workspace.hand_on(restored, spare=attended)
    return restored.permute(0, 3, 1, 2), attention


def attend(layer: "SpectralAttention", x: Tensor, weights: Tensor | None, *, out: Tensor) -> Tensor:
    """Writes x + the attention layer's output, and returns the attention map."""
    mixer = layer.mixer
    if weights is not None:
        weights = weights.permute(0, 2, 3, 1).expand(x.shape[0], -1, -1, -1)
    factors = None
    if isinstance(mixer, GuidedLowRankAttention):
        factors = mixer.guidance_of_pooled(pooled_queries(x, layer.query, mixer.kernel_size))
    attention = attention_map(mixer, x, layer.query.weight, layer.key.weight, factors)
    maps = output_maps(mixer, attention, layer.project_out.weight)
    if factors is not None:
        maps = maps @ layer.value.weight.to(maps.dtype)
    maps = maps.to(x.dtype)

    for image in range(len(x)):
        stream_image(
            layer,
            x[image : image + 1],
            maps[image],
            factors=None if factors is None else factors[image].to(x.dtype),
            weights=None if weights is None else weights[image : image + 1],
            out=out[image : image + 1],
        )
    return attention


def stream_image(
    layer: "SpectralAttention",
    x: Tensor,
    mixing: Tensor,
    *,
    factors: Tensor | None,
    weights: Tensor | None,
    out: Tensor,
) -> None:
    """x + the mixed values + the positional branch, for one image and its mixing matrix."""
    first, second = (one.weight for one in layer.position if isinstance(one, nn.Conv2d))
    for _, window in windows(x, 2 * x.shape[-1]):
        inner, inner_missing = window.with_margin(1)
        outer, outer_missing = inner.with_margin(1)
        source = outer.of(x)
        source = linear(source, layer.value.weight) if factors is None else source * factors
        position = F.gelu(depthwise(F.pad(source, (0, 0, *outer_missing)), first))
        position = depthwise(F.pad(position, (0, 0, *inner_missing)), second)
        values = within(source, outer, window)
        if weights is not None:
            values = values * window.of(weights)
        position += linear(values, mixing, layer.project_out.bias)
        torch.add(window.of(x), position, out=window.of(out))


def within(x: Tensor, larger: Window, window: Window) -> Tensor:
    """The window's part of what was computed for a larger one."""
    top = window.rows.start - larger.rows.start
    left = window.columns.start - larger.columns.start
    height = window.rows.stop - window.rows.start
    width = window.columns.stop - window.columns.start
    return x[:, top : top + height, left : left + width]


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
                largest = linear(window.of(part[images]), query.weight).amax((1, 2))
                target = pooled[images, row, column]
                torch.maximum(target, largest, out=target)
    return pooled.permute(0, 3, 1, 2)


def attention_map(
    mixer: ChannelSelfAttention, x: Tensor, query: Tensor, key: Tensor, factors: Tensor | None
) -> Tensor:
    """The map of queries and keys that never exist: X·Xᵀ gives their products and norms.

    What is added up over windows, and the few products after it, are in float64.
    """
    gram, projections = gram_matrix(mixer, x)
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
    if projections is None:
        return mixer.weigh(scores)
    return mixer.weigh(
        scores,
        (query_weight @ projections / query_norm).to(dtype),
        (key_weight @ projections / key_norm).to(dtype),
    )


def norms(weighted_gram: Tensor, weight: Tensor) -> Tensor:
    squares = (weighted_gram * weight).sum(-1, keepdim=True)
    return squares.clamp_min(0).sqrt().clamp_min(1e-12)


def gram_matrix(mixer: ChannelSelfAttention, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """X·Xᵀ, B×1×C×C, and X on the mixer's directions, B×1×C×count, added up by windows."""
    B, H, W, C = x.shape
    directions = mixer.directions(H * W, x.device)
    gram = torch.zeros(B, 1, C, C, dtype=torch.float64, device=x.device)
    projections = None
    if directions is not None:
        directions = directions.view(H, W, -1)
        projections = gram.new_zeros(B, 1, C, directions.shape[-1])
    for images, window in windows(x, 2 * C):
        rows = full_precision(window.of(x[images])).flatten(1, 2)
        gram[images, 0] += rows.mT @ rows
        if projections is not None and directions is not None:
            part = directions[window.rows, window.columns].flatten(0, 1).to(rows.dtype)
            projections[images, 0] += rows.mT @ part
    return gram, projections


def feed_forward(layer: "SpectralFeedForward", x: Tensor, *, out: Tensor) -> None:
    """Writes x + the feed-forward of x."""
    expand, contract = layer.expand.weight[:, :, 0, 0], layer.contract.weight[:, :, 0, 0]
    for images, window in windows(x, 2 * len(expand)):
        around, missing = window.with_margin(1)
        part = F.pad(normalised(around.of(x[images]), layer.norm), (0, 0, *missing))
        hidden = F.gelu(depthwise(F.gelu(linear(part, expand)), layer.depthwise.weight))
        restored = linear(hidden, contract)
        torch.add(window.of(x[images]), restored, out=window.of(out[images]))
