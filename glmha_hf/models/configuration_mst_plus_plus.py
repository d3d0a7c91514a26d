"""MST++'s configuration."""

from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_attention import ChannelAttentionConfig
from .configuration_mst import unet_block_levels


@strict
class MstPlusPlusConfig(ChannelAttentionConfig):
    """MST++; the defaults are the published NTIRE 2022 model (RGB to 31 bands).

    With `mask_input` it is the CASSI form: the shifted-back measurement and the plain mask, band by
    band, are fused by a 1×1 convolution first.
    """

    model_type = "mst_plus_plus"

    in_channels: int = 3
    out_channels: int = 31
    dim: int = 31
    num_stages: int = 3
    num_blocks: list[int] | tuple[int, ...] = (1, 1, 1)
    mask_input: bool = False
    loss: Literal["l1", "mrae", "rmse"] = "mrae"

    @property
    def block_levels(self) -> list[int]:
        return unet_block_levels(self.num_blocks) * self.num_stages

    @property
    def size_multiple(self) -> int:
        """The published code pads to 8 although two halvings need only 4."""
        return max(8, 2 ** (len(self.num_blocks) - 1))

    @property
    def hidden_size(self) -> int:
        return self.dim

    def validate_levels(self) -> None:
        if len(self.num_blocks) < 2:
            raise ValueError(f"num_blocks needs two levels or more, not {list(self.num_blocks)}")
        if self.num_stages < 1:
            raise ValueError(f"num_stages must be at least 1, not {self.num_stages}")

    def validate_channels(self) -> None:
        if self.out_channels != self.dim:
            raise ValueError(
                f"out_channels ({self.out_channels}) and dim ({self.dim}) must be equal: the "
                "features of the first convolution are added to the output"
            )
