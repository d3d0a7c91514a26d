"""The U-shaped spectral transformer inside MST and MST++."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import build_mixer
from .configuration_attention import AttentionSettings
from .layers import merge_heads, split_heads
from .modeling_base import BlockSequence, Recorder


class MaskGuidance(nn.Module):
    """Turns a shifted mask into weights for the values, one a pixel and channel."""

    def __init__(self, channels: int, *, column_shift: float):
        super().__init__()
        self.column_shift = column_shift
        self.embedding = nn.Conv2d(channels, channels, 1)
        self.gate_pointwise = nn.Conv2d(channels, channels, 1)
        self.gate_depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)

    def forward(self, mask: Tensor, width: int) -> Tensor:
        mask = self.embedding(mask)
        gate = torch.sigmoid(self.gate_depthwise(self.gate_pointwise(mask)))
        return shift_back(mask * gate + mask, self.column_shift, width)


def shift_back(x: Tensor, column_shift: float, width: int) -> Tensor:
    """Cut `width` columns out of each channel, `column_shift` further right with every channel."""
    channels = torch.arange(x.shape[1], device=x.device)
    first = (channels * column_shift).long()
    columns = first[:, None] + torch.arange(width, device=x.device)
    return x[:, channels[:, None], :, columns].permute(2, 0, 3, 1)


def shift(x: Tensor, column_shift: int) -> Tensor:
    """Move each channel `column_shift` further right than the one before, between zeros."""
    channels = torch.arange(x.shape[1], device=x.device)
    x = F.pad(x, (0, column_shift * (x.shape[1] - 1)))
    columns = torch.arange(x.shape[-1], device=x.device) - channels[:, None] * column_shift
    return x[:, channels[:, None], :, columns % x.shape[-1]].permute(2, 0, 3, 1)


class SpectralAttention(nn.Module):
    """MST's attention among bands: linear projections, a positional branch and a mask branch.

    Where the mixer guides keys and values (GLMHA), the positional branch takes the guided features
    in the place of the values, which have too few channels, and the mask modulates the guided
    features on their way into the values.
    """

    def __init__(
        self,
        *,
        channels: int,
        heads: int,
        settings: AttentionSettings,
        masked: bool,
        column_shift: float,
    ):
        super().__init__()
        self.heads = heads
        self.mixer = build_mixer(channels=channels, heads=heads, settings=settings)
        kv_channels = self.mixer.kv_channels
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, kv_channels, bias=False)
        self.value = nn.Linear(channels, kv_channels, bias=False)
        self.project_out = nn.Linear(channels, channels)
        self.position = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        )
        self.mask_guidance = MaskGuidance(channels, column_shift=column_shift) if masked else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        H, W = x.shape[-2:]
        weights = 1 if self.mask_guidance is None else self.mask_guidance(mask, W)
        query = project(x, self.query)
        guided = self.mixer.guide(x, query)
        key = project(guided, self.key)
        if self.mixer.guided:
            positional, value = guided, project(guided * weights, self.value)
        else:
            positional = project(x, self.value)
            value = positional * weights
        mixed, attention = self.mixer(
            *(split_heads(part, self.heads) for part in (query, key, value))
        )
        return project(merge_heads(mixed, H, W), self.project_out) + self.position(
            positional
        ), attention


def project(x: Tensor, linear: nn.Linear) -> Tensor:
    """A linear map over the channels of B×C×H×W."""
    return linear(x.movedim(1, -1)).movedim(-1, 1)


class SpectralFeedForward(nn.Module):
    """Layer norm, then 1×1, depth-wise 3×3 and 1×1 convolutions with GELU in between."""

    def __init__(self, channels: int, *, expansion: int = 4):
        super().__init__()
        hidden = channels * expansion
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Conv2d(channels, hidden, 1, bias=False)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False)
        self.contract = nn.Conv2d(hidden, channels, 1, bias=False)
        self.activation = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x.movedim(1, -1)).movedim(-1, 1)
        return self.contract(self.activation(self.depthwise(self.activation(self.expand(x)))))


class SpectralBlock(GradientCheckpointingLayer):
    def __init__(self, *, channels: int, **attention: Any):
        super().__init__()
        self.attention = SpectralAttention(channels=channels, **attention)
        self.feed_forward = SpectralFeedForward(channels)

    def forward(self, x: Tensor, *mask: Tensor) -> tuple[Tensor, Tensor]:
        mixed, attention = self.attention(x, *mask)
        x = x + mixed
        return x + self.feed_forward(x), attention


class SpectralUNet(nn.Module):
    """Encoder, bottleneck and decoder; a mask goes down beside the features."""

    def __init__(
        self,
        *,
        dim: int,
        num_blocks: Sequence[int],
        settings: Iterator[AttentionSettings],
        masked: bool = False,
        dispersion_step: float = 0,
    ):
        super().__init__()
        *encoder_blocks, bottleneck_blocks = num_blocks
        depth = len(encoder_blocks)

        def blocks(level: int, count: int) -> BlockSequence:
            return BlockSequence(
                SpectralBlock(
                    channels=dim * 2**level,
                    heads=2**level,
                    settings=next(settings),
                    masked=masked,
                    column_shift=dispersion_step / 4**level,
                )
                for _ in range(count)
            )

        widths = [dim * 2**level for level in range(depth)]
        self.encoder = nn.ModuleList(
            blocks(level, count) for level, count in enumerate(encoder_blocks)
        )
        self.downsamples = nn.ModuleList(_halve(width) for width in widths)
        self.mask_downsamples = nn.ModuleList(_halve(width) for width in widths if masked)
        self.bottleneck = blocks(depth, bottleneck_blocks)
        self.upsamples = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in reversed(widths)
        )
        self.fusions = nn.ModuleList(
            nn.Conv2d(2 * width, width, 1, bias=False) for width in reversed(widths)
        )
        self.decoder = nn.ModuleList(
            blocks(level, encoder_blocks[level]) for level in reversed(range(depth))
        )

    def forward(self, x: Tensor, recorder: Recorder, mask: Tensor | None = None) -> Tensor:
        masks = self.mask_pyramid(mask)
        skips: list[Tensor] = []
        for level, (blocks, downsample) in enumerate(
            zip(self.encoder, self.downsamples, strict=True)
        ):
            x = blocks(x, recorder, *masks[level])
            skips.append(x)
            x = downsample(x)
        x = self.bottleneck(x, recorder, *masks[-1])
        for blocks, upsample, fusion in zip(
            self.decoder, self.upsamples, self.fusions, strict=True
        ):
            level = len(skips) - 1
            x = fusion(torch.cat([upsample(x), skips.pop()], dim=1))
            x = blocks(x, recorder, *masks[level])
        return x

    def mask_pyramid(self, mask: Tensor | None) -> list[tuple[Tensor, ...]]:
        """What each level's blocks are given beside the features: its mask, or nothing."""
        if mask is None:
            return [()] * (len(self.encoder) + 1)
        masks = [mask]
        for downsample in self.mask_downsamples:
            masks.append(downsample(masks[-1]))
        return [(mask,) for mask in masks]


def _halve(channels: int) -> nn.Conv2d:
    """Half the height and width, twice the channels."""
    return nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False)
