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
    Workspace,
    depthwise,
    linear,
    normalised,
    output_maps,
    through_own_maps,
)
from .windows import Maxima, Window, within

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
        block.attention, features, weights, into=workspace.take("spare", features)
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
        factors = mixer.of_picture(
            "guidance",
            len(x),
            lambda: mixer.guidance_of_pooled(pooled_queries(x, layer.query, mixer.kernel_size)),
        )
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
        inner, inner_zeros = window.with_margin(1)
        outer, outer_zeros = inner.with_margin(1)
        if factors is None:
            source = linear(x, layer.value.weight)
        else:
            source = x * factors[images, None, None].to(x.dtype)
        position = F.gelu(depthwise(outer_zeros.beside(source), first, None, outer_zeros))
        position = depthwise(inner_zeros.beside(position), second, None, inner_zeros)
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


def pooled_queries(x: Tensor, query: nn.Linear, size: int) -> Tensor:
    """The adaptive max-pool of the queries to size×size, B×C×size×size, without whole queries."""
    maxima = Maxima(x, x.shape[-1], size)

    def taken_in(images: slice, window: Window, x: Tensor) -> Results:
        maxima.update(images, window, linear(x, query.weight))
        return [], []

    by_windows(taken_in, x, margins=(0,), channels=2 * x.shape[-1])
    return maxima.pooled()


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
        zeros = window.with_margin(1)[1]
        x = zeros.beside(normalised(x, norm.weight, norm.bias))
        hidden = F.gelu(depthwise(F.gelu(linear(x, expand)), kernel, None, zeros))
        return [linear(hidden, contract)], []

    (result,), _ = by_windows(
        expanded, x, margins=(1,), channels=len(expand), residual=True, into=[into]
    )
    return result
