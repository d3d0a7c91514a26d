"""CASSI snapshots as files: measurements out of a simulation, and what a camera captured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from .cassi import CassiSystem
from .matlab import read_array

CAPTURED = "meas_real"
VARIABLES = (CAPTURED, "meas", "measurement")
PICTURE_SUFFIXES = frozenset({".png", ".tif", ".tiff"})
SNAPSHOT_SUFFIXES = frozenset({".mat", ".npy", *PICTURE_SUFFIXES})
CAPTURED_PEAK = 0.8
"""What the published code brings a captured snapshot's maximum to, as the model is given it."""


@dataclass(frozen=True)
class Snapshot:
    """An H×W' measurement; `captured` means in a sensor's units, so that only ratios count."""

    values: Tensor
    captured: bool

    def scaled(self, system: CassiSystem, *, peak: float | None = None) -> Tensor:
        """In the forward model's units. A captured one's maximum becomes `peak` (0.8) of the input
        that models take; a simulated one stays as it is unless a peak is given."""
        if peak is None and not self.captured:
            return self.values
        peak = CAPTURED_PEAK if peak is None else peak
        return self.values / self.values.max() * (peak * system.bands / 2)


def read_snapshot(path: Path | str, *, variable: str | None = None) -> Snapshot:
    """A measurement from .mat, .npy or a gray 8- or 16-bit picture, negative values set to zero.

    Pictures, integers and the variable `meas_real` of the published data are captured ones.
    """
    path = Path(path)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        values, captured = _read_gray(path), True
    else:
        values, captured = _read_variable(path, variable)
    if values.ndim != 2 or values.dtype.kind not in "uif":
        shape = "×".join(map(str, values.shape))
        raise ValueError(f"{path}: a snapshot is H×W' numbers, this is {shape} {values.dtype}")
    captured = captured or values.dtype.kind in "ui"
    values = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{path}: the snapshot holds NaN or infinite values")
    if values.max() <= 0:
        raise ValueError(f"{path}: the snapshot is black")
    return Snapshot(torch.from_numpy(values).clamp_min(0), captured)


def check_mask(system: CassiSystem, snapshot: Tensor, *, mask_file: Path | str) -> None:
    """Refuses a mask that is not as large as the scene of the snapshot."""
    H, W = snapshot.shape[0], snapshot.shape[1] - (system.bands - 1) * system.step
    if tuple(system.mask.shape) != (H, W):
        found = "×".join(map(str, system.mask.shape))
        needed = f"needs a mask of {H}×{W}" if W > 0 else "is too narrow"
        raise ValueError(
            f"a snapshot of {H}×{snapshot.shape[1]} {needed} with {system.bands} bands "
            f"{system.step} columns apart; {mask_file} is {found}"
        )


def _read_gray(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if image.mode not in ("L", "I;16", "I;16B", "I"):
                raise ValueError(f"{path}: a snapshot is a gray picture, this one is {image.mode}")
            return np.asarray(image)
    except UnidentifiedImageError:
        raise ValueError(f"{path}: is not a picture that can be read") from None
    except (SyntaxError, EOFError) as error:
        raise ValueError(f"{path}: is not a picture that can be read ({error})") from None


def _read_variable(path: Path, variable: str | None) -> tuple[np.ndarray, bool]:
    names = VARIABLES if variable is None else (variable,)
    for name in names:
        try:
            return read_array(path, key=name), name == CAPTURED and path.suffix != ".npy"
        except ValueError as error:
            if "holds no variable" not in str(error):
                raise
            found = str(error).partition("it holds ")[2]
    raise ValueError(f"{path}: holds no variable {' or '.join(names)}, but {found}")
