"""The two hyperspectral benchmarks as their authors lay them out: ARAD-1K and the KAIST scenes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .cassi import CassiSystem
from .matlab import read_array
from .pictures import PICTURE_SUFFIXES, Pixels, read_picture

Cube = NDArray[np.float32]  # C×H×W

NTIRE_WAVELENGTHS = tuple(float(nanometres) for nanometres in range(400, 701, 10))
CASSI_WAVELENGTHS = (
    *(453.5, 457.5, 462.0, 466.0, 471.5, 476.5, 481.5, 487.0, 492.5, 498.0, 504.0, 510.0, 516.0),
    *(522.5, 529.5, 536.5, 544.0, 551.5, 558.5, 567.5, 575.5, 584.5, 594.5, 604.0, 614.5, 625.0),
    *(636.5, 648.0),
)
"""The 28 bands of the published CASSI system, in nanometres."""

RGB_FOLDERS = {"train": ("Train_RGB",), "valid": ("Valid_RGB", "Train_RGB")}
SPEC_FOLDERS = {"train": ("Train_Spec",), "valid": ("Valid_Spec", "Train_Spec")}


@dataclass(frozen=True)
class SpectralPair:
    """A colour picture and the cube it was rendered from."""

    picture: Pixels
    cube: Cube


class NtirePairs:
    """`Train_RGB/*.jpg` and `Train_Spec/*.mat` by name, those that a split's list names.

    Without a list every scene with both files counts. Lists and folders as MST++ has them; the
    validation scenes may stand in folders of their own or among the training scenes.
    """

    def __init__(self, root: Path | str, *, split: str = "valid") -> None:
        self.root, self.split = Path(root), split
        if split not in RGB_FOLDERS:
            raise ValueError(f"ARAD-1K has the splits train and valid, not {split!r}")
        pictures = _files(self.root, RGB_FOLDERS[split], PICTURE_SUFFIXES)
        cubes = _files(self.root, SPEC_FOLDERS[split], {".mat"})
        names = self.listed_names()
        if names is None:
            names = sorted(pictures.keys() & cubes.keys())
        self.unmatched = [f"{name} has no RGB picture" for name in names if name not in pictures]
        self.unmatched += [f"{name} has no cube (.mat)" for name in names if name not in cubes]
        self.files = [(pictures[n], cubes[n]) for n in names if n in pictures and n in cubes]

    def listed_names(self) -> list[str] | None:
        """The scenes of `split_txt/{split}_list.txt`, where there is one."""
        path = self.root / "split_txt" / f"{self.split}_list.txt"
        if not path.is_file():
            return None
        names = [Path(line.strip()).stem for line in path.read_text().splitlines() if line.strip()]
        return list(dict.fromkeys(names))

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        return self.files[index][1].stem

    def load(self, index: int) -> SpectralPair:
        picture, cube = self.files[index]
        pair = SpectralPair(read_picture(picture), read_ntire_cube(cube))
        if pair.picture.shape[:2] != pair.cube.shape[1:]:
            height, width = pair.picture.shape[:2]
            raise ValueError(
                f"{picture} is {height}×{width} but {cube} is {_times(pair.cube.shape[1:])}"
            )
        return pair


def read_ntire_cube(path: Path | str) -> Cube:
    """A scene's 31×H×W reflectances; the file has 31×W×H on disk."""
    return _checked(read_array(path, key="cube").transpose(2, 0, 1), path, bands=31)


class CassiScenes:
    """Test scenes `scene*.mat` with the mask that measures them, as in MST's `TSA_simu_data`."""

    def __init__(self, root: Path | str, *, mask: Path | str | None = None) -> None:
        self.root = Path(root)
        folder = next((f for f in (self.root / "Truth", self.root) if any(_scenes(f))), self.root)
        self.files = sorted(_scenes(folder), key=_scene_number)
        nearby = [place / "mask.mat" for place in (self.root, folder, self.root.parent)]
        self.mask_file = Path(mask) if mask else next(filter(Path.is_file, nearby), nearby[0])

    @cached_property
    def system(self) -> CassiSystem:
        return CassiSystem.from_file(self.mask_file)

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        return self.files[index].stem

    def load(self, index: int) -> Cube:
        return read_cassi_cube(self.files[index])

    def measure(self, cube: Cube) -> NDArray[np.float32]:
        """The noiseless snapshot of a scene, H×(W + dispersion)."""
        system = self.system.crop(*cube.shape[1:])
        return system.measure(torch.from_numpy(cube)).numpy()


def read_cassi_cube(path: Path | str) -> Cube:
    """A scene's 28×H×W reflectances; the training scenes are 16-bit counts under another key."""
    values = read_array(path, key=("img", "img_expand"))
    cube = values.transpose(2, 0, 1) if values.ndim == 3 else values
    highest = cube.max(initial=0)
    if 2 < highest <= 255:
        raise ValueError(
            f"{path}: values up to {highest:g} are neither reflectances within 0 and 1 nor 16-bit "
            "counts"
        )
    return _checked(cube / 65536 if highest > 2 else cube, path, bands=28)


def _checked(cube: np.ndarray, path: Path | str, *, bands: int) -> Cube:
    if cube.ndim != 3 or cube.shape[0] != bands:
        raise ValueError(f"{path}: expected {bands} bands of H×W, it holds {_times(cube.shape)}")
    cube = np.ascontiguousarray(cube, dtype=np.float32)
    if not np.isfinite(cube).all():
        raise ValueError(f"{path}: the cube holds NaN or infinite values")
    return cube


def _files(root: Path, folders: tuple[str, ...], suffixes: set[str] | frozenset[str]) -> dict:
    return {
        path.stem: path
        for folder in reversed(folders)
        for path in sorted((root / folder).glob("*"))
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    }


def _scenes(folder: Path) -> list[Path]:
    return list(folder.glob("scene*.mat")) if folder.is_dir() else []


def _scene_number(path: Path) -> tuple[int, str]:
    digits = "".join(filter(str.isdigit, path.stem))
    return int(digits or 0), path.stem


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
