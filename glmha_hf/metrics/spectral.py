"""Scores of hyperspectral cubes, (..., C, H, W): relative error, spectral angle, ERGAS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arrays import CHUNK, accepts_tensors, float64_chunks, score_items, shape_of
from .fidelity import mean_square_error

EXACT_FLOAT32_BANDS = 2**24 // 255**2
"""Sums of this many products of 8-bit numbers are exact in float32."""


@accepts_tensors
def mrae(prediction: np.ndarray, reference: np.ndarray, *, item_ndim: int = 3) -> Any:
    """Mean relative absolute error |p - r| / |r|, one per item (the last `item_ndim` axes).

    Where the reference is zero the ratio is undefined: such voxels are left out of the mean, and
    a reference that is zero everywhere is refused.
    """

    def relative(first: np.ndarray, second: np.ndarray) -> float:
        total, counted = 0.0, 0
        for predicted, label in float64_chunks(first, second):
            if not label.all():
                predicted, label = predicted[label != 0], label[label != 0]
            predicted -= label
            predicted /= label
            total += float(np.abs(predicted, out=predicted).sum())
            counted += label.size
        if not counted:
            raise ValueError("the reference is zero everywhere, so MRAE is undefined: use RMSE")
        return total / counted

    return score_items(relative, prediction, reference, item_ndim=item_ndim)


@accepts_tensors
def sam(prediction: np.ndarray, reference: np.ndarray) -> Any:
    """Spectral angle in degrees between the two spectra of a pixel, averaged over the pixels.

    A black spectrum has no direction: against another black one it counts 0°, else 90°.
    """
    _require_cubes(prediction, "SAM")
    eight_bit = prediction.dtype == np.uint8 and reference.dtype == np.uint8
    exact = eight_bit and prediction.shape[-3] <= EXACT_FLOAT32_BANDS
    dtype = np.float32 if exact else np.float64

    def mean_angle(first: np.ndarray, second: np.ndarray) -> float:
        bands, pixels = len(first), first[0].size
        first, second = first.reshape(bands, -1), second.reshape(bands, -1)
        width = max(1, 4 * CHUNK // bands)
        degrees = 0.0
        for start in range(0, pixels, width):
            columns = slice(start, start + width)
            degrees += _angles(first[:, columns].astype(dtype), second[:, columns].astype(dtype))
        return degrees / pixels

    return score_items(mean_angle, prediction, reference, item_ndim=3)


def _angles(first: np.ndarray, second: np.ndarray) -> float:
    """Sum of the angles in degrees between the columns of two bands × pixels arrays."""
    product = np.einsum("bp,bp->p", first, second).astype(np.float64)
    energy = np.einsum("bp,bp->p", first, first).astype(np.float64)
    other = np.einsum("bp,bp->p", second, second).astype(np.float64)
    both_black = (energy == 0) & (other == 0)
    length = np.sqrt(energy * other)  # of one factor, so that equal spectra give exactly 0°
    cosine = np.divide(product, length, out=both_black.astype(np.float64), where=length > 0)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).sum())


@accepts_tensors
def ergas(prediction: np.ndarray, reference: np.ndarray, *, ratio: float = 1.0) -> Any:
    """Relative global error 100 · ratio · sqrt(mean over bands of MSE / mean²).

    `ratio` is the fine pixel size over the coarse one: 1 where nothing is enlarged.
    """
    _require_cubes(prediction, "ERGAS")

    def relative_error(first: np.ndarray, second: np.ndarray) -> float:
        means = second.mean(axis=(1, 2), dtype=np.float64)
        if not means.all():
            raise ValueError("a band of the reference averages zero, so ERGAS is undefined")
        errors = [mean_square_error(*planes) for planes in zip(first, second, strict=True)]
        return 100 * ratio * math.sqrt(np.mean(np.asarray(errors) / means**2))

    return score_items(relative_error, prediction, reference, item_ndim=3)


def _require_cubes(cube: np.ndarray, metric: str) -> None:
    if cube.ndim < 3:
        raise ValueError(f"{metric} needs C×H×W cubes, not {shape_of(cube)}")
