"""Regressions from a pixel's RGB to its spectrum: what a network has to beat."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.spectral_sets import Cube, SpectralPair

PIXELS_PER_SCENE = 20_000
RIDGE = 1e-7
"""Added to the normal equations' diagonal, as a share of its mean: the terms are nearly equal."""


def exponents(degree: int) -> list[tuple[int, ...]]:
    """Powers of R, G and B in the terms of a root-polynomial: 3, 6, 13, 22 for degrees 1 to 4.

    A term of total power d is its d-th root, so that brightness comes out to the power of one;
    those that are a term of lower degree again, as the fourth root of R²G², are left out.
    """
    if not 1 <= degree <= 4:
        raise ValueError(f"a root-polynomial has a degree from 1 to 4, not {degree}")
    return [
        powers
        for total in range(1, degree + 1)
        for powers in itertools.product(range(total, -1, -1), repeat=3)
        if sum(powers) == total and math.gcd(*powers) == 1
    ]


def terms(rgb: np.ndarray, *, degree: int) -> NDArray[np.float64]:
    """…×3 values from 0 up to …×n terms (Finlayson, Mackiewicz and Hurlbert 2015)."""
    channels = np.moveaxis(np.asarray(rgb, dtype=np.float64), -1, 0)
    return np.stack(
        [
            math.prod(
                channel ** (power / sum(powers))
                for channel, power in zip(channels, powers, strict=True)
            )
            for powers in exponents(degree)
        ],
        axis=-1,
    )


@dataclass(frozen=True)
class SpectralRegression:
    """Terms times coefficients, n×C; degree 1 is the linear map."""

    degree: int
    coefficients: NDArray[np.float64]

    def __call__(self, picture: np.ndarray) -> Cube:
        """The C×H×W cube of an H×W×3 8-bit picture, negative reflectances set to zero."""
        cube = terms(unit(picture), degree=self.degree) @ self.coefficients
        return np.ascontiguousarray(np.moveaxis(cube, -1, 0).clip(0), dtype=np.float32)


def fit_regression(
    pairs: Iterable[SpectralPair], *, degree: int, pixels_per_scene: int = PIXELS_PER_SCENE
) -> SpectralRegression:
    """Least squares over as many pixels of each scene, spread evenly."""
    count = len(exponents(degree))
    normal, moments = np.zeros((count, count)), np.zeros((count, 1))
    for pair in pairs:
        step = max(1, pair.cube[0].size // pixels_per_scene)
        spectra = pair.cube.reshape(len(pair.cube), -1)[:, ::step].T.astype(np.float64)  # P×C
        inputs = terms(unit(pair.picture).reshape(-1, 3)[::step], degree=degree)  # P×n
        normal = normal + inputs.T @ inputs
        moments = moments + inputs.T @ spectra
    if not normal.any():
        raise ValueError("a regression needs at least one scene to be fitted to")
    ridge = RIDGE * np.trace(normal) / count
    return SpectralRegression(degree, np.linalg.solve(normal + ridge * np.eye(count), moments))


def unit(picture: np.ndarray) -> NDArray[np.float64]:
    """8-bit levels as [0, 1]; the brightness that a stretched picture would lose stays."""
    return picture.astype(np.float64) / (255 if picture.dtype == np.uint8 else 1)
