"""Spectral cubes in and out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.image_processing_base import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from .image_processing_picture import as_list, stack, times, to_unit

Cube = str | Path | np.ndarray | Tensor


class SpectralCubeProcessor(BaseImageProcessor):
    """Cubes of `bands`×H×W to batches and back; a path names a `.npy` file.

    `wavelengths` are the bands' centres in nanometres; they travel with the model.
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012

    def __init__(
        self, *, bands: int = 31, wavelengths: Sequence[float] | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.bands = bands
        self.wavelengths = check_wavelengths(wavelengths, bands)

    def preprocess(
        self, images: Cube | Sequence[Cube], return_tensors: str | None = "pt", **kwargs: Any
    ) -> BatchFeature:
        cubes = [self.to_tensor(cube) for cube in as_list(images)]
        return BatchFeature({"pixel_values": stack(cubes)}, tensor_type=return_tensors)

    def to_tensor(self, cube: Cube) -> Tensor:
        """One cube as floats."""
        values = to_unit(load_array(cube), "cube")
        if values.ndim != 3 or values.shape[0] != self.bands:
            raise ValueError(f"a cube must be {self.bands}×H×W; it is {times(values.shape)}")
        return values

    def post_process(self, outputs: Any) -> list[np.ndarray]:
        """C×H×W float32 cubes, negative values set to zero."""
        return cubes_from(outputs)


def cubes_from(outputs: Any) -> list[np.ndarray]:
    reconstruction = getattr(outputs, "reconstruction", outputs)
    return list(reconstruction.detach().float().clamp_min(0).cpu().numpy())


def load_array(values: Cube) -> Tensor:
    """An array, a tensor or a `.npy` file as a tensor."""
    if isinstance(values, (str, Path)):
        try:
            values = np.load(values, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{values} is not a .npy array: {error}") from None
    if isinstance(values, Tensor):
        return values
    return torch.from_numpy(np.ascontiguousarray(values))


def check_wavelengths(wavelengths: Sequence[float] | None, bands: int) -> list[float] | None:
    if wavelengths is None:
        return None
    if len(wavelengths) != bands:
        raise ValueError(f"{len(wavelengths)} wavelengths for {bands} bands")
    return [float(wavelength) for wavelength in wavelengths]
