"""Distances between two pictures: PSNR and RMSE, and the luma that deraining is scored on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arrays import (
    Array,
    accepts_tensors,
    default_peak,
    float64_chunks,
    like,
    score_items,
    shape_of,
    to_numpy,
)


def rgb_to_y(picture: Array) -> Array:
    """Luma of (..., H, W, 3) uint8 RGB as (..., H, W) uint8, as MATLAB's rgb2ycbcr rounds it.

    Y = round(16 + (65.481 R + 128.553 G + 24.966 B) / 255), exact in integers, halves away from 0.
    """
    rgb = to_numpy(picture)
    if rgb.dtype != np.uint8 or rgb.ndim < 3 or rgb.shape[-1] != 3:
        raise ValueError(
            f"luma needs H×W×3 uint8 RGB, not {shape_of(rgb)} {rgb.dtype}: give the 8-bit picture"
        )
    weighted = (
        np.multiply(rgb[..., channel], thousandths, dtype=np.int32)
        for channel, thousandths in enumerate((65_481, 128_553, 24_966))
    )
    luma = sum(weighted, start=np.int32(16 * 255_000 + 127_500)) // np.int32(255_000)
    luma = luma.astype(np.uint8)
    return like(picture, luma)


@accepts_tensors
def psnr(
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    peak: float | None = None,
    item_ndim: int = 3,
) -> Any:
    """Peak signal-to-noise ratio in dB, one mean square error per item; infinite when identical.

    An item is the last `item_ndim` axes: 3 scores a picture or cube, 2 each plane of it.
    `peak` is 255 for uint8 and 1 for floats unless given.
    """
    if peak is None:
        peak = default_peak(prediction, reference)

    def decibels(first: np.ndarray, second: np.ndarray) -> float:
        error = mean_square_error(first, second)
        return 10 * math.log10(peak * peak / error) if error else math.inf

    return score_items(decibels, prediction, reference, item_ndim=item_ndim)


@accepts_tensors
def rmse(prediction: np.ndarray, reference: np.ndarray, *, item_ndim: int = 3) -> Any:
    """Root mean square error, one per item (the last `item_ndim` axes)."""

    def root(first: np.ndarray, second: np.ndarray) -> float:
        return math.sqrt(mean_square_error(first, second))

    return score_items(root, prediction, reference, item_ndim=item_ndim)


def mean_square_error(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Mean square difference in float64: exact for 8-bit pictures."""
    total = 0.0
    for first, second in float64_chunks(prediction, reference):
        first -= second
        total += float(np.dot(first, first))
    return total / prediction.size
