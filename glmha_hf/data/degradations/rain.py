"""Synthetic rain, varied on purpose: a derainer has to meet generators it has never seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import (
    Picture,
    Range,
    chance,
    from_eight_bit,
    gaussian_blur,
    log_uniform,
    smooth_field,
    to_eight_bit,
)
from .compression import jpeg_round_trip
from .streaks import RENDERERS, StreakStyle

_STUDIO_RANGE = 219 / 255  # Y spans 219 of 255 levels, so Y-PSNR is higher than PSNR of gray
_TYPICAL_LUMINANCE = 0.42


@dataclass(frozen=True)
class Rain:
    """Rain of one to four depth layers, drawn anew for every picture.

    Strength is set as the Y-PSNR it would give on a picture of typical brightness: mostly
    `strength` (mean and standard deviation, clipped to `strength_limits`), at times lighter, and
    at times none, so that a clean picture stays clean.
    """

    strength: Range = (23.7, 3.2)
    strength_limits: Range = (17.0, 34.0)
    light_fraction: float = 0.08
    clean_fraction: float = 0.04
    length: Range = (6.0, 80.0)
    width: Range = (0.8, 5.0)
    coverage: Range = (0.015, 0.45)
    tilt: float = 20.0  # standard deviation of the wind's angle, degrees
    crossing_fraction: float = 0.15  # rain falling in unrelated directions at once
    veil_fraction: float = 0.25
    jpeg_fraction: float = 0.12
    softened_fraction: float = 0.15
    renderers: tuple[str, ...] = tuple(RENDERERS)

    @property
    def margin(self) -> int:
        return 0

    def __call__(self, clean: Picture, rng: np.random.Generator) -> Picture:
        if chance(rng, self.clean_fraction):
            return clean.copy()
        opacity = self._opacity(clean.shape[:2], rng)
        colour = _rain_colour(rng)
        if clean.shape[2] == 1:
            colour = colour.mean(keepdims=True)
        opacity *= self._gain(opacity, rng, contrast=float(colour.mean()) - _TYPICAL_LUMINANCE)
        np.clip(opacity, 0, 0.97, out=opacity)
        rainy = _blend(clean, opacity[..., None], colour, rng)
        if chance(rng, self.veil_fraction):
            rainy = _veil(rainy, rng)
        rainy = np.clip(rainy, 0, 1)
        if chance(rng, self.jpeg_fraction):
            return jpeg_round_trip(rainy, quality=int(rng.integers(70, 99)))
        return from_eight_bit(to_eight_bit(rainy))

    def _opacity(self, shape: tuple[int, ...], rng: np.random.Generator) -> Picture:
        """Composite the depth layers, from fine distant rain to thick near streaks."""
        size = (-(-shape[0] // 16) * 16, -(-shape[1] // 16) * 16)  # lengths the FFT likes
        layers = int(rng.choice(4, p=(0.45, 0.27, 0.18, 0.1))) + 1
        wind = rng.normal(0, self.tilt) if chance(rng, 0.8) else rng.uniform(-65, 65)
        crossing = chance(rng, self.crossing_fraction)
        mixed = chance(rng, 0.6)
        name = str(rng.choice(self.renderers))
        clear = np.ones(size, np.float32)
        for _ in range(layers):
            if mixed:
                name = str(rng.choice(self.renderers))
            angle = rng.uniform(-50, 50) if crossing else wind + rng.normal(0, 3)
            layer = RENDERERS[name](size, rng, self._style(rng, angle, layers))
            clear *= 1 - np.clip(layer, 0, 1) * np.float32(rng.uniform(0.25, 0.9))
        opacity = 1 - clear[: shape[0], : shape[1]]
        if chance(rng, self.softened_fraction):
            opacity = gaussian_blur(opacity, rng.uniform(0.4, 0.9))
        if chance(rng, 0.3):
            opacity *= 0.35 + 0.65 * smooth_field(opacity.shape, rng, cell=rng.uniform(40, 160))
        return opacity

    def _style(self, rng: np.random.Generator, angle: float, layers: int) -> StreakStyle:
        length = log_uniform(rng, self.length)
        thickest = min(self.width[1], max(length / 5, 1.0))
        low, high = self.coverage
        return StreakStyle(
            length=length,
            width=log_uniform(rng, (self.width[0], thickest)),
            angle=float(np.clip(angle, -75, 75)),
            angle_jitter=0.0 if chance(rng, 0.25) else abs(rng.normal(0, 4)),
            coverage=log_uniform(rng, (low, high)) / layers**0.5,
        )

    def _gain(self, opacity: Picture, rng: np.random.Generator, *, contrast: float) -> float:
        """Scale that brings the streaks to the strength drawn for this picture."""
        if chance(rng, self.light_fraction):
            target = rng.uniform(self.strength_limits[1], 42)
        else:
            target = np.clip(rng.normal(*self.strength), *self.strength_limits)
        wanted = 10 ** (-target / 20) / _STUDIO_RANGE
        present = max(float(np.sqrt(np.mean(opacity**2))), 0.04)  # a dry patch stays nearly dry
        return wanted / (present * contrast)


def _rain_colour(rng: np.random.Generator) -> Picture:
    """White to light gray, at times slightly blue."""
    blueness = rng.uniform(0, 0.12) if chance(rng, 0.4) else 0.0
    tint = np.array([1 - blueness, 1 - blueness / 3, 1.0])
    return (rng.uniform(0.72, 1.0) * tint).astype(np.float32)


def _blend(clean: Picture, opacity: Picture, colour: Picture, rng: np.random.Generator) -> Picture:
    """Put the streaks on the picture: added, screened, alpha-composited, or refracting it."""
    kind = rng.choice(("add", "screen", "alpha", "refract"), p=(0.38, 0.22, 0.28, 0.12))
    if kind == "add":
        return clean + opacity * (colour - np.float32(_TYPICAL_LUMINANCE))
    if kind == "screen":
        return 1 - (1 - clean) * (1 - opacity * colour)
    if kind == "alpha":
        return clean + opacity * (colour - clean)
    surroundings = clean.mean(axis=(0, 1)) * np.float32(0.5) + colour * np.float32(0.5)
    return clean + opacity * (np.maximum(surroundings, clean) - clean)


def _veil(picture: Picture, rng: np.random.Generator) -> Picture:
    """The mist of rain too far away to see as streaks."""
    density = np.full((1, 1, 1), min(rng.exponential(0.05), 0.22), np.float32)
    if chance(rng, 0.5):
        density = density * smooth_field(picture.shape[:2], rng, cell=160)[..., None]
    airlight = np.float32(rng.uniform(0.65, 0.95))
    return picture + density * (airlight - picture)
