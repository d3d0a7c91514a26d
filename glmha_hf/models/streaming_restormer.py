"""Restormer's block, window by window."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from .attention import GuidedLowRankAttention
from .layers import ChannelNorm, concatenated
from .passes import Pass, Results
from .streaming import (
    QueryKeySums,
    Window,
    Workspace,
    depthwise,
    linear,
    normalised,
    output_maps,
    pointwise,
    through_own_maps,
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
        into=features if workspace.owns(features) else workspace.take_spare(features),
    )
    restored = feed_forward(
        block.feed_forward,
        block.feed_forward_norm,
        attended,
        into=workspace.take_spare(attended),
    )
    workspace.hand_on(restored, spare=attended)
    return restored.permute(0, 3, 1, 2), attention


def attend(
    layer: "RestormerAttention", norm: ChannelNorm, x: Tensor, workspace: Workspace
) -> tuple[Tensor, Tensor, Tensor]:
    """The values, the matrix they go through in each image, and the attention map."""
    mixer = layer.mixer
    key_map = mixer.key_projection
    normalise = (norm.weight, norm.bias)
    query_key = QueryKeySums(mixer, x)
    into = [workspace.buffer("values", x, layer.value.pointwise.out_channels)]
    guided = isinstance(mixer, GuidedLowRankAttention)
    layers = [layer.key, layer.value] if guided else [layer.query, layer.key, layer.value]
    widths = [one.pointwise.out_channels for one in layers]

    def from_guided(
        images: slice, window: Window, x: Tensor, query: Tensor, factors: Tensor, *weights: Tensor
    ) -> Results:
        key, value = project(window, x, factors[images], *weights).split(widths, dim=-1)
        return [value], query_key.of_window(window, query, key, None)

    def together(
        images: slice, window: Window, x: Tensor, key_map: Tensor | None, *weights: Tensor
    ) -> Results:
        query, key, value = project(window, x, None, *weights).split(widths, dim=-1)
        return [value], query_key.of_window(window, query, key, key_map)

    if isinstance(mixer, GuidedLowRankAttention):
        buffer = workspace.buffer("queries", x, x.shape[-1])
        (query,), _ = Pass(only_projected, margins=(1,), channels=x.shape[-1]).run(
            x, *normalise, *joined([layer.query]), into=[buffer]
        )
        factors = mixer.guidance(query.permute(0, 3, 1, 2))
        (values,), sums = Pass(from_guided, margins=(1, 0), channels=sum(widths)).run(
            x, query, factors, *normalise, *joined(layers), into=into
        )
    else:
        (values,), sums = Pass(together, margins=(1,), channels=sum(widths)).run(
            x, key_map, *normalise, *joined(layers), into=into
        )
    attention = query_key.attention(sums)
    weight = layer.project_out.weight[:, :, 0, 0]
    return values, output_maps(mixer, attention, weight), attention


def only_projected(images: slice, window: Window, x: Tensor, *weights: Tensor) -> Results:
    return [project(window, x, None, *weights)], []


def project(
    window: Window,
    x: Tensor,
    factors: Tensor | None,
    norm_weight: Tensor,
    norm_bias: Tensor | None,
    *joined_weights: Tensor,
) -> Tensor:
    """The window's normalised features, times factors n×C, through joined projections."""
    x = normalised(x, norm_weight, norm_bias)
    if factors is not None:
        x = x * factors[:, None, None]
    return convolved(window, x, *joined_weights)


def convolved(
    window: Window,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    kernel: Tensor,
    kernel_bias: Tensor | None,
) -> Tensor:
    """A 1×1 and a depth-wise 3×3 convolution of the window with a margin of one pixel."""
    _, missing = window.with_margin(1)
    return depthwise(pointwise(x, weight, bias, missing), kernel, kernel_bias)


def joined(layers: Sequence["PointwiseDepthwise"]) -> list[Tensor | None]:
    """Weight and bias of the layers' 1×1 convolutions side by side, and those of their 3×3 ones."""
    weight, bias = concatenated([layer.pointwise for layer in layers])
    return [weight[:, :, 0, 0], bias, *concatenated([layer.depthwise for layer in layers])]


def add_mixed(
    x: Tensor, values: Tensor, maps: Tensor, bias: Tensor | None, *, into: Tensor
) -> Tensor:
    """x + the values through each image's own matrix; `into` may be x."""

    def mixed(
        images: slice, window: Window, x: Tensor, values: Tensor, maps: Tensor, bias: Tensor | None
    ) -> Results:
        return [through_own_maps(values, maps[images], bias)], []

    channels = x.shape[-1] + values.shape[-1]
    features, values, into = (each.flatten(1, 2)[:, None] for each in (x, values, into))
    (result,), _ = Pass(mixed, margins=(0, 0), channels=channels, residual=True).run(
        features, values, maps, bias, into=[into]
    )
    return result.view(x.shape)


def feed_forward(
    layer: "GatedFeedForward", norm: ChannelNorm, x: Tensor, *, into: Tensor
) -> Tensor:
    """x + the feed-forward of the normalised x, the gate's halves apart."""
    weight, bias = layer.project_out.weight[:, :, 0, 0], layer.project_out.bias
    weight = F.pad(weight, (0, _to_whole_vectors(weight.shape[1])))
    halves = zip(*map(_halves, joined([layer.project_in])), strict=True)
    (result,), _ = Pass(gated, margins=(1,), channels=2 * weight.shape[1], residual=True).run(
        x, norm.weight, norm.bias, weight, bias, *itertools.chain(*halves), into=[into]
    )
    return result


def gated(
    images: slice,
    window: Window,
    x: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    *halves: Tensor,
) -> Results:
    """`halves` are the gate's weights, 1×1 and 3×3 with their biases, then the hidden channels'."""
    x = normalised(x, norm_weight, norm_bias)
    gate, hidden = (convolved(window, x, *half) for half in (halves[:4], halves[4:]))
    return [linear(F.gelu(gate) * hidden, weight, bias)], []


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
