"""Sensor noise: Gaussian as papers use it, and Poisson-Gaussian as cameras make it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Picture, Range, log_uniform


@dataclass(frozen=True)
class GaussianNoise:
    """Additive white noise, not clipped; `sigma` in 8-bit levels, one number or a blind range."""

    sigma: float | Range = (0.0, 50.0)
    colour: bool = True  # False: the same noise in every channel

    @property
    def margin(self) -> int:
        return 0

    def __call__(self, clean: Picture, rng: np.random.Generator) -> Picture:
        sigma = rng.uniform(*self.sigma) if isinstance(self.sigma, tuple) else self.sigma
        shape = clean.shape if self.colour else (*clean.shape[:2], 1)
        return clean + rng.standard_normal(shape, dtype=np.float32) * np.float32(sigma / 255)


@dataclass(frozen=True)
class PoissonGaussianNoise:
    """Shot noise plus read noise in linear light, the camera's tone curve applied afterwards."""

    electrons: Range = (100.0, 4000.0)  # full-well count that white stands for
    read_noise: Range = (1.0, 12.0)  # standard deviation in electrons
    gamma: float = 2.2

    @property
    def margin(self) -> int:
        return 0

    def __call__(self, clean: Picture, rng: np.random.Generator) -> Picture:
        full_well = log_uniform(rng, self.electrons)
        counts = rng.poisson(np.clip(clean, 0, 1) ** self.gamma * full_well).astype(np.float32)
        read = rng.standard_normal(clean.shape, dtype=np.float32)
        counts += np.float32(log_uniform(rng, self.read_noise)) * read
        return np.clip(counts / np.float32(full_well), 0, 1) ** np.float32(1 / self.gamma)


def benchmark_noise(clean: NDArray[np.uint8], *, sigma: float) -> Picture:
    """The denoising benchmarks' input: every picture noised from seed 0, not clipped.

    The legacy generator is part of the protocol: a new one would give other noise and scores.
    """
    noise = np.random.RandomState(0).normal(0, sigma / 255, clean.shape)
    return (clean.astype(np.float32) / np.float32(255) + noise).astype(np.float32)
