"""Sheets of the worst pictures of a run: before, after, truth and error, whole and enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..analysis.sheets import Panel, crop, draw_sheet, error_map, worst_box
from ..analysis.spectra import cube_to_srgb, natural_exposure
from ..metrics import PictureScores
from ..metrics.names import UNITS, format_score
from .files import save_picture
from .restorers import Restorer
from .run import Result, restore_sample
from .sets import Sample, TestSet

ERROR_PEAK = {"picture": 64.0, "cube": 0.1}
"""Where the error's scale ends: 8-bit levels, or reflectance."""


def write_worst_sheets(
    results: Sequence[Result],
    restorers: Sequence[Restorer],
    sets: Sequence[TestSet],
    folder: Path,
    *,
    count: int,
) -> list[Path]:
    """One PNG a model and set, with its `count` worst pictures restored once more."""
    by_name = {each.name: each for each in restorers}
    set_by_name = {(each.name, each.protocol): each for each in sets}
    paths = []
    for result in results:
        test_set = set_by_name[result.set, result.protocol]
        image = worst_sheet(result, by_name[result.model], test_set, count=count)
        name = f"{result.model.replace('/', '--')} on {result.set} ({result.protocol}).png"
        paths.append(folder / name)
        save_picture(image, paths[-1])
    return paths


def worst_sheet(
    result: Result, restorer: Restorer, test_set: TestSet, *, count: int
) -> Image.Image:
    rows: list[list[Panel]] = []
    for picture in result.scores.worst(count):
        assert picture.index is not None
        sample, prediction = restore_sample(restorer, test_set, picture.index)
        rows += before_after(sample, prediction, picture)
    title = f"{result.model} on {result.set}: the {len(rows) // 2} worst of {len(result.scores)}"
    return draw_sheet(rows, title=title)


def before_after(
    sample: Sample, prediction: np.ndarray, scored: PictureScores
) -> list[list[Panel]]:
    """Two rows: the whole picture, and the part where the error is greatest."""
    is_cube = sample.target.dtype.kind == "f"
    peak = ERROR_PEAK["cube" if is_cube else "picture"]
    truth, restored, before = shown(sample, prediction)
    error = error_map(
        *_comparable(prediction, sample.target), peak=peak, channel_axis=0 if is_cube else -1
    )
    difference = np.abs(restored.astype(np.float64) - truth).mean(axis=-1)
    height, width = (max(16, side // 5) for side in difference.shape)
    box = worst_box(difference, height=height, width=width)
    end = f"{peak:g}" + ("" if is_cube else " levels")
    scores = ", ".join(
        f"{UNITS[key].partition(' ')[0]} {format_score(key, value)}"
        for key, value in scored.scores.items()
    )
    titles = (f"{sample.name}: input", "restored", "truth", "error")
    captions = ("", scores, "", f"mean |difference|: black 0, yellow {end} or more")
    pictures = (before, restored, truth, error)
    fitting = before.shape[:2] == truth.shape[:2]
    whole = [
        Panel(picture, title, caption, (box,) if i or fitting else ())
        for i, (picture, title, caption) in enumerate(zip(pictures, titles, captions, strict=True))
    ]
    zoomed = [Panel(crop(picture, box)) for picture in pictures]
    return [whole, zoomed]


def shown(sample: Sample, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, prediction and input as H×W×3 uint8; cubes with the truth's exposure."""
    if sample.target.dtype.kind != "f":
        assert sample.picture is not None
        return _rgb(sample.target), _rgb(prediction), _rgb(sample.picture)
    exposure = natural_exposure(sample.target)
    truth, restored = (
        cube_to_srgb(cube, exposure=exposure) for cube in (sample.target, prediction)
    )
    if sample.snapshot is not None:
        return truth, restored, _rgb(sample.snapshot[..., None] / sample.snapshot.max())
    assert sample.picture is not None
    return truth, restored, _rgb(sample.picture)


def _rgb(picture: np.ndarray) -> np.ndarray:
    if picture.dtype.kind == "f":
        picture = np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
    return np.repeat(picture, 3, axis=-1) if picture.shape[-1] == 1 else picture


def _comparable(prediction: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SIDD's predictions are floats beside an 8-bit truth: bring them to its levels."""
    if prediction.dtype.kind == "f" and target.dtype == np.uint8:
        return prediction * 255, target
    return prediction, target
