"""Looking at a hyperspectral cube: as the eye would see it, in false colour, band by band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..data.cube_formats import USUAL_WAVELENGTHS
from ..data.degradations.base import to_eight_bit
from . import colorimetry

Pixels = NDArray[np.uint8]


def usual_wavelengths(bands: int) -> tuple[float, ...]:
    """The wavelengths of the two benchmarks' cubes, known by their number of bands."""
    if bands not in USUAL_WAVELENGTHS:
        raise ValueError(
            f"the wavelengths of {bands} bands are not known: give wavelengths=, in nanometres "
            f"({' and '.join(map(str, USUAL_WAVELENGTHS))} bands have usual ones)"
        )
    return USUAL_WAVELENGTHS[bands]


def cube_to_srgb(
    cube: np.ndarray,
    wavelengths: Sequence[float] | None = None,
    *,
    illuminant: str = "D65",
    exposure: float = 1.0,
) -> Pixels:
    """C×H×W reflectances as H×W×3 sRGB: CIE 1931 observer, `illuminant`, white at reflectance 1.

    Between bands the spectrum is taken to be straight, beyond them to stay as it is.
    """
    bands = np.asarray(cube)
    weights = linear_srgb_weights(_wavelengths_of(bands, wavelengths), illuminant=illuminant)
    linear = np.tensordot(bands, weights, axes=(0, 1)) * exposure  # H×W×3
    return to_eight_bit(colorimetry.encode_srgb(linear.clip(0, 1)))


def linear_srgb_weights(
    wavelengths: Sequence[float], *, illuminant: str = "D65"
) -> NDArray[np.float64]:
    """How much each band adds to linear red, green and blue: 3×C, rows summing to 1."""
    if illuminant not in colorimetry.ILLUMINANTS:
        known = ", ".join(colorimetry.ILLUMINANTS)
        raise ValueError(f"there is no illuminant {illuminant!r} here; there are {known}")
    light = colorimetry.OBSERVER * colorimetry.ILLUMINANTS[illuminant]()
    light = light / light[1].sum()
    to_xyz = light @ interpolation(wavelengths, colorimetry.WAVELENGTHS)
    adapted = colorimetry.adapt_to_srgb_white(light.sum(axis=1)) @ to_xyz
    return colorimetry.XYZ_TO_LINEAR_SRGB @ adapted


def interpolation(wavelengths: Sequence[float], wanted: np.ndarray) -> NDArray[np.float64]:
    """The matrix that reads spectra sampled at `wavelengths` at the `wanted` ones instead."""
    sampled = np.asarray(wavelengths, dtype=np.float64)
    if sampled.ndim != 1 or (np.diff(sampled) <= 0).any():
        raise ValueError("wavelengths must be one rising list of nanometres, one a band")
    return np.stack([np.interp(wanted, sampled, row) for row in np.eye(len(sampled))], axis=1)


def natural_exposure(cube: np.ndarray, wavelengths: Sequence[float] | None = None) -> float:
    """The factor that brings all but the brightest half per cent of pixels below white."""
    bands = np.asarray(cube)
    weights = linear_srgb_weights(_wavelengths_of(bands, wavelengths))
    brightest = np.percentile(np.tensordot(bands, weights[1], axes=(0, 0)), 99.5)
    return float(1 / brightest) if brightest > 0 else 1.0


def false_colour(
    cube: np.ndarray,
    wavelengths: Sequence[float] | None = None,
    *,
    shown: Sequence[float] = (650.0, 550.0, 450.0),
) -> Pixels:
    """Three bands as red, green and blue, each stretched to its 1st and 99th percentiles."""
    bands = np.asarray(cube, dtype=np.float64)
    chosen = bands[nearest_bands(_wavelengths_of(bands, wavelengths), shown)]
    low, high = np.percentile(chosen, (1, 99), axis=(1, 2), keepdims=True)
    stretched = (chosen - low) / np.maximum(high - low, 1e-8)
    return to_eight_bit(np.moveaxis(stretched, 0, -1))


def nearest_bands(wavelengths: Sequence[float], wanted: Sequence[float]) -> list[int]:
    """The band closest to each wanted wavelength; one far outside the cube's range is refused."""
    sampled = np.asarray(wavelengths)
    outside = [w for w in wanted if not sampled[0] - 25 <= w <= sampled[-1] + 25]
    if outside:
        raise ValueError(
            f"no band near {outside[0]:g} nm: the cube spans {sampled[0]:g} to {sampled[-1]:g} nm"
        )
    return [int(np.abs(sampled - each).argmin()) for each in wanted]


def band_picture(band: np.ndarray, wavelength: float, *, peak: float = 1.0) -> Pixels:
    """One H×W band in the colour of its light, as the spectral papers print them."""
    tint = wavelength_colour(wavelength)
    shade = np.clip(np.asarray(band, dtype=np.float64) / max(peak, 1e-8), 0, 1)
    return to_eight_bit(colorimetry.encode_srgb(shade[..., None] * tint))


def wavelength_colour(wavelength: float) -> NDArray[np.float64]:
    """Linear sRGB of one wavelength's light, its strongest channel at 1; deep ends stay visible."""
    seen = np.array(
        [np.interp(wavelength, colorimetry.WAVELENGTHS, row) for row in colorimetry.OBSERVER]
    )
    linear = (colorimetry.XYZ_TO_LINEAR_SRGB @ seen).clip(0)
    return 0.9 * linear / max(linear.max(), 1e-12) + 0.1


def _wavelengths_of(cube: np.ndarray, wavelengths: Sequence[float] | None) -> Sequence[float]:
    if cube.ndim != 3:
        raise ValueError(f"a cube is C×H×W, not {'×'.join(map(str, cube.shape))}")
    if wavelengths is None:
        return usual_wavelengths(len(cube))
    if len(wavelengths) != len(cube):
        raise ValueError(f"{len(wavelengths)} wavelengths for {len(cube)} bands")
    return wavelengths
