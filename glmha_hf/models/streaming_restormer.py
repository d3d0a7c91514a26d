"""Restormer's block, window by window."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from .attention import GuidedLowRankAttention
from .layers import ChannelNorm, concatenated
from .passes import Results, by_windows
from .streaming import (
    QueryKeySums,
    Workspace,
    depthwise,
    linear,
    normalised,
    output_maps,
    pointwise,
    through_own_maps,
)
from .windows import Maxima, Window, within

if TYPE_CHECKING:
    from .layers import PointwiseDepthwise
    from .modeling_restormer import GatedFeedForward, RestormerAttention, RestormerBlock

Weights = tuple[Tensor, Tensor | None, Tensor, Tensor | None]


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
        into=features if workspace.owns(features) else workspace.take("spare", features),
    )
    restored = feed_forward(
        block.feed_forward,
        block.feed_forward_norm,
        attended,
        into=workspace.take("spare", attended),
    )
    workspace.hand_on(restored, spare=attended)
    return restored.permute(0, 3, 1, 2), attention


def attend(
    layer: "RestormerAttention", norm: ChannelNorm, x: Tensor, workspace: Workspace
) -> tuple[Tensor, Tensor, Tensor]:
    """The values, the matrix they go through in each image, and the attention map."""
    find = values_and_map
    if layer.mixer.statistics:
        find = values_alone
    elif isinstance(layer.mixer, GuidedLowRankAttention):
        find = guided_values_and_map
    values, attention = find(layer, norm, x, workspace)
    weight = layer.project_out.weight[:, :, 0, 0]
    return values, output_maps(layer.mixer, attention, weight), attention


def values_and_map(
    layer: "RestormerAttention", norm: ChannelNorm, x: Tensor, workspace: Workspace
) -> tuple[Tensor, Tensor]:
    mixer = layer.mixer
    query_key = QueryKeySums(mixer, x)
    layers = [layer.query, layer.key, layer.value]
    widths = [one.pointwise.out_channels for one in layers]
    project = convolutions(*joined(layers))

    def of_window(images: slice, window: Window, x: Tensor) -> Results:
        features = normalised(x, norm.weight, norm.bias)
        query, key, value = project(window, features).split(widths, dim=-1)
        return [value], query_key.of_window(window, query, key)

    (values,), sums = by_windows(
        of_window,
        x,
        margins=(1,),
        channels=sum(widths),
        into=[workspace.lend("values", x, widths[-1])],
    )
    return values, mixer.of_picture("attention", len(x), lambda: query_key.attention(sums))


def guided_values_and_map(
    layer: "RestormerAttention", norm: ChannelNorm, x: Tensor, workspace: Workspace
) -> tuple[Tensor, Tensor]:
    """All queries come first: what they have in them guides keys and values."""
    mixer = layer.mixer
    assert isinstance(mixer, GuidedLowRankAttention)
    query_key = QueryKeySums(mixer, x)
    layers = [layer.key, layer.value]
    widths = [one.pointwise.out_channels for one in layers]
    query, features, pooled = queries(layer, norm, x, mixer.kernel_size, workspace)
    factors = mixer.of_picture("guidance", len(x), lambda: mixer.guidance_of_pooled(pooled))
    project = guided_convolutions(factors, *joined(layers))

    def of_window(images: slice, window: Window, features: Tensor, query: Tensor) -> Results:
        key, value = project(images, window, features).split(widths, dim=-1)
        return [value], query_key.of_window(window, query, key)

    (values,), sums = by_windows(
        of_window,
        features,
        query,
        margins=(1, 0),
        channels=sum(widths),
        into=[workspace.lend("values", x, widths[-1])],
    )
    return values, mixer.of_picture("attention", len(x), lambda: query_key.attention(sums))


def values_alone(
    layer: "RestormerAttention", norm: ChannelNorm, x: Tensor, workspace: Workspace
) -> tuple[Tensor, Tensor]:
    """On a tile of a picture whose attention map is known: no queries, no keys."""
    known = {name: layer.mixer.known(name, len(x)) for name in layer.mixer.statistics or ()}
    project = guided_convolutions(known.get("guidance"), *joined([layer.value]))

    def of_window(images: slice, window: Window, x: Tensor) -> Results:
        return [project(images, window, normalised(x, norm.weight, norm.bias))], []

    channels = layer.value.pointwise.out_channels
    (values,), _ = by_windows(
        of_window,
        x,
        margins=(1,),
        channels=x.shape[-1] + channels,
        into=[workspace.lend("values", x, channels)],
    )
    return values, known["attention"]


def queries(
    layer: "RestormerAttention",
    norm: ChannelNorm,
    x: Tensor,
    pooled_size: int,
    workspace: Workspace,
) -> tuple[Tensor, Tensor, Tensor]:
    """The queries, the normalised x, and the queries' adaptive max-pool, B×C×k×k."""
    project = convolutions(*joined([layer.query]))
    maxima = Maxima(x, x.shape[-1], pooled_size)

    def projected(images: slice, window: Window, x: Tensor) -> Results:
        features = normalised(x, norm.weight, norm.bias)
        query = project(window, features)
        maxima.update(images, window, query)
        return [query, within(features, window.with_margin(1)[0], window)], []

    buffers = [workspace.lend("queries", x), workspace.lend("spare", x)]
    (query, features), _ = by_windows(
        projected, x, margins=(1,), channels=x.shape[-1], into=buffers
    )
    return query, features, maxima.pooled()


def guided_convolutions(
    factors: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    kernel: Tensor,
    kernel_bias: Tensor | None,
) -> Callable[[slice, Window, Tensor], Tensor]:
    """`convolutions` of some images' features, each times its own factors, B×C."""

    def convolved(images: slice, window: Window, x: Tensor) -> Tensor:
        own_weight = weight
        if factors is not None and len(x) == 1:
            own_weight = weight * factors[images]
        elif factors is not None:
            x = x * factors[images, None, None]
        return convolutions(own_weight, bias, kernel, kernel_bias)(window, x)

    return convolved


def convolutions(
    weight: Tensor, bias: Tensor | None, kernel: Tensor, kernel_bias: Tensor | None
) -> Callable[[Window, Tensor], Tensor]:
    """A 1×1 and a depth-wise 3×3 convolution of a window with a margin of one pixel."""

    def convolved(window: Window, x: Tensor) -> Tensor:
        zeros = window.with_margin(1)[1]
        return depthwise(pointwise(x, weight, bias, zeros), kernel, kernel_bias, zeros)

    return convolved


def joined(layers: Sequence["PointwiseDepthwise"]) -> Weights:
    """Weight and bias of the layers' 1×1 convolutions side by side, and those of their 3×3 ones."""
    weight, bias = concatenated([layer.pointwise for layer in layers])
    return weight[:, :, 0, 0], bias, *concatenated([layer.depthwise for layer in layers])


def add_mixed(
    x: Tensor, values: Tensor, maps: Tensor, bias: Tensor | None, *, into: Tensor
) -> Tensor:
    """x + the values through each image's own matrix; `into` may be x."""

    def mixed(images: slice, window: Window, x: Tensor, values: Tensor) -> Results:
        return [through_own_maps(values, maps[images], bias)], []

    channels = x.shape[-1] + values.shape[-1]
    features, values, into = (each.flatten(1, 2)[:, None] for each in (x, values, into))
    (result,), _ = by_windows(
        mixed, features, values, margins=(0, 0), channels=channels, residual=True, into=[into]
    )
    return result.view(x.shape)


def feed_forward(
    layer: "GatedFeedForward", norm: ChannelNorm, x: Tensor, *, into: Tensor
) -> Tensor:
    """x + the feed-forward of the normalised x, the gate's halves apart."""
    weight, bias = layer.project_out.weight[:, :, 0, 0], layer.project_out.bias
    weight = F.pad(weight, (0, _to_whole_vectors(weight.shape[1])))
    halves = zip(*map(_halves, joined([layer.project_in])), strict=True)
    open_gate, project = (convolutions(*half) for half in halves)

    def gated(images: slice, window: Window, x: Tensor) -> Results:
        x = normalised(x, norm.weight, norm.bias)
        return [linear(F.gelu(open_gate(window, x)) * project(window, x), weight, bias)], []

    (result,), _ = by_windows(
        gated, x, margins=(1,), channels=weight.shape[1], residual=True, into=[into]
    )
    return result


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
