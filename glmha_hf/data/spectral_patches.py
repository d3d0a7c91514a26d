"""Training patches of spectral cubes: RGB to 31 bands, and snapshots to 28.

Both answer `PatchRequest`s as `PatchDataset` does: patch `number` of an epoch depends on
(seed, epoch, number) alone, and an epoch shows every scene once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .cassi import CassiSystem
from .checks import DatasetError, report
from .cube_files import UnpackedScenes, ntire_size, read_ntire_window
from .degradations.base import from_eight_bit
from .pairs import Pair
from .patches import PairCache, PatchRequest, Sample, apply_symmetry
from .pictures import read_picture
from .spectral_sets import Cube, NtirePairs

MaskForm = Literal["shifted", "plain"]
PUBLISHED_SCENES = 205  # the published training leaves out the scenes numbered above


class ScenePatches(Dataset[Sample], ABC):
    """One patch a scene and epoch; what a patch is, the two kinds say themselves."""

    def __init__(self, *, patch_size: int, augment: bool, seed: int) -> None:
        if not len(self):
            raise DatasetError("there are no scenes")
        self.patch_size = patch_size
        self.augment = augment
        self.seed = seed

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, number: int) -> str: ...

    @abstractmethod
    def cut(self, number: int, *, patch_size: int, rng: np.random.Generator) -> Sample:
        """One augmented training patch."""

    @abstractmethod
    def problem(self, number: int, patch_size: int) -> str | None:
        """Why a scene cannot be trained with."""

    def __getitem__(self, request: int | PatchRequest) -> Sample:
        if not isinstance(request, PatchRequest):
            request = PatchRequest(0, int(request), self.patch_size)
        if not 0 <= request.number < len(self):
            raise IndexError(f"patch {request.number} of {len(self)}")
        rng = np.random.default_rng([self.seed, request.epoch, request.number])
        try:
            return self.cut(request.number, patch_size=request.patch_size, rng=rng)
        except ValueError as error:
            raise ValueError(f"{self.name(request.number)}: {error}") from error

    def check(self, *, patch_size: int, threads: int = 2) -> None:
        """Look at every scene; raise a DatasetError that lists those that cannot be used."""
        with ThreadPoolExecutor(threads) as pool:
            found = pool.map(lambda number: self.problem(number, patch_size), range(len(self)))
            report([problem for problem in found if problem])

    def _turned(self, rng: np.random.Generator) -> int:
        return int(rng.integers(8)) if self.augment else 0


class NtirePatches(ScenePatches):
    """RGB patches with their 31 bands, from ARAD-1K as MST++ lays it out.

    A patch's corner is drawn uniformly from the published grid of positions 8 pixels apart. The
    published loader walks through all of them in random order instead (2,205 a scene): the same
    patches equally often in the long run. The RGB picture is stretched to [0, 1] as a whole before
    it is cut. Of the cube only the patch is read, from its file or from where it was `unpacked`;
    pictures stay in memory up to `cache_mb`.
    """

    def __init__(
        self,
        pairs: NtirePairs,
        *,
        unpacked: UnpackedScenes | None = None,
        patch_size: int = 128,
        stride: int = 8,
        augment: bool = True,
        seed: int = 0,
        cache_mb: float = 512,
    ) -> None:
        self.pairs = pairs
        self.unpacked = unpacked
        self.stride = stride
        self.pictures = PairCache(_Pictures(pairs), megabytes=cache_mb)
        super().__init__(patch_size=patch_size, augment=augment, seed=seed)

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, number: int) -> str:
        return self.pairs.name(number)

    def cut(self, number: int, *, patch_size: int, rng: np.random.Generator) -> Sample:
        picture = self.pictures[number].target
        corner = _corner(picture.shape[:2], patch_size, stride=self.stride, rng=rng)
        symmetry = self._turned(rng)
        top, left = corner
        low, high = from_eight_bit(picture.min()), from_eight_bit(picture.max())
        patch = from_eight_bit(picture[top : top + patch_size, left : left + patch_size])
        stretched = (patch - low) / np.maximum(high - low, np.float32(1e-8))
        cube = self._window(number, corner, patch_size)
        if cube.shape[1:] != patch.shape[:2]:
            raise ValueError("the picture and the cube differ in size")
        return {
            "pixel_values": as_turned_tensor(stretched.transpose(2, 0, 1), symmetry),
            "labels": as_turned_tensor(cube, symmetry),
        }

    def _window(self, number: int, corner: tuple[int, int], side: int) -> Cube:
        if self.unpacked is not None:
            return self.unpacked.window(number, corner, side)
        return read_ntire_window(self.pairs.files[number][1], corner, side)

    def check(self, *, patch_size: int, threads: int = 2) -> None:
        report(self.pairs.unmatched)
        super().check(patch_size=patch_size, threads=threads)

    def problem(self, number: int, patch_size: int) -> str | None:
        picture_file, cube_file = self.pairs.files[number]
        try:
            H, W = read_picture(picture_file).shape[:2]
            rows, columns = self.unpacked.size(number) if self.unpacked else ntire_size(cube_file)
        except ValueError as error:
            return str(error)
        if (rows, columns) != (H, W):
            return f"{self.name(number)}: the picture is {H}×{W} but the cube is {rows}×{columns}"
        return _too_small((H, W), patch_size, name=self.name(number))


class _Pictures:
    """The RGB half of ARAD-1K, for the cache of pictures."""

    paired = False

    def __init__(self, pairs: NtirePairs) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        return self.pairs.name(index)

    def load(self, index: int) -> Pair:
        return Pair(target=read_picture(self.pairs.files[index][0]))


class CassiPatches(ScenePatches):
    """Cubes of 28 bands and what the snapshot imager makes of them.

    Every patch is with equal odds a plain window of its scene, in one of the eight symmetries, or
    a splice: four windows of half the side, from four scenes drawn anew, put together as they are.
    The published batches of five have two and three of them. Without `augment` all are plain.
    The published patches are as large as the mask. A smaller one is measured through a window of
    it drawn anew, and carries that window, so that a model meets the whole mask.
    """

    def __init__(
        self,
        scenes: UnpackedScenes,
        system: CassiSystem,
        *,
        mask_form: MaskForm = "shifted",
        patch_size: int = 256,
        augment: bool = True,
        seed: int = 0,
    ) -> None:
        self.scenes = scenes
        self.system = system
        self.mask_form = mask_form
        super().__init__(patch_size=patch_size, augment=augment, seed=seed)

    def __len__(self) -> int:
        return len(self.scenes)

    def name(self, number: int) -> str:
        return self.scenes.files[number].stem

    def cut(self, number: int, *, patch_size: int, rng: np.random.Generator) -> Sample:
        plain = not self.augment or rng.random() < 0.5
        cube = (self._window if plain else self._splice)(number, patch_size, rng)
        labels = as_turned_tensor(cube, self._turned(rng) if plain else 0)
        corner = _corner(self.system.mask.shape, patch_size, stride=1, rng=rng)
        system = self.system.crop(patch_size, patch_size, corner=corner)
        sample = {"pixel_values": system.model_input(system.measure(labels)), "labels": labels}
        if not self._takes_whole_mask(patch_size):
            sample["mask"] = model_mask(system, self.mask_form)[0]
        return sample

    def constant_inputs(self, patch_size: int) -> dict[str, Tensor]:
        """The mask, 1×28×H×W or wider, where every patch has the same: no batch carries it."""
        if not self._takes_whole_mask(patch_size):
            return {}
        return {"mask": model_mask(self.system, self.mask_form)}

    def _takes_whole_mask(self, patch_size: int) -> bool:
        return self.system.mask.shape == (patch_size, patch_size)

    def problem(self, number: int, patch_size: int) -> str | None:
        try:
            return _too_small(self.scenes.size(number), patch_size, name=self.name(number))
        except ValueError as error:
            return str(error)

    def check(self, *, patch_size: int, threads: int = 2) -> None:
        """Unpacks what is not yet; the patch must fit the mask and have two halves."""
        if patch_size % 2:
            raise DatasetError(f"splices have two halves a side: {patch_size} is odd")
        self.system.crop(patch_size, patch_size)
        super().check(patch_size=patch_size, threads=threads)

    def _window(self, number: int, side: int, rng: np.random.Generator) -> Cube:
        corner = _corner(self.scenes.size(number), side, stride=1, rng=rng)
        return self.scenes.window(number, corner, side)

    def _splice(self, number: int, side: int, rng: np.random.Generator) -> Cube:
        upper_left, upper_right, lower_left, lower_right = (
            self._window(int(scene), side // 2, rng) for scene in rng.integers(len(self), size=4)
        )
        upper = np.concatenate([upper_left, upper_right], axis=2)
        return np.concatenate([upper, np.concatenate([lower_left, lower_right], axis=2)], axis=1)


def published_scenes(files: list[Path]) -> list[Path]:
    """`scene1.mat` to `scene205.mat` of those there are."""
    numbers = ["".join(filter(str.isdigit, path.stem)) for path in files]
    return [
        path
        for path, number in zip(files, numbers, strict=True)
        if int(number or 0) <= PUBLISHED_SCENES
    ]


def model_mask(system: CassiSystem, form: MaskForm) -> Tensor:
    """The mask of a batch: shifted as MST takes it, or plain as MST++ does."""
    if form == "shifted":
        return system.shifted_mask[None]
    return system.mask.expand(1, system.bands, -1, -1).contiguous()


def as_turned_tensor(values: np.ndarray, symmetry: int) -> Tensor:
    """C×H×W in one of the eight symmetries."""
    turned = np.moveaxis(apply_symmetry(np.moveaxis(values, 0, -1), symmetry), -1, 0)
    return torch.from_numpy(np.ascontiguousarray(turned, dtype=np.float32))


def _corner(
    size: tuple[int, ...], side: int, *, stride: int, rng: np.random.Generator
) -> tuple[int, int]:
    H, W = size
    if min(H, W) < side:
        raise ValueError(f"{W}×{H} is smaller than the {side}×{side} patch")
    rows, columns = ((length - side) // stride + 1 for length in (H, W))
    return stride * int(rng.integers(rows)), stride * int(rng.integers(columns))


def _too_small(size: tuple[int, int], side: int, *, name: str) -> str | None:
    H, W = size
    small = min(H, W) < side
    return f"{name}: {W}×{H} is smaller than the {side}×{side} patch" if small else None
