"""Rain, blur and noise on any clean picture, so that every model can be tried and scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..data.degradations import GaussianNoise, MotionBlur, ValidationRain
from ..data.degradations.base import Picture, from_eight_bit, to_eight_bit
from . import examples
from .pictures import for_screen, open_upload, save_pixels

MAX_BLUR, MAX_NOISE = 28, 50
# What each task's examples get: rain in per cent, blur in pixels, noise in 8-bit levels.
USUAL = {"derain": (50, 0, 0), "deblur": (0, 6, 0), "denoise": (0, 0, 25)}
HEAVY_RAIN, BRIGHTNESS = 50_000, 6.0
"""Drops per megapixel at 100 %, and how bright they are."""


def degrade(
    path: Path | str | None, folder: Path, *, rain: float, blur: float, noise: float, seed: int
) -> Path:
    """An 8-bit PNG of the picture, degraded the same way for the same settings.

    The rain is the physical one that no model of the zoo has been trained on.
    """
    for name, value, most in (
        ("rain", rain, 100),
        ("blur", blur, MAX_BLUR),
        ("noise", noise, MAX_NOISE),
    ):
        if not 0 <= value <= most:
            raise ValueError(f"{name} goes from 0 to {most}, not {value:g}")
    if not rain and not blur and not noise:
        raise ValueError("nothing to do: move one of the sliders for rain, blur or noise")
    if seed < 0:
        raise ValueError(f"the seed starts at 0, it is {seed:g}")
    upload = open_upload(path)
    rng = np.random.default_rng(int(seed))
    picture: Picture = from_eight_bit(np.ascontiguousarray(for_screen(upload.pixels)))
    if rain:
        drops = HEAVY_RAIN * rain / 100
        picture = ValidationRain(
            drops_per_megapixel=(drops, drops), brightness=(BRIGHTNESS, BRIGHTNESS)
        )(picture, rng)
    if blur:
        picture = MotionBlur(travel=(float(blur), float(blur)), rotation=0.4)(picture, rng)
    if noise:
        picture = GaussianNoise(sigma=float(noise))(picture, rng)
    return save_pixels(to_eight_bit(picture), folder / f"{upload.path.stem}-degraded.png")


def degraded_example(
    number: int, folder: Path, *, rain: float, blur: float, noise: float
) -> tuple[str, str]:
    """One of the examples degraded, and as it was."""
    clean = examples.pictures()[number]
    path = degrade(clean, folder, rain=rain, blur=blur, noise=noise, seed=number)
    return str(path), str(examples.copied(clean, folder))
