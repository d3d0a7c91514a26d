"""JPEG compression."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .base import Picture, Range, from_eight_bit, to_eight_bit


def jpeg_round_trip(picture: Picture, *, quality: int) -> Picture:
    """Encode and decode, so that the picture carries this quality's artefacts."""
    pixels = to_eight_bit(picture)
    buffer = io.BytesIO()
    single = pixels.shape[2] == 1
    Image.fromarray(pixels[..., 0] if single else pixels).save(buffer, "jpeg", quality=quality)
    decoded = from_eight_bit(np.asarray(Image.open(buffer)))
    return decoded[..., None] if single else decoded


@dataclass(frozen=True)
class Jpeg:
    """Compress at a quality drawn from a range; a 16 pixel margin lets the block grid vary."""

    quality: Range = (30, 95)

    @property
    def margin(self) -> int:
        return 16

    def __call__(self, clean: Picture, rng: np.random.Generator) -> Picture:
        low, high = self.quality
        return jpeg_round_trip(clean, quality=int(rng.integers(int(low), int(high) + 1)))
