"""A network's blocks in the order in which they run, and two networks' blocks side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from ..inference.network import reference_form
from ..models.layers import split_heads
from ..models.modeling_base import BlockSequence, ChannelAttentionModel
from ..models.modeling_restormer import RestormerAttention, RestormerBlock
from ..models.spectral import SpectralAttention, SpectralBlock

Attention = RestormerAttention | SpectralAttention
Block = RestormerBlock | SpectralBlock
Inputs = dict[str, Tensor]
# A mask for each picture, where the model takes one.
Context = tuple[Tensor, ...]


@dataclass(frozen=True)
class Meeting:
    """One block of the student and of the teacher, and what each is given: B×C×H×W."""

    number: int
    student: Block
    teacher: Block
    ours: Tensor
    theirs: Tensor
    context: Context


def blocks_of(model: nn.Module) -> list[Block]:
    """The transformer blocks, in the order in which they run."""
    return [block for block in model.modules() if isinstance(block, GradientCheckpointingLayer)]  # type: ignore[misc]


@torch.no_grad()
def walk(
    teacher: ChannelAttentionModel,
    student: ChannelAttentionModel,
    inputs: Inputs,
    visit: Callable[[Meeting], None],
) -> tuple[Tensor, Tensor]:
    """Both networks' outputs, student's first; `visit` may change each student's block on the way.

    They run as one batch through what lies between the blocks, which is the same in both.
    """
    shell = reference_form(teacher)
    pairs = iter(zip(blocks_of(student), blocks_of(teacher), strict=True))
    number = 0
    for sequence in [each for each in shell.modules() if isinstance(each, BlockSequence)]:
        for place in range(len(sequence)):
            sequence[place] = _SideBySide(number, *next(pairs), visit)
            number += 1
    doubled = {
        name: torch.cat([values.expand(len(inputs["pixel_values"]), -1, -1, -1)] * 2)
        for name, values in inputs.items()
    }
    ours, theirs = shell(**doubled).reconstruction.chunk(2)
    return ours, theirs


class _SideBySide(nn.Module):
    """Stands in the place of a block: half of the batch is the student's, half the teacher's."""

    def __init__(
        self, number: int, student: Block, teacher: Block, visit: Callable[[Meeting], None]
    ) -> None:
        super().__init__()
        self.number = number
        self.student, self.teacher = student, teacher
        self.visit = visit

    def forward(self, x: Tensor, *context: Tensor, workspace: object = None) -> tuple[Tensor, None]:
        ours, theirs = x.chunk(2)
        context = tuple(each.chunk(2)[0] for each in context)
        self.visit(Meeting(self.number, self.student, self.teacher, ours, theirs, context))
        outputs = [
            block(one[place : place + 1], *at(context, place))[0]
            for block, one in ((self.student, ours), (self.teacher, theirs))
            for place in range(len(one))
        ]
        return torch.cat(outputs), None


def at(context: Context, place: int) -> Context:
    """One picture's part of what goes beside the features."""
    return tuple(each[place : place + 1] for each in context)


def attended_features(block: Block, x: Tensor) -> Tensor:
    """What a block's attention is given of its features."""
    return block.attention_norm(x) if isinstance(block, RestormerBlock) else x


def project(layer: nn.Module, x: Tensor) -> Tensor:
    """Either family's projection over B×C×H×W."""
    if isinstance(layer, nn.Linear):
        return layer(x.movedim(1, -1)).movedim(-1, 1)
    return layer(x)


def queries_keys_values(layer: Attention, x: Tensor, context: Context) -> tuple[Tensor, ...]:
    """A CSA layer's, each B×h×d×L; the values as a mask leaves them."""
    query, key, value = (project(each, x) for each in (layer.query, layer.key, layer.value))
    return tuple(
        split_heads(each, layer.heads)
        for each in (query, key, value * mask_weights(layer, x, context))
    )


def mask_weights(layer: Attention, x: Tensor, context: Context) -> Tensor | float:
    """What a mask multiplies the values with; one without a mask."""
    if not context:
        return 1.0
    assert isinstance(layer, SpectralAttention)
    return layer.weights_of_mask(context[0], x.shape[-1])


def output_weight(layer: Attention) -> Tensor:
    """The output projection's matrix."""
    weight = layer.project_out.weight
    return weight[:, :, 0, 0] if isinstance(layer, RestormerAttention) else weight
