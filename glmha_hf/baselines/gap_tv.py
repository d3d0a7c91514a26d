"""GAP-TV: a CASSI snapshot inverted without any training, by total variation alone.

X. Yuan, "Generalized alternating projection based total variation minimization for compressive
sensing", ICIP 2016, in its accelerated form and with the published step of 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..data.cassi import CassiSystem

ITERATIONS = 100
TV_WEIGHT = 0.1
TV_ITERATIONS = 5
DUAL_STEP = 0.25
"""Chambolle's largest step that is known to converge in two dimensions."""


def gap_tv(
    measurement: Tensor,
    system: CassiSystem,
    *,
    iterations: int = ITERATIONS,
    tv_weight: float = TV_WEIGHT,
    tv_iterations: int = TV_ITERATIONS,
    progress: Callable[[int], object] | None = None,
) -> Tensor:
    """The L×H×W scene of an H×W' snapshot whose brightest reflectances are near 1.

    Each iteration projects onto the scenes that give the measurement and smooths every band; what
    smoothing took from the measurement is asked for on top the next time. The first scene is dark.
    `progress` is called with 1 after each iteration.
    """
    if iterations < 1 or tv_weight < 0 or tv_iterations < 1:
        raise ValueError("GAP-TV takes at least one iteration of each kind and a weight from 0 up")
    gain = _gain(system, measurement)
    scene = torch.zeros_like(system.adjoint(measurement))
    asked_for = torch.zeros_like(measurement)
    for _ in range(iterations):
        measured = system.measure(scene)
        asked_for = asked_for + (measurement - measured)
        scene = scene + system.adjoint((asked_for - measured) / gain)
        scene = denoise_tv(scene, weight=tv_weight, iterations=tv_iterations)
        if progress is not None:
            progress(1)
    return scene


def _gain(system: CassiSystem, measurement: Tensor) -> Tensor:
    """The diagonal of measuring after its adjoint: Σ mask² on each sensor pixel, 1 in the dark."""
    squared = CassiSystem(system.mask**2, bands=system.bands, step=system.step)
    gain = squared.measure(torch.ones_like(squared.adjoint(measurement)))
    return torch.where(gain > 0, gain, torch.ones_like(gain))


def denoise_tv(bands: Tensor, *, weight: float, iterations: int) -> Tensor:
    """Every H×W band for itself: min ½‖u - band‖² + weight·TV(u), by Chambolle's dual descent.

    As scikit-image's `denoise_tv_chambolle` with `eps=0` and one iteration more, which it does not
    use. Band by band, because one band's arrays stay in the processor's cache.
    """
    if weight == 0:
        return bands
    flat = bands.reshape(-1, *bands.shape[-2:])
    smooth = [_denoise_band(band, weight=weight, iterations=iterations) for band in flat]
    return torch.stack(smooth).reshape(bands.shape)


def _denoise_band(band: Tensor, *, weight: float, iterations: int) -> Tensor:
    dual = band.new_zeros(2, *band.shape)  # along rows, along columns
    slope = torch.zeros_like(dual)
    smooth = band
    for _ in range(iterations):
        torch.sub(smooth[1:], smooth[:-1], out=slope[0, :-1])
        torch.sub(smooth[:, 1:], smooth[:, :-1], out=slope[1, :, :-1])
        steepness = slope.square().sum(0).sqrt_().mul_(DUAL_STEP / weight).add_(1)
        dual.sub_(slope, alpha=DUAL_STEP).div_(steepness)
        smooth = band - dual[0] - dual[1]
        smooth[1:] += dual[0, :-1]
        smooth[:, 1:] += dual[1, :, :-1]
    return smooth
