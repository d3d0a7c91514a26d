"""The U-shaped spectral transformer inside MST and MST++."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import GuidedLowRankAttention, build_mixer
from .configuration_attention import AttentionSettings
from .layers import merge_heads, split_heads
from .modeling_base import BlockSequence, Recorder
from .streaming import Workspace, streams
from .streaming_spectral import spectral_block


class Remembered:
    """The last result that some weights gave for a mask, which is the same until either changes.

    Several threads may ask: what is known is read once, and replaced as a whole.
    """

    def __init__(self) -> None:
        self.known: tuple[list[Tensor], Any] = ([], None)

    def get(self, mask: Tensor, weights: Iterable[Tensor], compute: Callable[[Tensor], Any]) -> Any:
        given = [mask, *weights]
        kept, result = self.known
        if len(kept) != len(given) or not all(map(_same, kept, given)):
            kept = [each.detach().clone() for each in given]
            result = compute(kept[0])
            self.known = (kept, result)
        return result


def _same(known: Tensor, given: Tensor) -> bool:
    return (known.shape, known.dtype, known.device) == (
        given.shape,
        given.dtype,
        given.device,
    ) and torch.equal(known, given)


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
        weights = 1 if mask is None else self.weights_of_mask(mask, W)
        query = _project(x, self.query)
        guided = self.mixer.guide(x, query)
        key = _project(guided, self.key)
        if isinstance(self.mixer, GuidedLowRankAttention):
            positional, value = guided, _project(guided * weights, self.value)
        else:
            positional = _project(x, self.value)
            value = positional * weights
        mixed, attention = self.mixer(
            *(split_heads(part, self.heads) for part in (query, key, value))
        )
        return _project(merge_heads(mixed, H, W), self.project_out) + self.position(
            positional
        ), attention

    def weights_of_mask(self, mask: Tensor, width: int) -> Tensor:
        """What the values are multiplied with, B or 1×C×H×W."""
        assert self.mask_guidance is not None, "this attention was made without a mask branch"
        return self.mask_guidance(mask, width)


def _project(x: Tensor, linear: nn.Linear) -> Tensor:
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

    def forward(
        self, x: Tensor, *mask: Tensor, workspace: Workspace | None = None
    ) -> tuple[Tensor, Tensor]:
        if workspace is not None:
            return spectral_block(self, x, *mask, workspace=workspace)
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
        fused: bool,
        masked: bool = False,
        dispersion_step: float = 0,
    ):
        super().__init__()
        *encoder_blocks, bottleneck_blocks = num_blocks
        depth = len(encoder_blocks)
        self.fused = fused
        self.keeps_mask = dispersion_step > 0
        self.memory = Remembered()

        def blocks(level: int, count: int) -> BlockSequence:
            return BlockSequence(
                (
                    SpectralBlock(
                        channels=dim * 2**level,
                        heads=2**level,
                        settings=next(settings),
                        masked=masked,
                        column_shift=dispersion_step / 4**level,
                    )
                    for _ in range(count)
                ),
                fused=fused,
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

    def forward(self, features: Tensor, recorder: Recorder, mask: Tensor | None = None) -> Tensor:
        x = features
        contexts = iter(self.block_contexts(mask, x.shape[-1]))
        skips: list[Tensor] = []
        for blocks, downsample in zip(self.encoder, self.downsamples, strict=True):
            x = blocks(x, recorder, contexts, overwrites=x is not features)
            skips.append(x)
            x = downsample(x)
        x = self.bottleneck(x, recorder, contexts, overwrites=True)
        for blocks, upsample, fusion in zip(
            self.decoder, self.upsamples, self.fusions, strict=True
        ):
            x = fusion(torch.cat([upsample(x), skips.pop()], dim=1))
            x = blocks(x, recorder, contexts, overwrites=True)
        return x

    def block_contexts(self, mask: Tensor | None, width: int) -> list[tuple[Tensor, ...]]:
        """What each block, in the order in which they run, is given beside the features.

        Nothing without a mask; its level's mask in the published form; else the weights made of it,
        which depend on the mask alone and are kept for the next picture, if they need no gradients.
        """
        if mask is None:
            return [()] * len(list(self.blocks_with_level()))
        if not streams(mask, fused=self.fused):
            masks = self.mask_pyramid(mask)
            return [(masks[level],) for _, level in self.blocks_with_level()]
        if not self.keeps_mask or torch.is_grad_enabled():
            return self.mask_weights(mask, width)
        return self.memory.get(
            mask,
            (weight for name, weight in self.named_parameters() if "mask_" in name),
            lambda kept: self.mask_weights(kept, width),
        )

    def mask_weights(self, mask: Tensor, width: int) -> list[tuple[Tensor, ...]]:
        masks = self.mask_pyramid(mask)
        weights = (
            block.attention.weights_of_mask(masks[level], width >> level)
            for block, level in self.blocks_with_level()
        )
        return [(one.contiguous(memory_format=torch.channels_last),) for one in weights]

    def mask_pyramid(self, mask: Tensor) -> list[Tensor]:
        """The mask of each level."""
        masks = [mask]
        for downsample in self.mask_downsamples:
            masks.append(downsample(masks[-1]))
        return masks

    def blocks_with_level(self) -> Iterator[tuple[SpectralBlock, int]]:
        """The blocks in the order in which they run."""
        depth = len(self.encoder)
        sequences = [*self.encoder, self.bottleneck, *self.decoder]
        levels = [*range(depth), depth, *reversed(range(depth))]
        for blocks, level in zip(sequences, levels, strict=True):
            for block in blocks:
                yield block, level


def _halve(channels: int) -> nn.Conv2d:
    """Half the height and width, twice the channels."""
    return nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False)
