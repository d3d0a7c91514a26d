"""Rain from the physics of falling drops, to validate with and never to train on.

It shares nothing with the training rain: drops are placed in a volume in front of a pinhole camera,
streaks follow from fall speed, exposure and defocus, and their brightness from what a drop
refracts. A derainer that does well here has learned rain rather than one program's rain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import (
    Picture,
    Range,
    from_eight_bit,
    gaussian_blur,
    to_eight_bit,
)

_Values = NDArray[np.float32]
_REFRACTED_SKY = 0.94  # a drop sees nearly the whole hemisphere, so it is brighter than the scene


@dataclass(frozen=True)
class ValidationRain:
    """A shower seen through a pinhole camera; defaults average about 25 dB Y-PSNR."""

    drops_per_megapixel: Range = (8000.0, 24000.0)
    nearest: float = 0.6  # metres
    farthest: float = 14.0
    focal_length: float = 900.0  # pixels
    exposure: Range = (1 / 140, 1 / 35)  # seconds
    focus_distance: float = 7.0
    aperture: float = 3.0  # millimetres; sets the defocus of near drops
    wind: float = 2.2  # standard deviation of the sideways speed, metres per second
    brightness: Range = (3.0, 8.0)
    haze: Range = (0.0, 0.05)

    @property
    def margin(self) -> int:
        return 0

    def __call__(self, clean: Picture, rng: np.random.Generator) -> Picture:
        H, W = clean.shape[:2]
        drops = self._fall(H, W, rng)
        coverage = np.clip(_rasterise(drops, H, W) * rng.uniform(*self.brightness), 0, 0.95)
        surroundings = gaussian_blur(clean[::4, ::4], 12.0)
        refracted = _REFRACTED_SKY * (0.35 * surroundings + 0.65 * max(float(clean.max()), 0.7))
        refracted = refracted.repeat(4, axis=0).repeat(4, axis=1)[:H, :W]
        rainy = clean + coverage[..., None] * (np.maximum(refracted, clean) - clean)
        fog = np.float32(rng.uniform(*self.haze))
        rainy = rainy * (1 - fog) + fog * np.float32(0.8)
        return from_eight_bit(to_eight_bit(rainy))

    def _fall(self, H: int, W: int, rng: np.random.Generator) -> dict[str, _Values]:
        """Drops in the viewing volume as streaks on the sensor, one array entry each."""
        count = max(1, round(rng.uniform(*self.drops_per_megapixel) * H * W / 1e6))
        # The seen volume grows with the square of depth, so far drops outnumber near ones.
        near, far = self.nearest**3, self.farthest**3
        depth = np.cbrt(rng.uniform(near, far, count))
        diameter = 0.8 + np.minimum(rng.exponential(0.7, count), 4.0)  # millimetres
        fall_speed = 9.65 - 10.3 * np.exp(-0.6 * diameter)  # Atlas et al. 1973, metres per second
        side_speed = rng.normal(0, self.wind) + rng.normal(0, 0.25, count)
        exposure = np.exp(rng.uniform(*np.log(self.exposure)))
        scale = self.focal_length / depth
        width = diameter / 1000 * scale
        defocus = self.aperture / 1000 * scale * np.abs(depth / self.focus_distance - 1)
        travel_y, travel_x = fall_speed * exposure * scale, side_speed * exposure * scale
        # A drop hides a pixel for the share of the exposure it takes to pass over it.
        spread = np.hypot(np.maximum(width, 0.3), np.hypot(defocus, 0.8))
        dwell = np.clip(width / np.hypot(travel_x, travel_y), 0, 1)
        opacity = 2.6 * np.sqrt(dwell) * np.maximum(width, 0.3) / spread
        streaks = {
            "x": rng.uniform(-0.05 * W, 1.05 * W, count),
            "y": rng.uniform(-0.15 * H, 1.0 * H, count),
            "travel_x": travel_x,
            "travel_y": travel_y,
            "sigma": np.clip(spread / 2, 0.4, 4.5),
            "opacity": opacity,
            "wobble": rng.uniform(0, 0.35, count),  # drops oscillate, so streaks are speckled
            "phase": rng.uniform(0, 2 * np.pi, count),
            "beats": rng.uniform(1, 5, count),
        }
        return {name: values.astype(np.float32) for name, values in streaks.items()}


def _rasterise(drops: dict[str, _Values], H: int, W: int) -> Picture:
    """Stamp soft discs along every path, nearer together than their radius."""
    travel = np.hypot(drops["travel_x"], drops["travel_y"])
    transparency = np.zeros(H * W)
    for widest in (0.6, 0.9, 1.4, 2.1, 3.2, 4.6):
        chosen = (drops["sigma"] <= widest) & (drops["sigma"] > widest / 1.55)
        if not chosen.any():
            continue
        spacing = 0.75 * widest / 1.55
        stamps = np.maximum(np.ceil(travel[chosen] / spacing), 1).astype(np.intp)
        which = np.repeat(np.flatnonzero(chosen), stamps)
        place = np.arange(len(which)) - np.repeat(np.cumsum(stamps) - stamps, stamps)
        share = (place + 0.5) / np.repeat(stamps, stamps)
        x = drops["x"][which] + share * drops["travel_x"][which]
        y = drops["y"][which] + share * drops["travel_y"][which]
        beat = np.sin(2 * np.pi * drops["beats"][which] * share + drops["phase"][which])
        strength = drops["opacity"][which] * (1 - drops["wobble"][which] * (0.5 + 0.5 * beat))
        strength *= spacing / (drops["sigma"][which] * np.sqrt(2 * np.pi))
        radius = int(np.ceil(2.5 * widest))
        sigma = drops["sigma"][which]
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                column, row = np.floor(x) + dx, np.floor(y) + dy
                distance = (column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2
                inside = (column >= 0) & (column < W) & (row >= 0) & (row < H)
                flat = (row[inside] * W + column[inside]).astype(np.intp)
                weight = (strength * np.exp(-0.5 * distance / sigma**2))[inside]
                transparency += np.bincount(flat, weight, H * W)
    return (1 - np.exp(-transparency)).astype(np.float32).reshape(H, W)
