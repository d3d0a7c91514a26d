"""How papers score, one table entry a protocol; `compare` is the door.

To add one: write a function from two checked arrays to a dict of scores, and give it an entry.
"""

from __future__ import annotations

import difflib
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .arrays import Array, shape_of, to_numpy
from .fidelity import psnr, rgb_to_y, rmse
from .inputs import require_cubes, require_pictures
from .spectral import mrae, sam
from .structure import ssim, ssim_3d

logger = logging.getLogger(__name__)

HIGHER_IS_BETTER = {"psnr": True, "ssim": True, "mrae": False, "rmse": False, "sam": False}
NTIRE_MARGIN = 128


@dataclass(frozen=True)
class Protocol:
    """A published way of scoring one restored picture or cube."""

    name: str
    kind: Literal["picture", "cube"]
    description: str
    score: Callable[[np.ndarray, np.ndarray], dict[str, float]]
    keys: tuple[str, ...]

    @property
    def higher_is_better(self) -> dict[str, bool]:
        return {key: HIGHER_IS_BETTER[key] for key in self.keys}


def compare(prediction: Array, reference: Array, protocol: str) -> dict[str, float]:
    """Score one prediction against its reference as papers do; see `PROTOCOLS` for the names.

    Pictures are H×W×3 (or gray: H×W, H×W×1) uint8, cubes C×H×W floats in [0, 1], NumPy or torch.
    """
    entry = get_protocol(protocol)
    first, second = to_numpy(prediction), to_numpy(reference)
    require = require_pictures if entry.kind == "picture" else require_cubes
    require(first, second, protocol=entry.name)
    return {key: float(value) for key, value in entry.score(first, second).items()}


def get_protocol(name: str) -> Protocol:
    """The entry called `name`; an unknown name is refused with the near matches."""
    if isinstance(name, str) and name in PROTOCOLS:
        return PROTOCOLS[name]
    near = difflib.get_close_matches(str(name), PROTOCOLS, n=2) or list(PROTOCOLS)
    raise ValueError(f"no protocol called {name!r}: did you mean {' or '.join(near)}?")


def score_deraining(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """On luma. A gray picture is its own luma: MATLAB's scripts convert only three channels."""
    first, second = _luma(prediction), _luma(reference)
    return {"psnr": psnr(first, second), "ssim": ssim(first, second)}


def _luma(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 3 and picture.shape[-1] == 3:
        return rgb_to_y(picture)
    return picture.reshape(picture.shape[:2])


def score_deblurring(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """A gray picture is a volume one pixel deep, where the 3-D window equals MATLAB's 2-D one."""
    first, second = (np.atleast_3d(picture) for picture in (prediction, reference))
    return {"psnr": psnr(first, second), "ssim": ssim_3d(first, second)}


def score_denoising(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    return {"psnr": psnr(prediction, reference)}


def score_ntire2022(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Inside the challenge's 128-pixel margin; only PSNR clamps, to [0, 1].

    A cube that is nothing but margin is scored whole, with a warning: no paper's number.
    """
    if min(reference.shape[-2:]) > 2 * NTIRE_MARGIN:
        centre = (..., slice(NTIRE_MARGIN, -NTIRE_MARGIN), slice(NTIRE_MARGIN, -NTIRE_MARGIN))
        prediction, reference = prediction[centre], reference[centre]
    else:
        _say_scored_whole(shape_of(reference))
    return {
        "mrae": mrae(prediction, reference),
        "rmse": rmse(prediction, reference),
        "psnr": psnr(prediction.clip(0, 1), reference.clip(0, 1)),
    }


@functools.cache
def _say_scored_whole(shape: str) -> None:
    logger.warning(
        "cubes of %s are nothing but ntire2022's margin of %d pixels and are scored whole",
        shape,
        NTIRE_MARGIN,
    )


def score_cassi(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """PSNR and SSIM averaged over the bands, and the angle, all on the 8-bit cubes."""
    first, second = _to_uint8(prediction), _to_uint8(reference)
    return {
        "psnr": np.mean(psnr(first, second, item_ndim=2)),
        "ssim": np.mean(ssim(first, second, dtype=np.float32)),
        "sam": sam(first, second),
    }


def _to_uint8(cube: np.ndarray) -> np.ndarray:
    """MATLAB's im2uint8, halves up; in float64: float32 rounds some values across a half."""
    eight_bit = np.empty(cube.shape, np.uint8)
    for band, rounded in zip(cube, eight_bit, strict=True):
        scaled = np.multiply(band, 255, dtype=np.float64)
        np.floor(scaled + 0.5, out=scaled)
        np.clip(scaled, 0, 255, out=rounded, casting="unsafe")
    return eight_bit


def score_mst_training(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """MST's training log: 256 levels against a peak of 255, and zero-padded SSIM, unclipped."""
    levels = [np.rint(np.multiply(cube, 256, dtype=np.float64)) for cube in (prediction, reference)]
    return {
        "psnr": np.mean(psnr(*levels, peak=255, item_ndim=2)),
        "ssim": np.mean(ssim(prediction, reference, peak=1, border="zero")),
    }


PROTOCOLS: dict[str, Protocol] = {
    entry.name: entry
    for entry in (
        Protocol(
            "deraining",
            "picture",
            "PSNR and SSIM of the uint8 luma (Test100, Rain100H, Rain100L, Test2800, Test1200)",
            score_deraining,
            ("psnr", "ssim"),
        ),
        Protocol(
            "deblurring",
            "picture",
            "PSNR over RGB and MATLAB's 3-D SSIM (GoPro, HIDE; RealBlur once aligned)",
            score_deblurring,
            ("psnr", "ssim"),
        ),
        Protocol(
            "denoising",
            "picture",
            "PSNR of the saved uint8, colour or gray (CBSD68, Kodak, McMaster, Urban100, Set12)",
            score_denoising,
            ("psnr",),
        ),
        Protocol(
            "ntire2022",
            "cube",
            "MRAE, RMSE and PSNR inside a margin of 128 pixels (ARAD-1K)",
            score_ntire2022,
            ("mrae", "rmse", "psnr"),
        ),
        Protocol(
            "cassi",
            "cube",
            "PSNR and SSIM averaged over 8-bit bands, and the spectral angle in degrees (KAIST)",
            score_cassi,
            ("psnr", "ssim", "sam"),
        ),
        Protocol(
            "mst_training",
            "cube",
            "PSNR and SSIM as MST's training prints them, to read its logs; papers use cassi",
            score_mst_training,
            ("psnr", "ssim"),
        ),
    )
}
