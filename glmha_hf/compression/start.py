"""Where a compressed block starts from: keys that are kept, values by least squares."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..models.layers import PointwiseDepthwise, split_heads
from ..models.spectral import SpectralAttention
from ..models.streaming import output_maps
from .blocks import (
    Attention,
    Meeting,
    at,
    attended_features,
    mask_weights,
    output_weight,
    project,
)
from .keys import Head, KeyOrder, heads_of, order_keys

Start = Literal["closed-form", "random", "norm"]
ITERATIONS, SWEEPS = 40, 2  # of conjugate gradients in all, and rounds of taking turns
POSITIONS = 1 << 17  # of all pictures together, that least squares takes at most


@torch.no_grad()
def start_block(meeting: Meeting, targets: Tensor, *, start: Start) -> None:
    """Give the student's attention its first keys and values; the rest is the teacher's already.

    `random` leaves them as they were drawn; `norm` keeps the channels with the largest weights.
    """
    layer, teacher = meeting.student.attention, meeting.teacher.attention
    rank = layer.mixer.kv_channels // layer.heads
    if isinstance(layer, SpectralAttention) and isinstance(teacher, SpectralAttention):
        match_position(teacher, layer, attended_features(meeting.student, meeting.ours))
    if start == "norm":
        kept = largest_weights(teacher, rank)
        copy_channels(teacher.key, layer.key, kept)
        copy_channels(teacher.value, layer.value, kept)
    elif start == "closed-form":
        heads = heads_of(meeting.teacher, meeting.theirs, meeting.context)
        orders = [order_keys(head) for head in heads]
        take_keys(teacher, layer, orders, rank)
        mix_values(teacher, layer, heads, orders, rank)
        fit_values(meeting, targets)


def largest_weights(teacher: Attention, rank: int) -> Tensor:
    """Of each head the channels whose keys' and values' weights are largest."""
    size = channel_norms(teacher.key) * channel_norms(teacher.value)
    best = size.unflatten(0, (teacher.heads, -1)).topk(rank).indices.sort().values
    return _numbers(teacher, best)


def channel_norms(layer: nn.Linear | PointwiseDepthwise) -> Tensor:
    if isinstance(layer, nn.Linear):
        return layer.weight.norm(dim=1)
    return layer.pointwise.weight.flatten(1).norm(dim=1) * layer.depthwise.weight.flatten(1).norm(
        dim=1
    )


def take_keys(teacher: Attention, layer: Attention, orders: Sequence[KeyOrder], rank: int) -> None:
    kept = _numbers(teacher, torch.stack([order.kept(rank) for order in orders]))
    copy_channels(teacher.key, layer.key, kept)


def _numbers(layer: Attention, channels: Tensor) -> Tensor:
    """Channels of each head, h×r, as channels of the layer."""
    first = torch.arange(layer.heads)[:, None] * layer.mixer.head_channels
    return (first + channels).flatten()


def copy_channels(source: nn.Module, target: nn.Module, kept: Tensor) -> None:
    for theirs, ours in zip(source.parameters(), target.parameters(), strict=True):
        ours.copy_(theirs[kept])


def mix_values(
    teacher: Attention,
    layer: Attention,
    heads: Sequence[Head],
    orders: Sequence[KeyOrder],
    rank: int,
) -> None:
    """V̲ = M·V, exactly for linear maps and as near as one depth-wise kernel a channel comes."""
    mixing = torch.block_diag(
        *(head.fit(order.kept(rank))[1] for head, order in zip(heads, orders, strict=True))
    )
    theirs, ours = teacher.value, layer.value
    if isinstance(ours, nn.Linear):
        assert isinstance(theirs, nn.Linear)
        ours.weight.copy_(mixing @ theirs.weight.double())
        return
    assert isinstance(theirs, PointwiseDepthwise)
    pointwise, depthwise = (
        each.weight.double().flatten(1) for each in (theirs.pointwise, theirs.depthwise)
    )
    kernels = torch.einsum("mj,jc,js->mcs", mixing, pointwise, depthwise)
    left, singular, right = torch.linalg.svd(kernels, full_matrices=False)
    scale = singular[:, :1].sqrt()
    ours.pointwise.weight.copy_((left[:, :, 0] * scale)[..., None, None])
    ours.depthwise.weight.copy_((right[:, 0] * scale).view_as(ours.depthwise.weight))
    if ours.pointwise.bias is not None and ours.depthwise.bias is not None:
        constant = theirs(torch.zeros(1, pointwise.shape[1], 3, 3, device=kernels.device))[
            0, :, 1, 1
        ]
        ours.pointwise.bias.zero_()
        ours.depthwise.bias.copy_(mixing @ constant.double())


def match_position(teacher: SpectralAttention, layer: SpectralAttention, x: Tensor) -> None:
    """The positional branch saw the values and now sees the features: the first convolution scales
    each channel to what tells most of its values there."""
    values = project(teacher.value, x)
    scale = (values * x).sum((0, 2, 3)) / x.square().sum((0, 2, 3)).clamp_min(1e-12)
    (first, second), (their_first, their_second) = map(position_weights, (layer, teacher))
    first.copy_(their_first * scale[:, None, None, None])
    second.copy_(their_second)


def position_weights(layer: SpectralAttention) -> list[Tensor]:
    """The positional branch's two kernels."""
    return [each.weight for each in layer.position if isinstance(each, nn.Conv2d)]


def fit_values(meeting: Meeting, targets: Tensor) -> None:
    """The values' projection, and what else the output is linear in, by least squares.

    A 1×1 and a depth-wise convolution are solved in turn, each with the other as it is. Of large
    pictures the middle is taken, so that there may be many pictures.
    """
    layer = meeting.student.attention
    middle, margin = middle_of(targets)
    features, weights, maps = [], [], []
    for place in range(len(targets)):
        x = attended_features(meeting.student, meeting.ours[place : place + 1])
        modulation = mask_weights(layer, x, at(meeting.context, place))
        maps.append(mixing_map(layer, x))
        features.append(x[middle])
        weights.append(modulation[middle] if isinstance(modulation, Tensor) else modulation)

    def output(place: int) -> Tensor:
        x = features[place]
        value = project(layer.value, x * weights[place])
        mixed = (maps[place] @ value.flatten(2)).unflatten(-1, x.shape[-2:])
        if layer.project_out.bias is not None:
            mixed = mixed + layer.project_out.bias[:, None, None]
        if isinstance(layer, SpectralAttention):
            mixed = mixed + layer.position(x)
        return mixed[..., margin : mixed.shape[-2] - margin, margin : mixed.shape[-1] - margin]

    wanted = targets[middle]
    wanted = wanted[..., margin : wanted.shape[-2] - margin, margin : wanted.shape[-1] - margin]
    if isinstance(layer, SpectralAttention):
        last_kernel = position_weights(layer)[1]
        groups = [[*layer.value.parameters(), last_kernel, layer.project_out.bias]]
    else:
        value = layer.value
        groups = [list(value.pointwise.parameters()), list(value.depthwise.parameters())] * SWEEPS
    for group in groups:
        least_squares(output, wanted, group, iterations=ITERATIONS // len(groups))


def middle_of(pictures: Tensor) -> tuple[tuple, int]:
    """A window that leaves about `POSITIONS` of all pictures, and the margin of it that
    convolutions spoil where it cuts."""
    side = math.isqrt(max(1, POSITIONS // len(pictures)))
    if max(pictures.shape[-2:]) <= side:
        return (...,), 0
    starts = [max(0, (size - side) // 2) for size in pictures.shape[-2:]]
    return (..., *(slice(start, start + side) for start in starts)), 2


def mixing_map(layer: Attention, x: Tensor) -> Tensor:
    """What one picture's values are multiplied with, 1×C×C': the attention map and what follows."""
    query = project(layer.query, x)
    key = project(layer.key, layer.mixer.guide(x, query))
    attention = layer.mixer.attention(*(split_heads(each, layer.heads) for each in (query, key)))
    return output_maps(layer.mixer, attention, output_weight(layer)).to(x.dtype)


def least_squares(
    output: Callable[[int], Tensor],
    targets: Tensor,
    parameters: Sequence[Tensor],
    *,
    iterations: int,
) -> None:
    """Conjugate gradients over parameters that every picture's output is affine in, in place."""
    residual = torch.cat(
        [targets[place : place + 1] - output(place) for place in range(len(targets))]
    )
    outside = targets - residual  # the output with the parameters as they are
    gradient = descent(output, residual, parameters)
    direction = [each.clone() for each in gradient]
    size = dot(gradient, gradient)
    for _ in range(iterations):
        if size <= 1e-20 * dot(parameters, parameters):
            break
        change = response(output, outside, parameters, direction)
        step = size / max(float(change.square().sum()), 1e-30)
        for parameter, each in zip(parameters, direction, strict=True):
            parameter.add_(each, alpha=step)
        residual = residual - step * change
        outside = outside + step * change
        gradient = descent(output, residual, parameters)
        before, size = size, dot(gradient, gradient)
        direction = [
            each + (size / before) * old for each, old in zip(gradient, direction, strict=True)
        ]


def descent(
    output: Callable[[int], Tensor], residual: Tensor, parameters: Sequence[Tensor]
) -> list[Tensor]:
    """Which way the squared residual falls: the output's Jacobian, transposed, times it."""
    total = [torch.zeros_like(each) for each in parameters]
    for place in range(len(residual)):
        with torch.enable_grad():
            product = (output(place) * residual[place : place + 1]).sum()
        for each, part in zip(total, torch.autograd.grad(product, list(parameters)), strict=True):
            each += part
    return total


def response(
    output: Callable[[int], Tensor],
    outside: Tensor,
    parameters: Sequence[Tensor],
    direction: Sequence[Tensor],
) -> Tensor:
    """How the output changes along a direction; exact, so the step may be as long as it likes."""
    scale = math.sqrt(
        max(dot(parameters, parameters), 1e-12) / max(dot(direction, direction), 1e-30)
    )
    for parameter, each in zip(parameters, direction, strict=True):
        parameter.add_(each, alpha=scale)
    moved = torch.cat([output(place) for place in range(len(outside))])
    for parameter, each in zip(parameters, direction, strict=True):
        parameter.sub_(each, alpha=scale)
    return (moved - outside) / scale


def dot(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    return sum(float((a.double() * b).sum()) for a, b in zip(first, second, strict=True))
