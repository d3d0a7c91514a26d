"""The coded-aperture snapshot spectral imager (CASSI): one 2-D shot of a whole spectral cube.

A mask codes every band, a prism moves band i by `step`·i columns, and the sensor adds them up.
All functions take leading batch axes; L is the number of bands, and a sensor row is
W' = W + (L - 1)·step wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .matlab import read_array


def shift(cube: Tensor, *, step: int) -> Tensor:
    """Move band i by step·i columns: ...×L×H×W -> ...×L×H×W', zeros elsewhere."""
    L, W = cube.shape[-3], cube.shape[-1]
    shifted = cube.new_zeros(*cube.shape[:-1], sensor_width(W, bands=L, step=step))
    for band in range(L):
        shifted[..., band, :, band * step : band * step + W] = cube[..., band, :, :]
    return shifted


def shift_back(measurement: Tensor, *, bands: int, step: int) -> Tensor:
    """Read the measurement once per band where that band fell: ...×H×W' -> ...×L×H×W."""
    W = measurement.shape[-1] - (bands - 1) * step
    if W < 1:
        raise ValueError(
            f"a measurement {measurement.shape[-1]} columns wide is too narrow for {bands} bands "
            f"{step} columns apart: it needs more than {(bands - 1) * step}"
        )
    return torch.stack([measurement[..., i * step : i * step + W] for i in range(bands)], dim=-3)


def sensor_width(width: int, *, bands: int, step: int) -> int:
    """Columns of the sensor that a scene `width` columns wide falls on."""
    if step < 0 or bands < 1:
        raise ValueError(f"no system has {bands} bands {step} columns apart")
    return width + (bands - 1) * step


def measure(cube: Tensor, mask: Tensor, *, step: int = 2) -> Tensor:
    """The snapshot: the sum over bands of the shifted mask∘x, ...×H×W'."""
    _same_size(mask, cube)
    L, H, W = cube.shape[-3:]
    snapshot = cube.new_zeros(*cube.shape[:-3], H, sensor_width(W, bands=L, step=step))
    for band in range(L):
        coded = mask * cube[..., band, :, :]
        snapshot[..., band * step : band * step + W] += coded
    return snapshot


def adjoint(measurement: Tensor, mask: Tensor, *, bands: int = 28, step: int = 2) -> Tensor:
    """Transpose of `measure`: what every band would see through the mask, ...×L×H×W."""
    cube = shift_back(measurement, bands=bands, step=step)
    _same_size(mask, cube)
    return cube * mask


def shifted_mask(mask: Tensor, *, bands: int = 28, step: int = 2) -> Tensor:
    """The mask as each band meets it on the sensor, L×H×W': what MST takes."""
    return shift(mask.expand(bands, *mask.shape[-2:]), step=step)


def model_input(measurement: Tensor, *, bands: int = 28, step: int = 2) -> Tensor:
    """The measurement scaled to one band's brightness and shifted back, ...×L×H×W.

    The factor 2 stands for a mask that lets through half of the light.
    """
    return shift_back(measurement / bands * 2, bands=bands, step=step)


@dataclass(frozen=True)
class CassiSystem:
    """A mask, its dispersion and its bands: everything a simulation needs."""

    mask: Tensor  # H×W
    bands: int = 28
    step: int = 2

    @classmethod
    def from_file(cls, path: Path | str, *, bands: int = 28, step: int = 2) -> CassiSystem:
        return cls(load_mask(path), bands=bands, step=step)

    def crop(self, rows: int, columns: int, *, corner: tuple[int, int] = (0, 0)) -> CassiSystem:
        """The part of the mask from `corner` on, for scenes smaller than it."""
        H, W = self.mask.shape
        top, left = corner
        if top + rows > H or left + columns > W:
            raise ValueError(f"the mask is {H}×{W}, too small for a {rows}×{columns} scene")
        mask = self.mask[top : top + rows, left : left + columns]
        return CassiSystem(mask, bands=self.bands, step=self.step)

    def measure(self, cube: Tensor) -> Tensor:
        if cube.shape[-3] != self.bands:
            raise ValueError(f"the cube has {cube.shape[-3]} bands, the system {self.bands}")
        return measure(cube, self.mask.to(cube), step=self.step)

    def adjoint(self, measurement: Tensor) -> Tensor:
        mask = self.mask.to(measurement)
        return adjoint(measurement, mask, bands=self.bands, step=self.step)

    def model_input(self, measurement: Tensor) -> Tensor:
        return model_input(measurement, bands=self.bands, step=self.step)

    @property
    def shifted_mask(self) -> Tensor:
        return shifted_mask(self.mask, bands=self.bands, step=self.step)


def load_mask(path: Path | str, *, key: str | None = None) -> Tensor:
    """Read an H×W mask from .mat (v5 or v7.3) or .npy as float32 within [0, 1]."""
    values = read_array(path, key=key or "mask")
    if values.ndim != 2:
        raise ValueError(f"{path}: a mask is H×W, this array is {_size(values.shape)}")
    mask = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    if not torch.isfinite(mask).all() or mask.min() < 0 or mask.max() > 1:
        raise ValueError(f"{path}: a mask's transmission lies within 0 and 1")
    return mask


def _same_size(mask: Tensor, cube: Tensor) -> None:
    if mask.shape[-2:] != cube.shape[-2:]:
        raise ValueError(
            f"the mask is {_size(mask.shape[-2:])} but the scene is {_size(cube.shape[-2:])}"
        )


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
