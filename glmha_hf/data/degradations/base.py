"""What every degradation is: seeded, vectorised, and honest about its border."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Range = tuple[float, float]


class Degradation(Protocol):
    """Turns a clean H×W×C float32 picture in [0, 1] into a degraded one of the same shape."""

    @property
    def margin(self) -> int:
        """Pixels of real surroundings a patch needs so that its border comes out right."""

    def __call__(self, clean: Picture, rng: np.random.Generator) -> Picture: ...


def tried(make: Callable[[], Degradation]) -> Degradation:
    """A degradation that was used on a small gray picture; ValueError where it cannot be."""
    gray = np.full((32, 32, 3), 0.5, np.float32)
    try:
        degradation = make()
        degradation(gray, np.random.default_rng(0))
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise ValueError(str(error)) from None
    return degradation


def log_uniform(rng: np.random.Generator, bounds: Range) -> float:
    """Draw a scale: halving is as likely as doubling."""
    low, high = bounds
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Decide one yes-or-no question."""
    return bool(rng.random() < probability)


def smooth_field(shape: tuple[int, int], rng: np.random.Generator, *, cell: float) -> Picture:
    """A slowly varying field in [0, 1]: random knots about `cell` pixels apart, interpolated."""
    knots = [max(2, round(side / cell) + 1) for side in shape]
    field = rng.random(knots, dtype=np.float32)
    for axis, side in enumerate(shape):
        position = np.linspace(0, knots[axis] - 1, side, dtype=np.float32)
        below = np.minimum(position.astype(np.intp), knots[axis] - 2)
        weight = np.expand_dims(position - below, 1 - axis)
        lower, upper = field.take(below, axis), field.take(below + 1, axis)
        field = lower + weight * (upper - lower)
    return field


def gaussian_blur(picture: Picture, sigma: float) -> Picture:
    """Separable Gaussian blur of an H×W or H×W×C array, its edges repeated."""
    radius = max(1, int(np.ceil(3 * sigma)))
    offsets = np.arange(-radius, radius + 1, dtype=np.float32)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        side = picture.shape[axis]
        width = [(radius, radius) if a == axis else (0, 0) for a in range(picture.ndim)]
        padded = np.pad(picture, width, mode="edge")
        blurred = np.zeros_like(picture)
        for shift, weight in enumerate(weights):
            blurred += weight * (
                padded[shift : shift + side] if axis == 0 else padded[:, shift : shift + side]
            )
        picture = blurred
    return picture


def to_eight_bit(picture: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Clip, scale and round as a picture file would."""
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def from_eight_bit(picture: NDArray[np.uint8]) -> Picture:
    """Scale uint8 to float32 in [0, 1]."""
    return picture.astype(np.float32) / np.float32(255)
