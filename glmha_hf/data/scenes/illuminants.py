"""The light a scene stands in: measured lamps, daylight and filaments of any temperature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .bands import GRID, Spectra, on_grid

LEDS = tuple(f"LED-{kind}" for kind in ("B1", "B2", "B3", "B4", "B5", "BH1", "V1", "V2"))
FLUORESCENT = tuple(f"FL{number}" for number in range(1, 13))


@dataclass(frozen=True)
class Illuminant:
    """Relative power on the grid, 1 on average."""

    name: str
    power: Spectra


def daylight(rng: np.random.Generator) -> Illuminant:
    """CIE daylight from 4,000 to 12,000 K, evenly in mired, in which steps look alike."""
    import colour

    kelvin = 1e6 / rng.uniform(1e6 / 12_000, 1e6 / 4_000)
    xy = colour.temperature.CCT_to_xy_CIE_D(kelvin)
    return _named(f"daylight {kelvin:.0f} K", colour.sd_CIE_illuminant_D_series(xy))


def incandescent(rng: np.random.Generator) -> Illuminant:
    """A glowing filament of 2,400 to 3,300 K; CIE A has 2,856."""
    import colour

    kelvin = 1e6 / rng.uniform(1e6 / 3_300, 1e6 / 2_400)
    shape = colour.SpectralShape(400, 700, 5)
    return _named(f"incandescent {kelvin:.0f} K", colour.sd_blackbody(kelvin, shape))


def led(rng: np.random.Generator) -> Illuminant:
    return named(LEDS[rng.integers(len(LEDS))])


def fluorescent(rng: np.random.Generator) -> Illuminant:
    return named(FLUORESCENT[rng.integers(len(FLUORESCENT))])


FAMILIES: dict[str, Callable[[np.random.Generator], Illuminant]] = {
    "daylight": daylight,
    "incandescent": incandescent,
    "led": led,
    "fluorescent": fluorescent,
}


def named(name: str) -> Illuminant:
    """A CIE illuminant by name, such as D65, A, FL2 or LED-B3."""
    import colour

    if name not in colour.SDS_ILLUMINANTS:
        raise ValueError(f"no illuminant {name}; D65, A, FL2 and LED-B3 are some")
    return _named(name, colour.SDS_ILLUMINANTS[name])


def draw_illuminant(
    shares: Mapping[str, float], window: tuple[float, float], rng: np.random.Generator
) -> Illuminant:
    """One of a family, families in these shares; lamps with daylight through a window.

    `window` bounds the daylight's share: pure lamps leave whole bands dark, rooms seldom do.
    """
    weights = np.array(list(shares.values()), dtype=np.float64)
    family = list(shares)[rng.choice(len(weights), p=weights / weights.sum())]
    light = FAMILIES[family](rng)
    if family == "daylight":
        return light
    share, outside = rng.uniform(*window), daylight(rng)
    name = f"{light.name} with {100 * share:.0f} % of {outside.name}"
    return Illuminant(name, (1 - share) * light.power + share * outside.power)


def check_shares(shares: Mapping[str, float]) -> None:
    unknown = sorted(set(shares) - set(FAMILIES))
    if unknown:
        raise ValueError(f"no light {unknown[0]}; there are {', '.join(FAMILIES)}")
    if not shares or min(shares.values()) < 0 or sum(shares.values()) <= 0:
        raise ValueError("the shares of the lights are numbers from 0, not all of them 0")


def _named(name: str, distribution: object) -> Illuminant:
    power = on_grid(distribution.wavelengths, distribution.values)  # type: ignore[attr-defined]
    return Illuminant(name, power * len(GRID) / power.sum())
