"""Restormer's configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_attention import ChannelAttentionConfig


@strict
class RestormerConfig(ChannelAttentionConfig):
    """A Restormer; the defaults are the published deraining and deblurring model.

    `skip` says what is added at the end: the input picture, or a 1×1 convolution of the first
    level's features (dual-pixel deblurring, and models whose output has other channels).
    """

    model_type = "restormer"

    in_channels: int = 3
    out_channels: int = 3
    dim: int = 48
    num_blocks: list[int] | tuple[int, ...] = (4, 6, 6, 8)
    num_refinement_blocks: int = 4
    num_heads: list[int] | tuple[int, ...] = (1, 2, 4, 8)
    ffn_expansion: float | int = 2.66
    bias: bool = False
    norm: Literal["with_bias", "bias_free"] = "with_bias"
    skip: Literal["input", "features"] = "input"

    @property
    def block_levels(self) -> list[int]:
        *encoder, bottom = [[level] * count for level, count in enumerate(self.num_blocks)]
        plan = [*encoder, bottom, *reversed(encoder), [0] * self.num_refinement_blocks]
        return [level for blocks in plan for level in blocks]

    @property
    def size_multiple(self) -> int:
        """Heights and widths are padded to a multiple of this."""
        return 2 ** (len(self.num_blocks) - 1)

    @property
    def hidden_size(self) -> int:
        return self.dim

    def validate_levels(self) -> None:
        if len(self.num_blocks) < 2 or len(self.num_blocks) != len(self.num_heads):
            raise ValueError(
                "num_blocks and num_heads need one number per level, two levels or more; "
                f"they are {list(self.num_blocks)} and {list(self.num_heads)}"
            )
        for level, heads in enumerate(self.num_heads):
            if (self.dim * 2**level) % heads:
                raise ValueError(
                    f"level {level + 1} has {self.dim * 2**level} channels, which {heads} heads "
                    "cannot share evenly"
                )
        if self.dim % 2:
            raise ValueError(f"dim must be even, because downsampling halves it; it is {self.dim}")

    def validate_skip(self) -> None:
        if self.skip == "input" and self.in_channels != self.out_channels:
            raise ValueError(
                f"skip='input' cannot add {self.in_channels} input channels to {self.out_channels} "
                "output channels; use skip='features'"
            )
