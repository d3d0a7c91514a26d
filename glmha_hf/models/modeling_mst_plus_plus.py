"""MST++: a chain of spectral transformers, for RGB pictures or CASSI snapshots."""

from typing import Any

import torch
from torch import Tensor, nn

from .configuration_mst_plus_plus import MstPlusPlusConfig
from .layers import pad_to_multiple
from .modeling_base import ChannelAttentionModel, Recorder
from .spectral import SpectralUNet


class MstStage(nn.Module):
    """One spectral transformer with its own first and last convolutions and a residual."""

    def __init__(self, *, dim: int, **network: Any):
        super().__init__()
        self.embedding = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.network = SpectralUNet(dim=dim, **network)
        self.mapping = nn.Conv2d(dim, dim, 3, padding=1, bias=False)

    def forward(self, x: Tensor, recorder: Recorder) -> Tensor:
        return x + self.mapping(self.network(self.embedding(x), recorder))


class MstPlusPlusForSpectralReconstruction(ChannelAttentionModel):
    """Reconstructs B×bands×H×W cubes.

    `pixel_values` are RGB pictures; in the CASSI form the measurement shifted back band by band,
    and `mask` is the plain mask, B or 1×bands×H×W.
    """

    config_class = MstPlusPlusConfig
    config: MstPlusPlusConfig
    base_model_prefix = "mst_plus_plus"
    _no_split_modules = ["SpectralBlock"]  # noqa: RUF012

    def __init__(self, config: MstPlusPlusConfig):
        super().__init__(config)
        settings = iter(config.block_settings())
        self.mask_fusion = (
            nn.Conv2d(2 * config.in_channels, config.in_channels, 1) if config.mask_input else None
        )
        self.embedding = nn.Conv2d(config.in_channels, config.dim, 3, padding=1, bias=False)
        self.stages = nn.ModuleList(
            MstStage(
                dim=config.dim, num_blocks=config.num_blocks, settings=settings, fused=config.fused
            )
            for _ in range(config.num_stages)
        )
        self.mapping = nn.Conv2d(config.dim, config.out_channels, 3, padding=1, bias=False)
        self.post_init()

    def reconstruct(
        self, pixel_values: Tensor, recorder: Recorder, mask: Tensor | None = None
    ) -> Tensor:
        pixel_values = pixel_values.to(self.embedding.weight.dtype)
        if self.mask_fusion is not None and mask is not None:
            mask = mask.to(pixel_values.dtype)
            mask = pad_to_multiple(mask, self.config.size_multiple).expand_as(pixel_values)
            pixel_values = self.mask_fusion(torch.cat([pixel_values, mask], dim=1))
        residual = x = self.embedding(pixel_values)
        recorder.level(x)
        for stage in self.stages:
            x = stage(x, recorder)
        return self.mapping(x) + residual

    def example_inputs(self, height: int, width: int) -> dict[str, Tensor]:
        inputs = super().example_inputs(height, width)
        if self.config.mask_input:
            inputs["mask"] = torch.zeros_like(inputs["pixel_values"])
        return inputs

    def check_mask(self, pixel_values: Tensor, mask: Tensor | None) -> None:
        if not self.config.mask_input:
            super().check_mask(pixel_values, mask)
            return
        B, *wanted = pixel_values.shape
        shape = "×".join(map(str, wanted))
        if mask is None:
            raise ValueError(f"mask is missing: give the plain mask, 1 or {B}×{shape}")
        if mask.ndim != 4 or mask.shape[0] not in (1, B) or list(mask.shape[1:]) != wanted:
            given = "×".join(map(str, mask.shape))
            raise ValueError(f"mask must be the plain mask, 1 or {B}×{shape}; it is {given}")
