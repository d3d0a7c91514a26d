"""MST's configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_attention import ChannelAttentionConfig


@strict
class MstConfig(ChannelAttentionConfig):
    """A mask-guided spectral transformer; the defaults are the published MST-L for CASSI.

    `guidance` says where the mask comes from: `mask` is the coded aperture, shifted by the
    dispersion and given with every call; `learned` is made from the picture by a convolution (the
    RGB variant). `num_blocks` names the encoder's levels and then the bottleneck; S has (2, 2, 2),
    M (2, 4, 4), L (4, 7, 5).
    """

    model_type = "mst"

    in_channels: int = 28
    out_channels: int = 28
    dim: int = 28
    num_blocks: list[int] | tuple[int, ...] = (4, 7, 5)
    guidance: Literal["mask", "learned"] = "mask"
    dispersion_step: int = 2
    loss: Literal["l1", "mrae", "rmse"] = "rmse"

    @property
    def block_levels(self) -> list[int]:
        return unet_block_levels(self.num_blocks)

    @property
    def size_multiple(self) -> int:
        """Heights and widths are padded to a multiple of this; the RGB code pads to 8."""
        needed = 2 ** (len(self.num_blocks) - 1)
        return max(8, needed) if self.guidance == "learned" else needed

    @property
    def hidden_size(self) -> int:
        return self.dim

    def validate_levels(self) -> None:
        if len(self.num_blocks) < 2:
            raise ValueError(f"num_blocks needs two levels or more, not {list(self.num_blocks)}")

    def validate_guidance(self) -> None:
        if self.guidance == "mask" and not self.in_channels == self.out_channels == self.dim:
            raise ValueError(
                "a mask-guided MST has as many input, output and feature channels as bands; "
                f"they are {self.in_channels}, {self.out_channels} and {self.dim}"
            )
        if self.guidance == "learned" and self.out_channels != self.dim:
            raise ValueError(
                f"out_channels ({self.out_channels}) and dim ({self.dim}) must be equal: the "
                "features of the first convolution are added to the output"
            )


def unet_block_levels(num_blocks: list[int] | tuple[int, ...]) -> list[int]:
    """The levels of a U-shaped network's blocks: down, bottom, up."""
    *encoder, bottom = [[level] * count for level, count in enumerate(num_blocks)]
    return [level for blocks in (*encoder, bottom, *reversed(encoder)) for level in blocks]
