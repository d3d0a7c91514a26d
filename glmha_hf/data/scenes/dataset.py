"""From photographs to a spectral dataset laid out as ARAD-1K, or as CAVE and KAIST are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...files import replaced_file
from ..checks import DatasetError
from ..pictures import list_pictures, read_picture
from ..spectral_sets import CASSI_WAVELENGTHS, NTIRE_WAVELENGTHS
from ..synthesis import SynthesisRecipe, agree_with_earlier_run, run_all
from .cameras import Camera
from .card import scene_card
from .reflectances import Split, check_installed, library
from .scene import Scene, SceneStyle, make_scene

SCENE_TASKS = {"rgb2hsi": NTIRE_WAVELENGTHS, "cassi": CASSI_WAVELENGTHS}
SCENE_SIZES = {"rgb2hsi": 384, "cassi": 256}
"""Pixels a side: some left inside NTIRE's margin, and as many as the published mask has."""


@dataclass(frozen=True)
class SceneRecipe(SynthesisRecipe):
    """Scenes; copies have other light and matter, the parameters are SceneStyle's and Camera's."""

    tasks = SCENE_TASKS

    def __post_init__(self) -> None:
        super().__post_init__()
        known = {each.name for kind in self._kinds() for each in fields(kind)}
        unknown = sorted(set(self.parameters) - known)
        if unknown:
            raise ValueError(f"no parameter {unknown[0]}; there are {', '.join(sorted(known))}")
        try:
            self.style(), self.camera()
        except TypeError as error:
            raise ValueError(f"cannot make scenes with {self.parameters} ({error})") from None

    def _kinds(self) -> tuple[type, ...]:
        return (SceneStyle, Camera) if self.task == "rgb2hsi" else (SceneStyle,)

    def style(self) -> SceneStyle:
        return SceneStyle(**self._of(SceneStyle))

    def camera(self) -> Camera:
        return Camera(**self._of(Camera))

    def _of(self, kind: Any) -> dict[str, Any]:
        names = {each.name for each in fields(kind)}
        return {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self.parameters.items()
            if name in names
        }

    def settings(self) -> dict[str, Any]:
        """Every parameter with its value, for the card."""
        camera = asdict(self.camera()) if self.task == "rgb2hsi" else {}
        return {**asdict(self.style()), **camera}


@dataclass(frozen=True)
class Job:
    """One scene to be made: of which photograph, which of its copies, and where it goes."""

    photograph: Path
    name: str  # the photograph's
    split: Split
    number: int  # the photograph's
    copy: int
    cube: Path
    picture: Path | None


def synthesize_scenes(
    photographs: Path | str,
    output: Path | str,
    recipe: SceneRecipe,
    *,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a dataset that the recipes' `ntire2022` or `cassi` data can read; again to resume.

    A scene appears under its name only when complete, and scenes that are there are kept.
    """
    photographs, output = Path(photographs), Path(output)
    check_installed()
    splits = deal(photographs, recipe)
    files = [file for split in splits.values() for file in split]
    agree_with_earlier_run(output, asdict(recipe), files, root=photographs)
    jobs = plan(splits, output, recipe, root=photographs)
    run_all(
        jobs,
        partial(write_scene, recipe=recipe),
        done=lambda job: job.cube.exists(),
        processes=processes,
        progress=progress,
    )
    if recipe.task == "rgb2hsi":
        write_lists(output, jobs)
    with replaced_file(output / "README.md") as unfinished:
        unfinished.write_text(card_of(recipe, jobs), encoding="utf-8")
    return output


def deal(photographs: Path, recipe: SceneRecipe) -> dict[Split, list[Path]]:
    """The folders train/ and test/ where there are both, else a fraction drawn by the seed."""
    folders = photographs / "train", photographs / "test"
    if all(folder.is_dir() for folder in folders):
        if recipe.validation:
            raise ValueError(
                f"{photographs} has train/ and test/, which are the splits: no --validation"
            )
        train, aside = map(list_pictures, folders)
    else:
        files = list_pictures(photographs)
        order = np.random.default_rng([recipe.seed, len(files)]).permutation(len(files))
        count = round(recipe.validation * len(files))
        aside, train = ([files[i] for i in sorted(order[part])] for part in _parts(count))
    if not train and not aside:
        raise DatasetError(f"there are no pictures in {photographs}")
    return {"train": train, "validation": aside}


def _parts(count: int) -> tuple[slice, slice]:
    return slice(count), slice(count, None)


def plan(
    splits: dict[Split, list[Path]], output: Path, recipe: SceneRecipe, *, root: Path
) -> list[Job]:
    """All scenes; every photograph's first copy comes before any second."""
    jobs = []
    for split, files in splits.items():
        for copy in range(recipe.copies):
            for number, photograph in enumerate(files):
                place = copy * len(files) + number + 1
                cube, picture = _paths(output, recipe.task, split, place)
                name = photograph.relative_to(root).as_posix()
                jobs.append(Job(photograph, name, split, number, copy, cube, picture))
    return jobs


def _paths(output: Path, task: str, split: Split, place: int) -> tuple[Path, Path | None]:
    if task == "cassi":
        folder = "train" if split == "train" else "test"
        return output / folder / f"scene{place:03d}.mat", None
    kind = "Train" if split == "train" else "Valid"
    stem = f"{split}_{place:04d}"
    return output / f"{kind}_Spec" / f"{stem}.mat", output / f"{kind}_RGB" / f"{stem}.jpg"


def write_lists(output: Path, jobs: Sequence[Job]) -> None:
    """The scenes of each split, as ARAD-1K lists them."""
    for split, listed in (("train", "train"), ("validation", "valid")):
        names = [f"{job.cube.stem}\n" for job in jobs if job.split == split]
        with replaced_file(output / "split_txt" / f"{listed}_list.txt") as unfinished:
            unfinished.write_text("".join(names))


def card_of(recipe: SceneRecipe, jobs: Sequence[Job]) -> str:
    return scene_card(
        recipe.task,
        Counter(job.split for job in jobs),
        source=recipe.source,
        licence=recipe.licence,
        seed=recipe.seed,
        copies=recipe.copies,
        parameters=recipe.settings(),
    )


def write_scene(job: Job, recipe: SceneRecipe) -> None:
    """Make one scene, which depends on nothing but the recipe, its split, number and copy."""
    rng = np.random.default_rng([recipe.seed, job.split == "validation", job.number, job.copy])
    wavelengths = SCENE_TASKS[recipe.task]
    photograph = read_picture(job.photograph)
    try:
        scene = make_scene(photograph, library(job.split), wavelengths, recipe.style(), rng)
    except ValueError as error:
        raise ValueError(f"{job.photograph}: {error}") from None
    if job.picture is None:
        write_counts(job.cube, scene, photograph=job.name)
        return
    camera = recipe.camera()
    with replaced_file(job.picture) as unfinished:
        unfinished.write_bytes(camera.jpeg(camera.expose(scene.cube, rng)))
    write_cube(job.cube, scene, photograph=job.name)


def write_cube(path: Path, scene: Scene, *, photograph: str) -> None:
    """HDF5 as in ARAD-1K, `cube` of 31×W×H, in half precision; what it is made of as attributes."""
    import h5py

    with replaced_file(path) as unfinished, h5py.File(unfinished, "w") as file:
        file["cube"] = scene.cube.transpose(0, 2, 1).astype(np.float16)
        file["bands"] = np.array(NTIRE_WAVELENGTHS)
        file.attrs.update(
            photograph=photograph, illuminant=scene.illuminant, materials=list(scene.materials)
        )


def write_counts(path: Path, scene: Scene, *, photograph: str) -> None:
    """16-bit counts H×W×28, as MST's scenes."""
    import scipy.io

    counts = np.rint(scene.cube.transpose(1, 2, 0) * np.float32(65535)).astype(np.uint16)
    contents = {
        "img": counts,
        "bands": np.array(CASSI_WAVELENGTHS),
        "photograph": photograph,
        "illuminant": scene.illuminant,
        "materials": np.array(scene.materials, dtype=object),
    }
    with replaced_file(path) as unfinished, unfinished.open("wb") as file:
        scipy.io.savemat(file, contents, do_compression=True)
