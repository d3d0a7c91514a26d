"""CASSI snapshot measurements in, spectral cubes out."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor
from transformers.image_processing_base import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from .image_processing_cube import Cube, check_wavelengths, cubes_from, load_array
from .image_processing_picture import as_list, stack, times, to_unit
from .spectral import shift, shift_back

MASK_FORMS = ("shifted", "plain")


class SnapshotProcessor(BaseImageProcessor):
    """A coded snapshot and its mask to what the CASSI models take, and cubes back.

    A snapshot is H×(W + dispersion), band i having been moved `dispersion_step`·i columns; the
    mask is the coded aperture, H×W. Snapshots are divided by the number of bands, times two, as in
    the published code; with `scale_maximum` (0.8 for the published real system) each is brought to
    that maximum instead. `mask_form` is `shifted` for MST and `plain` for MST++.
    """

    model_input_names = ["pixel_values", "mask"]  # noqa: RUF012

    def __init__(
        self,
        *,
        bands: int = 28,
        dispersion_step: int = 2,
        mask_form: Literal["shifted", "plain"] = "shifted",
        scale_maximum: float | None = None,
        wavelengths: Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if mask_form not in MASK_FORMS:
            raise ValueError(f"mask_form is {' or '.join(MASK_FORMS)}, not {mask_form!r}")
        self.bands = bands
        self.dispersion_step = dispersion_step
        self.mask_form = mask_form
        self.scale_maximum = scale_maximum
        self.wavelengths = check_wavelengths(wavelengths, bands)

    @property
    def dispersion(self) -> int:
        return self.dispersion_step * (self.bands - 1)

    def preprocess(
        self,
        images: Cube | Sequence[Cube],
        mask: Cube | None = None,
        return_tensors: str | None = "pt",
        **kwargs: Any,
    ) -> BatchFeature:
        """`images` are snapshots, `mask` the one mask they were taken with."""
        if mask is None:
            raise ValueError("a snapshot needs the mask it was taken with: mask=…, H×W")
        snapshots = [self.to_tensor(snapshot) for snapshot in self._as_list(images)]
        plain = self.mask_to_tensor(mask)
        measured = stack(snapshots)
        width = measured.shape[-1] - self.dispersion
        if tuple(plain.shape) != (measured.shape[-2], width):
            raise ValueError(
                f"a snapshot of {times(measured.shape[-2:])} needs a mask of "
                f"{measured.shape[-2]}×{width}; it is {times(plain.shape)}"
            )
        bands = measured[:, None].expand(-1, self.bands, -1, -1)
        masks = plain.expand(1, self.bands, -1, -1)
        return BatchFeature(
            {
                "pixel_values": shift_back(bands, self.dispersion_step, width) / self.bands * 2,
                "mask": shift(masks, self.dispersion_step)
                if self.mask_form == "shifted"
                else masks.contiguous(),
            },
            tensor_type=return_tensors,
        )

    def _as_list(self, images: Any) -> list:
        batch = isinstance(images, (np.ndarray, Tensor)) and images.ndim == 3
        return list(images) if batch else as_list(images)

    def to_tensor(self, snapshot: Cube) -> Tensor:
        """One snapshot, H×(W + dispersion)."""
        values = to_unit(load_array(snapshot), "snapshot")
        if values.ndim != 2 or values.shape[1] <= self.dispersion:
            raise ValueError(
                f"a snapshot must be H×(W + {self.dispersion}), W being the scene's width; it is "
                f"{times(values.shape)}"
            )
        if self.scale_maximum is not None:
            # What the division by the number of bands, times two, leaves at the maximum.
            values = values / values.max().clamp_min(1e-8) * self.scale_maximum * self.bands / 2
        return values

    def mask_to_tensor(self, mask: Cube) -> Tensor:
        values = to_unit(load_array(mask), "mask")
        if values.ndim != 2:
            raise ValueError(f"a mask must be the plain H×W one; it is {times(values.shape)}")
        return values

    def post_process(self, outputs: Any) -> list[np.ndarray]:
        """C×H×W float32 cubes, negative values set to zero."""
        return cubes_from(outputs)
