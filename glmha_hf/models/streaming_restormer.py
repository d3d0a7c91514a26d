"""Restormer's block, window by window."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import GuidedLowRankAttention
from .layers import ChannelNorm, concatenated
from .streaming import (
    AttentionSums,
    Window,
    Workspace,
    add_mixed,
    depthwise,
    linear,
    normalised,
    output_maps,
    pointwise,
    windows,
)

if TYPE_CHECKING:
    from .layers import PointwiseDepthwise
    from .modeling_restormer import GatedFeedForward, RestormerAttention, RestormerBlock


def restormer_block(
    block: "RestormerBlock", x: Tensor, workspace: Workspace
) -> tuple[Tensor, Tensor]:
    """What the block computes, B×C×H×W in and out, and its attention map.

    x is overwritten if it is what the workspace's last block returned.
    """
    features = x.permute(0, 2, 3, 1).contiguous()
    values, maps, attention = attend(block.attention, block.attention_norm, features, workspace)
    attended = add_mixed(
        features,
        values,
        maps,
        block.attention.project_out.bias,
        out=features if workspace.owns(features) else workspace.take_spare(features),
    )
    restored = workspace.take_spare(attended)
    feed_forward(block.feed_forward, block.feed_forward_norm, attended, out=restored)
    workspace.hand_on(restored, spare=attended)
    return restored.permute(0, 3, 1, 2), attention


def attend(
    layer: "RestormerAttention", norm: ChannelNorm, x: Tensor, workspace: Workspace
) -> tuple[Tensor, Tensor, Tensor]:
    """The values, the matrix they go through in each image, and the attention map."""
    mixer = layer.mixer
    sums = AttentionSums(mixer, x)
    values = workspace.buffer("values", x, layer.value.pointwise.out_channels)
    if isinstance(mixer, GuidedLowRankAttention):
        queries = workspace.buffer("queries", x, x.shape[-1])
        project(x, norm, [layer.query], [queries])
        factors = mixer.guidance(queries.permute(0, 3, 1, 2))
        for images, window, (key, value) in projections(
            x, norm, [layer.key, layer.value], factors=factors
        ):
            sums.add(images, window, window.of(queries[images]), key)
            window.of(values[images]).copy_(value)
    else:
        for images, window, (query, key, value) in projections(
            x, norm, [layer.query, layer.key, layer.value]
        ):
            sums.add(images, window, query, key)
            window.of(values[images]).copy_(value)
    attention = sums.attention()
    weight = layer.project_out.weight[:, :, 0, 0]
    return values, output_maps(mixer, attention, weight), attention


def project(
    x: Tensor, norm: ChannelNorm, layers: list["PointwiseDepthwise"], outputs: list[Tensor]
) -> None:
    for images, window, parts in projections(x, norm, layers):
        for output, part in zip(outputs, parts, strict=True):
            window.of(output[images]).copy_(part)


def projections(
    x: Tensor,
    norm: ChannelNorm,
    layers: list["PointwiseDepthwise"],
    factors: Tensor | None = None,
) -> Iterator[tuple[slice, Window, tuple[Tensor, ...]]]:
    """Several projections of the normalised features, times `factors` B×C, window by window."""
    (weight, bias), (kernel, kernel_bias) = joined(layers)
    widths = [layer.pointwise.out_channels for layer in layers]
    for images, window in windows(x, sum(widths)):
        around, missing = window.with_margin(1)
        part = normalised(around.of(x[images]), norm)
        if factors is not None:
            part *= factors[images, None, None]
        part = depthwise(pointwise(part, weight, bias, missing), kernel, kernel_bias)
        yield images, window, part.split(widths, dim=-1)


def joined(
    layers: list["PointwiseDepthwise"],
) -> tuple[tuple[Tensor, Tensor | None], tuple[Tensor, Tensor | None]]:
    """The weights and biases of the layers side by side, 1×1 as matrices."""
    weight, bias = concatenated([layer.pointwise for layer in layers])
    return (weight[:, :, 0, 0], bias), concatenated([layer.depthwise for layer in layers])


def feed_forward(layer: "GatedFeedForward", norm: ChannelNorm, x: Tensor, *, out: Tensor) -> None:
    """x + the feed-forward of the normalised x, the gate's halves apart."""
    (inner, inner_bias), (outer, outer_bias) = joined([layer.project_in])
    halves = list(zip(*map(_halves, (inner, inner_bias, outer, outer_bias)), strict=True))
    weight, bias = layer.project_out.weight[:, :, 0, 0], layer.project_out.bias
    weight = F.pad(weight, (0, _to_whole_vectors(weight.shape[1])))
    for images, window in windows(x, 2 * weight.shape[1]):
        around, missing = window.with_margin(1)
        part = normalised(around.of(x[images]), norm)
        gate, hidden = (
            depthwise(pointwise(part, inner, inner_bias, missing), outer, outer_bias)
            for inner, inner_bias, outer, outer_bias in halves
        )
        restored = linear(F.gelu(gate).mul_(hidden), weight, bias)
        torch.add(window.of(x[images]), restored, out=window.of(out[images]))


def _halves(weight: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """The gate's and the hidden channels' part, each with zeros for channels up to whole vectors.

    A gate of zero lets nothing of such a channel through.
    """
    if weight is None:
        return None, None
    first, second = weight.chunk(2)
    more = (0, 0) * (weight.ndim - 1) + (0, _to_whole_vectors(len(first)))
    return F.pad(first, more), F.pad(second, more)


def _to_whole_vectors(channels: int) -> int:
    """How many channels are missing to a multiple of the widest vector's 16 numbers."""
    return -channels % 16
