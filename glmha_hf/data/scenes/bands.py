"""Spectra on one fine grid, and what a spectral camera's bands make of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Spectra = NDArray[np.float64]  # ...×301, one value a nanometre

GRID = np.arange(400.0, 701.0)
"""Nanometres; every spectrum of this package is sampled here."""


def on_grid(wavelengths: Sequence[float] | NDArray, values: NDArray) -> Spectra:
    """Spectra (...×n) brought to the grid by a cubic that makes no new maxima, and no negatives.

    Beyond the ends of what was measured the last value is kept.
    """
    from scipy.interpolate import PchipInterpolator

    inside = np.clip(GRID, wavelengths[0], wavelengths[-1])
    return PchipInterpolator(wavelengths, values, axis=-1)(inside).clip(min=0)


def band_filters(wavelengths: Sequence[float]) -> NDArray[np.float64]:
    """301×bands: Gaussians as wide at half height as their neighbours are far, each of sum 1."""
    centres = np.asarray(wavelengths, dtype=np.float64)
    width = np.gradient(centres) / np.sqrt(8 * np.log(2))
    filters = np.exp(-(((GRID[:, None] - centres) / width) ** 2) / 2)
    return filters / filters.sum(axis=0)
