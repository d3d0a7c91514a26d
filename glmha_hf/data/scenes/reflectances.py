"""Measured reflectances: earthlib's spectral library and the colour charts of colour-science."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .bands import Spectra, on_grid

Split = Literal["train", "validation"]
VALIDATION_SHARE = 0.25

# What earthlib's third level of classes is made of; what is not named here is masonry.
_SUBSTANCE = {
    "soil": ("soil", "sand", "dirt", "gravel"),
    "foliage": ("canopy",),
    "dead plants": ("npv", "litter", "bark", "wood", "wood_shingle", "char"),
    "coating": ("paint", "metal", "tile", "glass"),
}
SUBSTANCES = (*_SUBSTANCE, "masonry", "sample")
"""`sample` is a colour chart's patch, or one of the objects that colour rendering is judged by."""

ROUGH = ("soil", "foliage", "dead plants")
"""Substances whose surfaces have texture."""


@dataclass(frozen=True)
class Library:
    """Reflectances by name."""

    names: tuple[str, ...]
    substances: NDArray[np.str_]
    reflectances: Spectra  # materials×301, within 0 and 1

    def __len__(self) -> int:
        return len(self.names)

    def part(self, places: NDArray[np.integer]) -> Library:
        names = tuple(self.names[place] for place in places)
        return Library(names, self.substances[places], self.reflectances[places])


@dataclass(frozen=True)
class Material:
    """One measured reflectance; those of the same origin never fall into two splits."""

    name: str
    substance: str
    origin: str
    reflectance: Spectra


@lru_cache
def library(split: Split) -> Library:
    """All materials of a split, which depends on nothing but where each was measured."""
    chosen = [material for material in _everything() if split_of(material.origin) == split]
    return Library(
        tuple(material.name for material in chosen),
        np.array([material.substance for material in chosen]),
        np.stack([material.reflectance for material in chosen]),
    )


def split_of(origin: str) -> Split:
    """The same for the same name, on every machine."""
    number = int.from_bytes(hashlib.sha256(origin.encode()).digest()[:8], "big")
    return "validation" if number < VALIDATION_SHARE * 2**64 else "train"


def _everything() -> Iterator[Material]:
    yield from _earthlib()
    yield from _samples()


def check_installed() -> None:
    """Name what the extra `scenes` would bring and is not there."""
    needed = ("colour", "earthlib", "h5py", "scipy")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing == ["earthlib"]:
        raise ImportError("scenes need the spectra of earthlib: pip install --no-deps earthlib")
    if missing:
        raise ImportError(f"scenes need {', '.join(missing)}: pip install 'glmha-hf[scenes]'")


def _earthlib_folder() -> Path:
    """Where earthlib's data lies; the package is not imported, for it brings much along."""
    found = importlib.util.find_spec("earthlib")
    if found is None or found.origin is None:
        check_installed()
        raise ImportError("earthlib is installed without its files: install it again")
    return Path(found.origin).parent / "data"


def _earthlib() -> Iterator[Material]:
    """7,261 spectra; 5,261 measured, and 2,000 canopies that PROSAIL computed."""
    folder = _earthlib_folder()
    with (folder / "spectra.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    header = (folder / "spectra.sli.hdr").read_text(encoding="utf-8")
    listed = re.search(r"wavelength = \{([^}]*)\}", header)
    if listed is None:
        raise ValueError(f"{folder / 'spectra.sli.hdr'} does not say its wavelengths")
    micrometres = np.array(listed[1].split(","), dtype=np.float64)
    values = np.fromfile(folder / "spectra.sli", dtype="<f4").reshape(len(rows), -1)
    nanometres = np.rint(1000 * micrometres)
    visible = nanometres <= 700
    reflectances = on_grid(nanometres[visible], values[:, visible].astype(np.float64))
    for row, reflectance in zip(rows, reflectances, strict=True):
        substance = next(
            (name for name, classes in _SUBSTANCE.items() if row["LEVEL_3"] in classes), "masonry"
        )
        yield Material(row["NAME"], substance, _origin(row), reflectance.clip(max=1))


def _origin(row: dict[str, str]) -> str:
    """Soils by their site, pieces of a town by their specimen, all else by name."""
    if row["LEVEL_3"] == "soil":
        return f"soil {row['LAT']} {row['LON']}"
    specimen = re.match(r"[a-z]{6}\.\d+", row["NAME"])
    return specimen[0] if specimen else row["NAME"]


def _samples() -> Iterator[Material]:
    """Charts and test objects; a chart measured twice counts as one origin a patch."""
    import colour
    from colour.characterisation import read_training_data_rawtoaces_v1
    from colour.quality.cfi2017 import load_TCS_CIE2017

    charts = {
        f"{chart} {patch}": (patch, spectrum)
        for chart in ("BabelColor Average", "ISO 17321-1", "PMC")
        for patch, spectrum in colour.SDS_COLOURCHECKERS[chart].items()
    }
    for name, (patch, spectrum) in charts.items():
        reflectance = on_grid(spectrum.wavelengths, spectrum.values)
        yield Material(name, "sample", f"patch {patch}", reflectance.clip(max=1))
    sets = {
        "CIE 2017": load_TCS_CIE2017(colour.SpectralShape(380, 780, 5)),
        "rawtoaces": read_training_data_rawtoaces_v1(),
    }
    for name, spectra in sets.items():
        values = on_grid(spectra.wavelengths, spectra.values.T)
        for number, reflectance in enumerate(values, 1):
            if reflectance.max() <= 1:  # a few of rawtoaces are brighter than white
                yield Material(f"{name} {number}", "sample", f"{name} {number}", reflectance)
