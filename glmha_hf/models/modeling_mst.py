"""MST: one mask-guided spectral transformer, for CASSI snapshots or RGB pictures."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .configuration_mst import MstConfig
from .layers import pad_to_multiple
from .modeling_base import ChannelAttentionModel, Recorder
from .spectral import SpectralUNet, shift, shift_back


class MstForSpectralReconstruction(ChannelAttentionModel):
    """Reconstructs B×bands×H×W cubes.

    `pixel_values` is the measurement shifted back band by band, `mask` the shifted mask, B or
    1×bands×H×(W + dispersion). With a learned mask they are pictures, and `mask` is not given.
    """

    config_class = MstConfig
    config: MstConfig
    base_model_prefix = "mst"
    _no_split_modules = ["SpectralBlock"]  # noqa: RUF012

    def __init__(self, config: MstConfig):
        super().__init__(config)
        learned = config.guidance == "learned"
        self.embedding = nn.Conv2d(config.in_channels, config.dim, 3, padding=1, bias=False)
        self.mask_embedding = (
            nn.Conv2d(config.in_channels, config.dim, 3, padding=1, bias=False) if learned else None
        )
        self.network = SpectralUNet(
            dim=config.dim,
            num_blocks=config.num_blocks,
            settings=iter(config.block_settings()),
            fused=config.fused,
            masked=True,
            dispersion_step=0 if learned else config.dispersion_step,
        )
        self.mapping = nn.Conv2d(config.dim, config.out_channels, 3, padding=1, bias=False)
        self.post_init()

    def reconstruct(
        self, pixel_values: Tensor, recorder: Recorder, mask: Tensor | None = None
    ) -> Tensor:
        narrow = pixel_values.to(self.embedding.weight.dtype)
        if self.mask_embedding is not None:
            mask = F.leaky_relu(self.mask_embedding(narrow), 0.1)
        elif mask is not None:
            mask = self.padded_mask(mask.to(narrow.dtype))
        x = F.leaky_relu(self.embedding(narrow), 0.1)
        residual = x if self.config.guidance == "learned" else pixel_values
        recorder.level(x)
        return self.mapping(self.network(x, recorder, mask)) + residual

    def example_inputs(self, height: int, width: int) -> dict[str, Tensor]:
        inputs = super().example_inputs(height, width)
        if self.config.guidance == "mask":
            bands = self.config.in_channels
            inputs["mask"] = torch.zeros(1, bands, height, width + self.dispersion)
        return inputs

    @property
    def dispersion(self) -> int:
        """How many columns the last band is shifted."""
        return self.config.dispersion_step * (self.config.in_channels - 1)

    def padded_mask(self, mask: Tensor) -> Tensor:
        """The shifted mask of the scene padded as its measurement is."""
        H, W = mask.shape[-2], mask.shape[-1] - self.dispersion
        if H % self.config.size_multiple == W % self.config.size_multiple == 0:
            return mask
        plain = shift_back(mask, self.config.dispersion_step, W)
        return shift(pad_to_multiple(plain, self.config.size_multiple), self.config.dispersion_step)

    def check_mask(self, pixel_values: Tensor, mask: Tensor | None) -> None:
        if self.config.guidance == "learned":
            if mask is not None:
                raise ValueError("this MST makes its own mask from the picture; do not give one")
            return
        B, bands, H, W = pixel_values.shape
        wanted = f"1 or {B}×{bands}×{H}×{W + self.dispersion}"
        if mask is None:
            raise ValueError(f"mask is missing: give the shifted mask, {wanted}")
        if (
            mask.ndim != 4
            or mask.shape[0] not in (1, B)
            or mask.shape[1:]
            != (
                bands,
                H,
                W + self.dispersion,
            )
        ):
            hint = " (it has the plain mask's width)" if mask.shape[-1] == W else ""
            given = "×".join(map(str, mask.shape))
            raise ValueError(f"mask must be the shifted mask, {wanted}; it is {given}{hint}")
