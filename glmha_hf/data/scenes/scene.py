"""One scene: a photograph's shapes and shading, in measured materials and measured light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..degradations.base import from_eight_bit
from ..pictures import Pixels
from ..spectral_sets import Cube
from .bands import band_filters
from .illuminants import check_shares, draw_illuminant
from .mixing import colours_of, draw_materials, mix, propose
from .reflectances import Library
from .regions import find_regions

_ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class SceneStyle:
    """What scenes are like."""

    size: int = 256  # pixels a side
    regions: int = 16  # parts of a photograph
    materials: int = 80  # to choose from in one scene
    proposals: int = 4  # materials that lead in a region
    stray_light: float = 0.02  # of the mean, everywhere: a lens leaves no pixel black
    window: tuple[float, float] = (0.1, 0.5)  # share of daylight in a room with lamps
    mean_level: float = 0.12  # of full scale, before highlights are clipped
    illuminants: dict[str, float] = field(
        default_factory=lambda: {
            "daylight": 0.5,
            "incandescent": 0.15,
            "led": 0.2,
            "fluorescent": 0.15,
        }
    )

    def __post_init__(self) -> None:
        check_shares(self.illuminants)
        if self.size < 16 or self.regions < 1 or self.materials < 8:
            raise ValueError("a scene has 16 pixels a side, 1 region and 8 materials at least")
        if self.proposals < 1 or self.stray_light <= 0:
            raise ValueError("a region has 1 material at least, and some stray light")
        if not 0 < self.mean_level < 1:
            raise ValueError("the mean level lies within 0 and 1")
        if not 0 <= self.window[0] <= self.window[1] <= 1:
            raise ValueError("the window is two shares of daylight, the lesser first")


@dataclass(frozen=True)
class Scene:
    """A cube within 0 and 1, and what it is made of."""

    cube: Cube
    illuminant: str
    materials: tuple[str, ...]


def make_scene(
    photograph: Pixels,
    library: Library,
    wavelengths: Sequence[float],
    style: SceneStyle,
    rng: np.random.Generator,
) -> Scene:
    """Every pixel a mixture that looks, in the scene's light, as the photograph's does in daylight.

    The photograph's brightness and colour survive pixel by pixel; what spectrum a colour has is
    the region's own. The cube is exposed to the mean level, as the RGB camera's picture is to its
    own, so that one is as bright as the other in every scene; highlights are clipped at 1.
    """
    wanted = linear(cut(photograph, style.size, rng))
    if not wanted.any():
        raise ValueError("a scene needs some light, and the photograph is black")
    wanted = (wanted + style.stray_light * wanted.mean(axis=(0, 1))) / (1 + style.stray_light)
    illuminant = draw_illuminant(style.illuminants, style.window, rng)
    materials = draw_materials(library, style.materials, rng)
    colours = colours_of(materials.reflectances, illuminant)
    regions = find_regions(wanted, style.regions, rng)
    proposals = propose(regions, materials, colours, style.proposals, rng)
    spectra = (materials.reflectances * illuminant.power) @ band_filters(wavelengths)

    size, step = style.size, _ROWS_AT_ONCE * style.size
    pixels = wanted.reshape(-1, 3)
    lit = np.concatenate(
        [
            mix(pixels[i : i + step], regions.shares[i : i + step] @ proposals, colours) @ spectra
            for i in range(0, size * size, step)
        ]
    )
    exposed = (lit * (style.mean_level / lit.mean())).clip(max=1)
    cube = exposed.astype(np.float32).reshape(size, size, -1)
    return Scene(np.ascontiguousarray(cube.transpose(2, 0, 1)), illuminant.name, materials.names)


def cut(photograph: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    """A square as large as the photograph has, anywhere in it, brought to `size`."""
    H, W, _ = photograph.shape
    side = min(H, W)
    top, left = (int(rng.integers(length - side + 1)) for length in (H, W))
    square = Image.fromarray(photograph[top : top + side, left : left + side])
    return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))


def linear(pixels: Pixels) -> NDArray[np.float64]:
    """Light, of sRGB's 8 bits."""
    coded = from_eight_bit(pixels).astype(np.float64)
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
