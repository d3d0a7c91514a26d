"""Which materials a scene is made of, and how much of each every pixel shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bands import GRID, Spectra
from .illuminants import Illuminant, named
from .reflectances import ROUGH, SUBSTANCES, Library
from .regions import Regions, chromaticity

Weights = NDArray[np.floating]

_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_XYZ_TO_SRGB = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)

_NEAR = 0.04  # chromaticities this far apart look different
_TEXTURED = 0.25  # a region's spread of log brightness between smooth and rough
_AFFINITY = 1.5  # how strongly rough substances go to rough regions
_EVERYWHERE = 0.002  # a material's share where no region proposes it
_STEPS, _HALVINGS = 40, 20
_RIDGE, _FLAT = 1e-6, 1e-6


def colours_of(reflectances: Spectra, illuminant: Illuminant) -> Weights:
    """Linear sRGB (...×3) to an eye that has adapted to the light: white is (1, 1, 1)."""
    import colour

    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
    sensitivity = observer.values[np.searchsorted(observer.wavelengths, GRID)]  # 301×3
    cones = sensitivity @ _BRADFORD.T
    seen = (reflectances * illuminant.power) @ cones
    white, daylight = (light.power @ cones for light in (illuminant, named("D65")))
    adapted = seen / white * daylight @ np.linalg.inv(_BRADFORD).T @ _XYZ_TO_SRGB.T
    return adapted / (daylight @ np.linalg.inv(_BRADFORD).T @ _XYZ_TO_SRGB.T)


def draw_materials(library: Library, count: int, rng: np.random.Generator) -> Library:
    """A scene's own materials, of every substance about equally many."""
    sizes = {name: int((library.substances == name).sum()) for name in SUBSTANCES}
    present = [name for name in SUBSTANCES if sizes[name]]
    chances = np.array([1 / sizes[name] if sizes[name] else 0 for name in library.substances])
    places = rng.choice(len(library), min(count, len(library)), False, chances / len(present))
    return library.part(np.sort(places))


def propose(
    regions: Regions, materials: Library, colours: Weights, count: int, rng: np.random.Generator
) -> Weights:
    """J×K: what every region may be made of; a few materials near its colour lead.

    Which of the near ones lead is chance, so that regions of equal colour may have different
    spectra; rough substances are likelier where there is texture.
    """
    distance = ((regions.chroma[:, None] - chromaticity(colours)) ** 2).sum(axis=-1)
    roughness = np.where(np.isin(materials.substances, ROUGH), 1, -1)
    texture = np.tanh((regions.texture - _TEXTURED) / _TEXTURED)
    score = -distance / (2 * _NEAR**2) + _AFFINITY * texture[:, None] * roughness
    order = np.argsort(-(score + rng.gumbel(size=score.shape)), axis=1)[:, :count]
    proposals = np.full(score.shape, _EVERYWHERE)
    leading = rng.dirichlet(np.ones(order.shape[1]), size=len(order))
    np.put_along_axis(proposals, order, leading, axis=1)
    return proposals


def mix(wanted: Weights, proposed: Weights, colours: Weights) -> Weights:
    """N×K amounts of K materials that look like N colours, near to what is proposed.

    Of all w ≥ 0 with Σ w_k·colour_k = wanted, the one with the least Σ w_k²/proposed_k. It is
    w_k = proposed_k·max(0, colour_k·y), the three numbers y being where the concave `_dual` is
    highest: found by Newton's steps, each halved until it climbs. Colours that no mixture reaches
    are approached. What adds up to more than 1 is brighter light, not more matter.
    """
    outer = (colours[:, :, None] * colours[:, None, :]).reshape(-1, 9)

    def newton(active: Weights, gradient: Weights) -> Weights:
        curvature = (active @ outer).reshape(-1, 3, 3) + _RIDGE * np.eye(3)
        return np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]

    y = newton(proposed, wanted)
    slope = y @ colours.T
    climbing = np.arange(len(wanted))
    for _ in range(_STEPS):
        amounts = proposed[climbing] * slope[climbing].clip(min=0)
        gradient = wanted[climbing] - amounts @ colours - _RIDGE * y[climbing]
        steep = np.abs(gradient).max(axis=1) > _FLAT
        climbing, gradient = climbing[steep], gradient[steep]
        if not len(climbing):
            break
        here, own, look = y[climbing], proposed[climbing], wanted[climbing]
        height = _dual(here, slope[climbing], own, look)
        step = newton(np.where(slope[climbing] > 0, own, 0), gradient)
        for _ in range(_HALVINGS):
            ahead = here + step
            slope_ahead = ahead @ colours.T
            lower = _dual(ahead, slope_ahead, own, look) < height
            if not lower.any():
                break
            step[lower] /= 2
        y[climbing], slope[climbing] = ahead, slope_ahead
    return proposed * slope.clip(min=0)


def _dual(y: Weights, slope: Weights, proposed: Weights, wanted: Weights) -> Weights:
    """y·wanted - Σ proposed_k·max(0, colour_k·y)²/2 - ridge·y²/2, for N pixels."""
    spent = (proposed * slope.clip(min=0) ** 2).sum(axis=1) + _RIDGE * (y**2).sum(axis=1)
    return (y * wanted).sum(axis=1) - spent / 2
