"""Cubes out of an RGB picture or a CASSI snapshot, and ways to look at them."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
import torch
from PIL import Image

from ..analysis.cube_views import Place, different_places, marked
from ..analysis.plots import COLOURS
from ..analysis.spectra import (
    band_picture,
    cube_to_srgb,
    false_colour,
    natural_exposure,
    nearest_bands,
    usual_wavelengths,
)
from ..baselines.gap_tv import ITERATIONS, gap_tv
from ..data.cassi import CassiSystem
from ..data.cube_formats import SpectralCube, write_cube
from ..inference.cubes import model_wavelengths
from ..metrics.fidelity import psnr
from ..metrics.spectral import sam
from . import examples, models
from .pictures import Pixels, for_screen, open_upload
from .restoring import UNKNOWN, Share
from .stopping import StoppedError

MAX_CUBE_PIXELS = 1_100_000
"""A cube of 31 bands takes 124 bytes a pixel."""
GAP_TV = "gap-tv"
VIEWS = ("Colours", "False colour", "One band")
SHOWN_WIDTH = 512
FIRST_PIXELS, MOST_PIXELS = 3, len(COLOURS)
SAMPLES = 256
"""Rows and columns that the brightness of a whole cube is judged by."""


@dataclass(frozen=True)
class Reconstruction:
    """A cube as `.npy` and `.mat`, its truth where it is known, and what it took."""

    files: list[Path]
    truth: Path | None
    pixels: str
    facts: dict[str, str]


def cube_of_picture(
    path: Path | str | None,
    folder: Path,
    *,
    model: str | None,
    progress: Share = lambda share: None,
    stopped: Event | None = None,
) -> Reconstruction:
    """31 bands of an RGB picture; scaled down first where it is larger than cubes may be."""
    chosen = models.find_shipped(model, "rgb2hsi")
    upload = open_upload(path)
    pixels = scaled(for_screen(upload.pixels))
    height, width = pixels.shape[:2]
    restorer = models.restorer(chosen.name)
    done = 0

    def finished(pixels_done: int) -> None:
        nonlocal done
        _go_on(stopped)
        done += pixels_done
        progress(done / (height * width))

    inputs = dict(restorer.processor([pixels]))
    started = time.perf_counter()
    values = restorer.reconstruct(inputs, progress=finished)[0].clamp_min(0).numpy()
    seconds = time.perf_counter() - started
    cube = SpectralCube(values, model_wavelengths(restorer))
    is_the_scene = np.array_equal(pixels, open_upload(examples.SCENE_PICTURE).pixels)
    truth = examples.ntire_scene() if is_the_scene else None
    facts = {"Time": f"{seconds:.2f} s"}
    if pixels.shape[:2] != upload.size:
        facts["Scaled from"] = f"{upload.size[1]} × {upload.size[0]}"
    return _written(cube, truth, folder, facts)


def scaled(pixels: Pixels) -> Pixels:
    """No larger than a cube may be here."""
    height, width = pixels.shape[:2]
    if height * width <= MAX_CUBE_PIXELS:
        return pixels
    factor = (MAX_CUBE_PIXELS / (height * width)) ** 0.5
    size = max(1, int(width * factor)), max(1, int(height * factor))
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def cube_of_snapshot(
    folder: Path,
    *,
    model: str | None = GAP_TV,
    progress: Share = lambda share: None,
    stopped: Event | None = None,
) -> Reconstruction:
    """28 bands of the example's simulated snapshot, by a model or by total variation alone."""
    system, truth = examples.cassi_system(), examples.cassi_scene()
    snapshot = _snapshot(system, truth)
    done = 0

    def iterated(iterations: int) -> None:
        nonlocal done
        _go_on(stopped)
        done += iterations
        progress(done / ITERATIONS)

    if model == GAP_TV:
        started = time.perf_counter()
        values = gap_tv(snapshot, system, progress=iterated).clamp_min(0).numpy()
    else:
        restorer = models.restorer(models.find_shipped(model, "cassi").name)
        inputs = dict(restorer.processor(snapshot, mask=system.mask))
        started = time.perf_counter()
        values = restorer.reconstruct(inputs)[0].clamp_min(0).numpy()
    facts = {"Time": f"{time.perf_counter() - started:.2f} s"}
    return _written(SpectralCube(values, truth.wavelengths), truth, folder, facts)


def _snapshot(system: CassiSystem, cube: SpectralCube) -> torch.Tensor:
    return system.measure(torch.from_numpy(cube.values))


def snapshot_picture() -> Pixels:
    """The example as the sensor sees it."""
    values = _snapshot(examples.cassi_system(), examples.cassi_scene()).numpy()
    return np.rint(values / values.max() * 255).astype(np.uint8)


def _go_on(stopped: Event | None) -> None:
    if stopped is not None and stopped.is_set():
        raise StoppedError


def _written(
    cube: SpectralCube, truth: SpectralCube | None, folder: Path, facts: dict[str, str]
) -> Reconstruction:
    files = [folder / "cube.npy", folder / "cube.mat"]
    for file in files:
        write_cube(cube, file)
    _, height, width = cube.values.shape
    known = cube.wavelengths
    facts["Cube"] = f"{width} × {height} × {len(known)} bands, {known[0]:g} to {known[-1]:g} nm"
    truth_file = None
    facts |= {"PSNR": UNKNOWN, "Spectral angle": UNKNOWN}
    if truth is not None:
        truth_file = folder / "truth.npy"
        np.save(truth_file, truth.values)
        facts["PSNR"] = f"{float(psnr(cube.values.clip(0, 1), truth.values, peak=1)):.2f} dB"
        facts["Spectral angle"] = f"{float(sam(cube.values, truth.values)):.1f}°"
    places = different_places(cube, FIRST_PIXELS)
    pixels = "; ".join(f"{place.row}, {place.column}" for place in places)
    return Reconstruction(files, truth_file, pixels, facts)


def open_cube(path: Path | str | None) -> SpectralCube:
    """A cube's `.npy`, mapped and not read: a view needs only part of it."""
    if path is None:
        raise ValueError("there is no cube yet: reconstruct one first")
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError):
        raise ValueError("the cube's file is not a .npy array") from None
    if values.ndim != 3 or values.dtype.kind != "f":
        raise ValueError(f"a cube is C×H×W floats, this array is {values.shape} {values.dtype}")
    return SpectralCube(values, usual_wavelengths(len(values)))


def draw_view(
    cube: SpectralCube, view: str, *, wavelength: float, places: Sequence[Place]
) -> Pixels:
    """The cube's picture, enlarged where it is small, the places marked in it."""
    if view not in VIEWS:
        raise ValueError(f"the view is one of {', '.join(VIEWS)}, not {view!r}")
    if view == "False colour":
        picture = false_colour(cube.values, cube.wavelengths)
    elif view == "Colours":
        exposure = natural_exposure(_sampled(cube), cube.wavelengths)
        picture = cube_to_srgb(cube.values, cube.wavelengths, exposure=exposure)
    else:
        band = nearest_bands(cube.wavelengths, [wavelength])[0]
        peak = float(np.percentile(_sampled(cube), 99.8))
        picture = band_picture(cube.values[band], cube.wavelengths[band], peak=peak)
    return marked(picture, places, width=picture.shape[1] * enlargement(cube))


def enlargement(cube: SpectralCube) -> int:
    """How many pixels of the view a pixel of the cube has, each way."""
    _, H, W = cube.values.shape
    return max(1, min(round(SHOWN_WIDTH / W), 2 * SHOWN_WIDTH // H))


def _sampled(cube: SpectralCube) -> np.ndarray:
    _, H, W = cube.values.shape
    return np.asarray(cube.values[:, :: max(1, H // SAMPLES), :: max(1, W // SAMPLES)])


def read_places(text: str, cube: SpectralCube) -> list[Place]:
    """`row, column; row, column`, as it stands in the page's field."""
    places = []
    _, H, W = cube.values.shape
    for part in filter(str.strip, text.split(";")):
        numbers = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", part)
        if numbers is None:
            raise ValueError(
                f"pixels are written as row, column; row, column; not {part.strip()!r}"
            )
        row, column = int(numbers[1]), int(numbers[2])
        if row >= H or column >= W:
            raise ValueError(
                f"there is no pixel {row}, {column} in a cube of {H} rows, {W} columns"
            )
        places.append(Place(row, column, side=1))
    if len(places) > MOST_PIXELS:
        raise ValueError(f"up to {MOST_PIXELS} pixels are shown at once, not {len(places)}")
    return places


def add_place(text: str, row: int, column: int) -> str:
    """One more pixel; the oldest goes where there are too many."""
    kept = [part.strip() for part in text.split(";") if part.strip()]
    return "; ".join([*kept, f"{row}, {column}"][-MOST_PIXELS:])


def spectra_rows(
    cube: SpectralCube, places: Sequence[Place], truth: SpectralCube | None = None
) -> list[tuple[float, float, str]]:
    """Wavelength, value, and the pixel's number; the truth's rows are named after it."""
    rows = []
    for number, place in enumerate(places, start=1):
        for name, source in ((f"pixel {number}", cube), (f"pixel {number}, truth", truth)):
            if source is not None:
                values = place.spectrum(source.values)
                rows += [
                    (wavelength, float(value), name)
                    for wavelength, value in zip(source.wavelengths, values, strict=True)
                ]
    return rows
