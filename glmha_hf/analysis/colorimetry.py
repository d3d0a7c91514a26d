"""The CIE's tables at 10 nm from 380 to 780 nm: what colours a spectrum has for a human eye.

Provenance: the CIE 1931 2° standard observer and the standard illuminant D65 as the CIE tabulates
them (CIE 015 "Colorimetry", datasets at cie.co.at); facts, read at every tenth nanometre.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

WAVELENGTHS = np.arange(380.0, 781.0, 10.0)

X_BAR = (
    *(0.001368, 0.004243, 0.01431, 0.04351, 0.13438, 0.2839, 0.34828, 0.3362, 0.2908, 0.19536),
    *(0.09564, 0.03201, 0.0049, 0.0093, 0.06327, 0.1655, 0.2904, 0.43345, 0.5945, 0.7621),
    *(0.9163, 1.0263, 1.0622, 1.0026, 0.85445, 0.6424, 0.4479, 0.2835, 0.1649, 0.0874),
    *(0.04677, 0.0227, 0.011359, 0.00579, 0.002899, 0.00144, 0.00069, 0.000332, 0.000166),
    *(0.000083, 0.000042),
)
Y_BAR = (
    *(0.000039, 0.00012, 0.000396, 0.00121, 0.004, 0.0116, 0.023, 0.038, 0.06, 0.09098),
    *(0.13902, 0.20802, 0.323, 0.503, 0.71, 0.862, 0.954, 0.99495, 0.995, 0.952),
    *(0.87, 0.757, 0.631, 0.503, 0.381, 0.265, 0.175, 0.107, 0.061, 0.032),
    *(0.017, 0.00821, 0.004102, 0.002091, 0.001047, 0.00052, 0.000249, 0.00012, 0.00006),
    *(0.00003, 0.000015),
)
Z_BAR = (
    *(0.00645, 0.02005, 0.06785, 0.2074, 0.6456, 1.3856, 1.74706, 1.77211, 1.6692, 1.28764),
    *(0.81295, 0.46518, 0.272, 0.1582, 0.07825, 0.04216, 0.0203, 0.00875, 0.0039, 0.0021),
    *(0.00165, 0.0011, 0.0008, 0.00034, 0.00019, 0.00005, 0.00002, *(0.0,) * 14),
)
OBSERVER = np.array([X_BAR, Y_BAR, Z_BAR])  # 3×41

D65 = np.array(
    [
        *(49.9755, 54.6482, 82.7549, 91.486, 93.4318, 86.6823, 104.865, 117.008, 117.812, 114.861),
        *(115.923, 108.811, 109.354, 107.802, 104.79, 107.689, 104.405, 104.046, 100.0, 96.3342),
        *(95.788, 88.6856, 90.0062, 89.5991, 87.6987, 83.2886, 83.6992, 80.0268, 80.2146, 82.2778),
        *(78.2842, 69.7213, 71.6091, 74.349, 61.604, 69.8856, 75.087, 63.5927, 46.4182, 66.8054),
        63.3828,
    ]
)


def _illuminant_a() -> np.ndarray:
    """Tungsten light at 2,848 K, by the formula that defines it."""
    kelvin_nanometres = 1.435e7 / 2848
    planck = np.expm1(kelvin_nanometres / 560) / np.expm1(kelvin_nanometres / WAVELENGTHS)
    return 100 * (560 / WAVELENGTHS) ** 5 * planck


ILLUMINANTS: dict[str, Callable[[], np.ndarray]] = {
    "D65": lambda: D65,
    "A": _illuminant_a,
    "E": lambda: np.full_like(WAVELENGTHS, 100.0),
}

XYZ_TO_LINEAR_SRGB = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)
"""IEC 61966-2-1, for a white at D65."""
SRGB_WHITE = np.array([0.95047, 1.0, 1.08883])

BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
"""Cone responses in which adapting to another white is a scaling."""


def adapt_to_srgb_white(white: np.ndarray) -> np.ndarray:
    """The 3×3 map of XYZ under `white` to XYZ as it looks under D65."""
    gains = (BRADFORD @ SRGB_WHITE) / (BRADFORD @ white)
    return np.linalg.inv(BRADFORD) @ (gains[:, None] * BRADFORD)


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """The sRGB tone curve of values in [0, 1]."""
    return np.where(
        linear <= 0.0031308,
        12.92 * linear,
        1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055,
    )
