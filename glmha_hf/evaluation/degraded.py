"""Clean pictures that are degraded as they are scored, the same way every time."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np

from ..data.degradations.base import from_eight_bit, to_eight_bit
from ..data.pairs import CleanFolder
from ..training.sources import build_degradation
from .sets import PicturePairs, Sample

NONE = "none"  # what goes in clean should come out clean
PROTOCOLS = {
    "rain": "deraining",
    "validation_rain": "deraining",
    "motion_blur": "deblurring",
    "gaussian_noise": "denoising",
    "poisson_gaussian_noise": "denoising",
}


class DegradedPictures(PicturePairs):
    """`how` is a degradation's name, with parameters as `motion_blur:{"travel": [8, 16]}`.

    What is drawn depends on a picture's name alone. The result is rounded to 8 bits, as it would be
    in a file.
    """

    def __init__(self, source: CleanFolder, name: str, how: str, *, protocol: str | None) -> None:
        kind, _, parameters = how.partition(":")
        self.degradation = None if kind == NONE else build_degradation(_settings(kind, parameters))
        protocol = protocol or PROTOCOLS.get(kind)
        if protocol is None:
            raise ValueError(f"{how} does not tell the task: give --protocol")
        super().__init__(source, f"{name} {how}", protocol)
        self.settings = {"degradation": how}

    def sample(self, index: int, *, gray: bool = False) -> Sample:
        name = self.picture_name(index)
        target, _ = self.pair(index, gray=gray)
        if self.degradation is None:
            return Sample(name, target, picture=target)
        rng = np.random.default_rng([2022, zlib.crc32(name.encode())])
        degraded = to_eight_bit(self.degradation(from_eight_bit(target), rng))
        return Sample(name, target, picture=degraded)


def _settings(kind: str, parameters: str) -> dict[str, Any]:
    try:
        values = json.loads(parameters) if parameters else {}
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        raise ValueError(
            f"{kind}:{parameters}: parameters are JSON, such as motion_blur:"
            + '{"travel": [8, 16]}'
        )
    return {"name": kind, **values}
