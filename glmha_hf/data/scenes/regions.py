"""The parts a photograph falls into, softly: alike in colour, brightness and texture, and near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]

# How much a unit of each feature counts; a distance of 1 is a clear difference.
_CHROMA, _BRIGHTNESS, _TEXTURE, _PLACE = 12.0, 0.6, 3.0, 1.5
_SOFTNESS = 0.25
_ROUNDS, _SAMPLE = 12, 4096


@dataclass(frozen=True)
class Regions:
    """N pixels in J regions: shares that add up to 1, and what each region is like."""

    shares: Plane  # N×J
    chroma: Plane  # J×2
    texture: Plane  # J


def chromaticity(colours: NDArray) -> Plane:
    """Red and green over the sum, ...×2; black counts as gray."""
    bounded = np.maximum(colours, 1e-6)
    return (bounded / bounded.sum(axis=-1, keepdims=True))[..., :2]


def find_regions(photograph: Plane, count: int, rng: np.random.Generator) -> Regions:
    """Cluster the pixels of a linear H×W×3 photograph by k-means, with soft edges between."""
    from scipy.ndimage import gaussian_filter

    H, W, _ = photograph.shape
    smooth = gaussian_filter(photograph, (1, 1, 0))
    brightness = np.log(smooth.mean(axis=-1) + 0.01)
    fine = np.log(photograph.mean(axis=-1) + 0.01)
    spread = gaussian_filter(fine**2, 4) - gaussian_filter(fine, 4) ** 2
    texture = np.sqrt(spread.clip(min=0))
    rows, columns = np.mgrid[:H, :W] / max(H, W)
    features = np.stack(
        [
            *(_CHROMA * np.moveaxis(chromaticity(smooth), -1, 0)),
            _BRIGHTNESS * brightness,
            _TEXTURE * texture,
            _PLACE * rows,
            _PLACE * columns,
        ],
        axis=-1,
    ).reshape(H * W, -1)
    centres = _k_means(features[rng.integers(H * W, size=_SAMPLE)], count, rng)
    closeness = -_squared_distances(features, centres) / (2 * _SOFTNESS**2)
    shares = np.exp(closeness - closeness.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return Regions(shares, centres[:, :2] / _CHROMA, centres[:, 3] / _TEXTURE)


def _k_means(points: Plane, count: int, rng: np.random.Generator) -> Plane:
    """Lloyd's rounds from k-means++'s beginning; a region left without points stays where it is."""
    centres = points[:1]
    for _ in range(count - 1):
        far = _squared_distances(points, centres).min(axis=1)
        total = far.sum()
        chosen = rng.choice(len(points), p=far / total if total > 0 else None)
        centres = np.concatenate([centres, points[chosen : chosen + 1]])
    for _ in range(_ROUNDS):
        nearest = _squared_distances(points, centres).argmin(axis=1)
        members = np.eye(count)[nearest]
        sizes = members.sum(axis=0)[:, None]
        centres = np.where(sizes > 0, members.T @ points / np.maximum(sizes, 1), centres)
    return centres


def _squared_distances(points: Plane, centres: Plane) -> Plane:
    """N×J."""
    squares = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)
    return (squares - 2 * points @ centres.T).clip(min=0)
