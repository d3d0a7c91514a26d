"""Restormer with any of the channel attentions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import GuidedLowRankAttention, build_mixer
from .configuration_attention import AttentionSettings
from .configuration_restormer import RestormerConfig
from .layers import ChannelNorm, PointwiseDepthwise, merge_heads, project_together, split_heads
from .modeling_base import BlockSequence, ChannelAttentionModel, Recorder
from .streaming import Workspace
from .streaming_restormer import restormer_block


class RestormerAttention(nn.Module):
    """Multi-Dconv head transposed attention: convolutional projections around a mixer."""

    def __init__(self, *, channels: int, heads: int, bias: bool, settings: AttentionSettings):
        super().__init__()
        self.heads = heads
        self.mixer = build_mixer(channels=channels, heads=heads, settings=settings)
        kv_channels = self.mixer.kv_channels
        self.query = PointwiseDepthwise(channels, channels, bias=bias)
        self.key = PointwiseDepthwise(channels, kv_channels, bias=bias)
        self.value = PointwiseDepthwise(channels, kv_channels, bias=bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.mixer, GuidedLowRankAttention):
            query = self.query(x)
            guided = self.mixer.guide(x, query)
            key, value = project_together(guided, [self.key, self.value])
        else:
            query, key, value = project_together(x, [self.query, self.key, self.value])
        mixed, attention = self.mixer(
            *(split_heads(part, self.heads) for part in (query, key, value))
        )
        return self.project_out(merge_heads(mixed, *x.shape[-2:])), attention


class GatedFeedForward(nn.Module):
    """Gated-Dconv feed-forward network: one half of the hidden channels gates the other."""

    def __init__(self, *, channels: int, hidden_channels: int, bias: bool):
        super().__init__()
        self.project_in = PointwiseDepthwise(channels, 2 * hidden_channels, bias=bias)
        self.project_out = nn.Conv2d(hidden_channels, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, hidden = self.project_in(x).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * hidden)


class RestormerBlock(GradientCheckpointingLayer):
    def __init__(
        self, *, channels: int, heads: int, config: RestormerConfig, settings: AttentionSettings
    ):
        super().__init__()
        self.attention_norm = ChannelNorm(channels, kind=config.norm)
        self.attention = RestormerAttention(
            channels=channels, heads=heads, bias=config.bias, settings=settings
        )
        self.feed_forward_norm = ChannelNorm(channels, kind=config.norm)
        self.feed_forward = GatedFeedForward(
            channels=channels,
            hidden_channels=int(channels * config.ffn_expansion),
            bias=config.bias,
        )

    def forward(self, x: Tensor, workspace: Workspace | None = None) -> tuple[Tensor, Tensor]:
        if workspace is not None:
            return restormer_block(self, x, workspace)
        mixed, attention = self.attention(self.attention_norm(x))
        x = x + mixed
        return x + self.feed_forward(self.feed_forward_norm(x)), attention


class RestormerForImageRestoration(ChannelAttentionModel):
    """Restores pictures in [0, 1]."""

    config_class = RestormerConfig
    config: RestormerConfig
    base_model_prefix = "restormer"
    _no_split_modules = ["RestormerBlock"]  # noqa: RUF012

    def __init__(self, config: RestormerConfig):
        super().__init__(config)
        settings = iter(config.block_settings())
        *encoder_blocks, bottleneck_blocks = config.num_blocks
        depth = len(encoder_blocks)
        widths = [config.dim * 2**level for level in range(depth + 1)]
        # Nothing merges the skip connection of the first level: its decoder is twice as wide.
        decoder_widths = [2 * config.dim, *widths[1:depth]]

        def blocks(level: int, channels: int, count: int) -> BlockSequence:
            return BlockSequence(
                (
                    RestormerBlock(
                        channels=channels,
                        heads=config.num_heads[level],
                        config=config,
                        settings=next(settings),
                    )
                    for _ in range(count)
                ),
                fused=config.fused,
            )

        self.embedding = nn.Conv2d(config.in_channels, config.dim, 3, padding=1, bias=False)
        self.encoder = nn.ModuleList(
            blocks(level, widths[level], count) for level, count in enumerate(encoder_blocks)
        )
        self.downsamples = nn.ModuleList(_downsample(width) for width in widths[:depth])
        self.bottleneck = blocks(depth, widths[depth], bottleneck_blocks)
        self.upsamples = nn.ModuleList(_upsample(width) for width in reversed(widths[1:]))
        self.fusions = nn.ModuleList(
            nn.Conv2d(2 * width, width, 1, bias=config.bias) for width in reversed(widths[1:depth])
        )
        self.decoder = nn.ModuleList(
            blocks(level, decoder_widths[level], encoder_blocks[level])
            for level in reversed(range(depth))
        )
        self.refinement = blocks(0, decoder_widths[0], config.num_refinement_blocks)
        self.skip = (
            nn.Conv2d(config.dim, decoder_widths[0], 1, bias=config.bias)
            if config.skip == "features"
            else None
        )
        self.output = nn.Conv2d(
            decoder_widths[0], config.out_channels, 3, padding=1, bias=config.bias
        )
        self.post_init()

    def reconstruct(
        self, pixel_values: Tensor, recorder: Recorder, mask: Tensor | None = None
    ) -> Tensor:
        embedded = x = self.embedding(pixel_values.to(self.embedding.weight.dtype))
        recorder.level(x)
        skips: list[Tensor] = []
        for blocks, downsample in zip(self.encoder, self.downsamples, strict=True):
            x = blocks(x, recorder, overwrites=x is not embedded)
            skips.append(x)
            x = downsample(x)
        x = self.bottleneck(x, recorder, overwrites=True)
        for blocks, upsample, fusion in zip(
            self.decoder, self.upsamples, [*self.fusions, nn.Identity()], strict=True
        ):
            x = fusion(torch.cat([upsample(x), skips.pop()], dim=1))
            x = blocks(x, recorder, overwrites=True)
        x = self.refinement(x, recorder)
        if self.skip is None:
            return self.output(x) + pixel_values
        return self.output(x + self.skip(embedded))


def _downsample(channels: int) -> nn.Sequential:
    """Half the height and width, twice the channels."""
    return nn.Sequential(
        nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2)
    )


def _upsample(channels: int) -> nn.Sequential:
    """Twice the height and width, half the channels."""
    return nn.Sequential(
        nn.Conv2d(channels, channels * 2, 3, padding=1, bias=False), nn.PixelShuffle(2)
    )
