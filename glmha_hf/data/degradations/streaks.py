"""Four ways to draw rain streaks; each returns an H×W opacity map.

Public rain generators differ above all in how a streak comes about, so a derainer that is to meet
an unknown one should train on several. All four wrap around the picture's edges, which makes a map
drawn for a patch statistically equal to a crop of a larger one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from .base import Picture, chance


@dataclass(frozen=True)
class StreakStyle:
    """One depth layer of rain; lengths in pixels, angles in degrees from the vertical."""

    length: float
    width: float
    angle: float
    angle_jitter: float
    coverage: float  # expected fraction of the picture under a streak

    @property
    def sigma(self) -> float:
        """Standard deviation across a streak whose full width at half maximum is `width`."""
        return max(self.width / 2.355, 0.42)

    def streak_count(self, shape: tuple[int, int]) -> int:
        """How many streaks of this size give the wanted coverage."""
        footprint = self.length * max(self.width, 1.0)
        return max(1, round(self.coverage * shape[0] * shape[1] / footprint))


StreakRenderer = Callable[[tuple[int, int], np.random.Generator, StreakStyle], Picture]


def _frequencies(shape: tuple[int, int], angle: float) -> tuple[Picture, Picture]:
    """Frequencies along and across a streak direction, on the half plane of a real FFT."""
    vertical = np.fft.fftfreq(shape[0]).astype(np.float32)[:, None]
    horizontal = np.fft.rfftfreq(shape[1]).astype(np.float32)[None, :]
    theta = np.deg2rad(angle)
    sine, cosine = np.float32(np.sin(theta)), np.float32(np.cos(theta))
    return vertical * cosine + horizontal * sine, horizontal * cosine - vertical * sine


def motion_blurred_noise(
    shape: tuple[int, int], rng: np.random.Generator, style: StreakStyle
) -> Picture:
    """Sparse thresholded noise smeared along a line with a Gaussian profile.

    The smear is applied as a product in the frequency domain, where a line is a sinc.
    """
    directions = 1 if style.angle_jitter < 0.5 else 2
    spectrum = np.zeros((shape[0], shape[1] // 2 + 1), np.complex64)
    probability = style.streak_count(shape) / (shape[0] * shape[1] * directions)
    for _ in range(directions):
        noise = rng.random(shape, dtype=np.float32)
        seeds = np.where(noise < probability, 0.25 + 0.75 * noise / probability, 0)
        along, across = _frequencies(shape, style.angle + rng.normal(0, style.angle_jitter))
        length = style.length * rng.uniform(0.7, 1.3)
        rounding = -2 * np.pi**2 * (style.sigma**2 * across**2 + (0.1 * length * along) ** 2)
        peak = length * style.sigma * np.sqrt(2 * np.pi)
        transfer = np.sinc(length * along) * np.exp(rounding) * np.float32(peak)
        spectrum += np.fft.rfft2(seeds) * transfer
    return np.clip(np.fft.irfft2(spectrum, s=shape).astype(np.float32), 0, None)


def oriented_noise(shape: tuple[int, int], rng: np.random.Generator, style: StreakStyle) -> Picture:
    """Noise through oriented band-pass filters at several scales, its crests kept.

    The field is Gaussian, so the threshold for a wanted coverage is known beforehand.
    """
    noise = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    transfer = np.zeros(noise.shape, np.float32)
    for octave in range(rng.integers(1, 4)):
        scale = 0.6**octave
        along, across = _frequencies(shape, style.angle + rng.normal(0, style.angle_jitter / 2))
        sigma_along, sigma_across = scale * style.length / 3, max(scale * style.sigma, 0.42)
        envelope = np.exp(-2 * np.pi**2 * (sigma_along * along) ** 2)
        centre = rng.uniform(0, 0.16) / sigma_across
        for side in (-centre, centre):
            envelope_across = np.exp(-2 * np.pi**2 * (sigma_across * (across - side)) ** 2)
            transfer += np.float32(rng.uniform(0.5, 1)) * envelope * envelope_across
    transfer[0, 0] = 0
    field = np.fft.irfft2(noise * transfer, s=shape).astype(np.float32)
    field /= field.std() + 1e-6
    threshold = NormalDist().inv_cdf(1 - min(style.coverage, 0.45))
    crests = np.clip(field - threshold, 0, None) / max(3.5 - threshold, 0.8)
    return crests ** np.float32(rng.uniform(0.7, 1.6))


def drawn_streaks(shape: tuple[int, int], rng: np.random.Generator, style: StreakStyle) -> Picture:
    """Streaks drawn one by one, anti-aliased, each with its own length, angle and taper."""
    taper = rng.uniform(0.3, 2.5)
    head = rng.uniform(0.3, 0.8)

    def profile(across: Picture, along: Picture, sigma: Picture) -> Picture:
        rise = np.where(along < head, along / head, (1 - along) / (1 - head))
        return np.exp(-0.5 * (across / sigma) ** 2) * np.clip(rise, 0, 1) ** np.float32(taper)

    return _draw(shape, rng, style, profile)


def hard_lines(shape: tuple[int, int], rng: np.random.Generator, style: StreakStyle) -> Picture:
    """Lines of even brightness with sharp edges and blunt ends, as a line tool draws them."""
    edge = 0.05 if chance(rng, 0.4) else 1.0  # sometimes without anti-aliasing

    def profile(across: Picture, along: Picture, sigma: Picture) -> Picture:
        return np.clip((1.2 * sigma - np.abs(across)) / edge + 0.5, 0, 1)

    return _draw(shape, rng, style, profile)


def _draw(
    shape: tuple[int, int],
    rng: np.random.Generator,
    style: StreakStyle,
    profile: Callable[[Picture, Picture, Picture], Picture],
) -> Picture:
    """Walk every streak row by row and lay its profile over the few columns it touches."""
    count = style.streak_count(shape)
    draw = rng.random((6, count), dtype=np.float32)
    angle = np.deg2rad(style.angle + style.angle_jitter * 3.4 * (draw[0] - draw[1]) / 1.4)
    length = style.length * (0.5 + draw[2])
    sigma = style.sigma * (0.7 + 0.6 * draw[3])
    brightness = 0.35 + 0.65 * rng.random(count, dtype=np.float32)

    sideways = abs(style.angle) > 45
    if sideways:
        shape, angle = shape[::-1], np.deg2rad(90) - angle
    rise = length * np.abs(np.cos(angle))
    slope = np.clip(np.tan(angle), -2, 2)
    top, left = draw[4] * shape[0], draw[5] * shape[1]

    rows_each = np.ceil(rise).astype(np.intp) + 1
    streak = np.repeat(np.arange(count), rows_each)
    step = np.arange(len(streak)) - np.repeat(np.cumsum(rows_each) - rows_each, rows_each)
    row = np.floor(top)[streak] + step
    below_top = row - top[streak]
    centre = left[streak] + slope[streak] * below_top

    radius = int(np.ceil(2.6 * sigma.max() / np.abs(np.cos(np.arctan(slope))).min()))
    column = np.floor(centre)[:, None] + np.arange(-radius, radius + 2, dtype=np.float32)
    across = (column - centre[:, None]) * np.cos(angle)[streak, None]
    along = np.clip(below_top / rise[streak], 0, 1)[:, None]
    opacity = profile(across, along, sigma[streak, None]) * brightness[streak, None]

    flat = (row.astype(np.intp) % shape[0])[:, None] * shape[1] + column.astype(np.intp) % shape[1]
    summed = np.bincount(flat.ravel(), opacity.ravel(), shape[0] * shape[1])
    canvas: Picture = summed.astype(np.float32).reshape(shape)
    return canvas.T if sideways else canvas


RENDERERS: dict[str, StreakRenderer] = {
    "motion_blurred_noise": motion_blurred_noise,
    "oriented_noise": oriented_noise,
    "drawn_streaks": drawn_streaks,
    "hard_lines": hard_lines,
}
