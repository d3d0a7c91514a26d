"""From a cube to an RGB picture as NTIRE 2022 takes it: exposed, noisy, clipped, 8 bits, JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..pictures import Pixels
from ..spectral_sets import NTIRE_WAVELENGTHS, Cube
from .bands import on_grid
from .illuminants import named


@dataclass(frozen=True)
class Camera:
    """A measured camera and how it is exposed; the defaults are those of NTIRE 2022's tools.

    The gain of the channels is fixed, as there: gray looks gray in D65, and other light keeps its
    colour. Values are linear in the light.
    """

    sensitivities: str = "Nikon 5100 (NPL)"  # or "Sigma SDMerill (NPL)"
    exposure: float = 0.18  # mean level of the picture, of full scale
    photoelectrons: float = 750  # at that level; 0 for no noise
    jpeg_quality: int = 65

    def __post_init__(self) -> None:
        if not 0 < self.exposure < 1 or self.photoelectrons < 0:
            raise ValueError("the exposure lies within 0 and 1, the photoelectrons start at 0")
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"JPEG's quality goes from 1 to 100, not {self.jpeg_quality}")

    def response(self) -> NDArray[np.float64]:
        """31×3: what each band of a cube gives to red, green and blue."""
        import colour

        known = colour.MSDS_CAMERA_SENSITIVITIES
        if self.sensitivities not in known:
            names = ", ".join(known)
            raise ValueError(f"no camera {self.sensitivities}; there are {names}")
        measured = known[self.sensitivities]
        values = on_grid(measured.wavelengths, measured.values.T)
        at = np.asarray(NTIRE_WAVELENGTHS, dtype=int) - 400
        beyond = np.asarray(NTIRE_WAVELENGTHS) > measured.wavelengths[-1]
        response = np.where(beyond[:, None], 0, values[:, at].T)
        return response / (named("D65").power[at] @ response)

    def expose(self, cube: Cube, rng: np.random.Generator) -> NDArray[np.float64]:
        """H×W×3 within 0 and 1, exposed to the mean level unless highlights are clipped."""
        light = np.moveaxis(cube, 0, -1).astype(np.float64) @ self.response()
        exposed = light * (self.exposure / light.mean())
        if self.photoelectrons:
            unit = self.photoelectrons / self.exposure
            exposed = rng.poisson(exposed * unit) / unit
        return exposed.clip(max=1)

    def jpeg(self, exposed: NDArray[np.float64]) -> bytes:
        """NTIRE's conversion cuts the fraction off."""
        pixels: Pixels = (exposed * 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "jpeg", quality=self.jpeg_quality)
        return buffer.getvalue()
