"""Patches for training: the same for the same seed, whatever the number of workers."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from .degradations.base import Degradation, Picture, from_eight_bit
from .pairs import Pair, PairSource, pair_from_row, require_columns, undecoded
from .pictures import Pixels

Sample = dict[str, torch.Tensor]


class PatchRequest(NamedTuple):
    """What a sampler may ask for: which patch of which epoch, and how large."""

    epoch: int
    number: int
    patch_size: int


class PatchCutter:
    """Turns a pair of whole pictures into one augmented training patch."""

    def __init__(
        self,
        *,
        degradation: Degradation | None = None,
        augment: bool = True,
        grayscale: bool = False,
    ) -> None:
        self.degradation = degradation
        self.augment = augment
        self.grayscale = grayscale

    def __call__(self, pair: Pair, *, patch_size: int, rng: np.random.Generator) -> Sample:
        corner = _random_corner(pair.target, patch_size, rng)
        symmetry = int(rng.integers(8)) if self.augment else 0
        if pair.input is not None:
            degraded, clean = (
                self._cut(picture, corner, patch_size, margin=0, symmetry=symmetry)
                for picture in (pair.input, pair.target)
            )
            return {"pixel_values": _as_tensor(degraded), "labels": _as_tensor(clean)}
        if self.degradation is None:
            raise ValueError("the pictures have no degraded partner: give a degradation")
        margin = self.degradation.margin
        clean = self._cut(pair.target, corner, patch_size, margin=margin, symmetry=symmetry)
        degraded = self.degradation(clean, rng)
        inner = slice(margin, margin + patch_size)
        return {
            "pixel_values": _as_tensor(degraded[inner, inner]),
            "labels": _as_tensor(clean[inner, inner]),
        }

    def _cut(
        self,
        picture: Pixels,
        corner: tuple[int, int],
        patch_size: int,
        *,
        margin: int,
        symmetry: int,
    ) -> Picture:
        patch = cut_with_margin(picture, corner, patch_size, margin=margin)
        if self.grayscale:
            patch = np.asarray(Image.fromarray(patch).convert("L"))[..., None]
        return from_eight_bit(np.ascontiguousarray(apply_symmetry(patch, symmetry)))


class PatchDataset(Dataset[Sample]):
    """Random patches of a pair source as `pixel_values` and `labels`, C×p×p float32.

    Patch `index` of an epoch depends on (seed, epoch, index) alone. Decoded pictures are kept in
    memory up to `cache_mb` megabytes per worker, so small datasets are decoded once.
    """

    def __init__(
        self,
        source: PairSource,
        *,
        patch_size: int = 128,
        degradation: Degradation | None = None,
        patches_per_picture: int = 1,
        augment: bool = True,
        grayscale: bool = False,
        seed: int = 0,
        cache_mb: float = 512,
    ) -> None:
        if not len(source):
            raise ValueError("the source holds no pictures")
        if source.paired and degradation is not None:
            raise ValueError("the source has degraded pictures already: give no degradation")
        if not source.paired and degradation is None:
            raise ValueError("the source has only clean pictures: give a degradation")
        self.source = source
        self.patch_size = patch_size
        self.patches_per_picture = patches_per_picture
        self.seed = seed
        self.cutter = PatchCutter(degradation=degradation, augment=augment, grayscale=grayscale)
        self.cache = PairCache(source, megabytes=cache_mb)
        # Shared memory, so that workers which outlive an epoch see the new one.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.source) * self.patches_per_picture

    def __getitem__(self, request: int | PatchRequest) -> Sample:
        if not isinstance(request, PatchRequest):
            request = PatchRequest(int(self._epoch), int(request), self.patch_size)
        if not 0 <= request.number < len(self):
            raise IndexError(f"patch {request.number} of {len(self)}")
        picture = request.number % len(self.source)
        rng = np.random.default_rng([self.seed, request.epoch, request.number])
        try:
            return self.cutter(self.cache[picture], patch_size=request.patch_size, rng=rng)
        except ValueError as error:
            raise ValueError(f"{self.source.name(picture)}: {error}") from error


class StreamingPatches(IterableDataset[Sample]):
    """Patches from a streamed `datasets.IterableDataset`, one per row and epoch.

    Such a dataset deals its shards out to the workers itself, so a row has no number that all
    agree on: the patch is drawn from (seed, epoch, the picture's checksum) instead.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        patch_size: int = 128,
        degradation: Degradation | None = None,
        target_column: str = "target",
        input_column: str | None = "input",
        augment: bool = True,
        grayscale: bool = False,
        seed: int = 0,
    ) -> None:
        self.columns = {"target": target_column}
        if degradation is None:
            if input_column is None:
                raise ValueError("give an input column or a degradation")
            self.columns["input"] = input_column
        require_columns(dataset, self.columns.values())
        self.dataset = undecoded(dataset, self.columns.values())
        self.patch_size = patch_size
        self.seed = seed
        self.cutter = PatchCutter(degradation=degradation, augment=augment, grayscale=grayscale)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)

    def __iter__(self) -> Iterator[Sample]:
        for row in self._rows_of_this_worker():
            yield self.cut(row, epoch=int(self._epoch), patch_size=self.patch_size)

    def cut(self, row: dict[str, Any], *, epoch: int, patch_size: int) -> Sample:
        """The patch of a row as it came from `self.dataset`."""
        pair = pair_from_row(row, self.columns)
        checksum = zlib.crc32(pair.target.tobytes())
        rng = np.random.default_rng([self.seed, epoch, checksum])
        return self.cutter(pair, patch_size=patch_size, rng=rng)

    def _rows_of_this_worker(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        if worker is None or isinstance(self.dataset, IterableDataset):
            return iter(self.dataset)
        return islice(iter(self.dataset), worker.id, None, worker.num_workers)


class PairCache:
    """Least recently used pairs leave first once the budget is spent."""

    def __init__(self, source: PairSource, *, megabytes: float) -> None:
        self.source = source
        self.budget = int(megabytes * 1e6)
        self.held = 0
        self._pairs: OrderedDict[int, Pair] = OrderedDict()

    def __getitem__(self, index: int) -> Pair:
        if index in self._pairs:
            self._pairs.move_to_end(index)
            return self._pairs[index]
        pair = self.source.load(index)
        if pair.input is not None and pair.input.shape != pair.target.shape:
            raise ValueError("the input and the target differ in size")
        if pair.nbytes <= self.budget:
            self._pairs[index] = pair
            self.held += pair.nbytes
            while self.held > self.budget:
                self.held -= self._pairs.popitem(last=False)[1].nbytes
        return pair


def apply_symmetry(picture: np.ndarray, symmetry: int) -> np.ndarray:
    """One of the eight symmetries of the square: quarter turns, then perhaps a mirror image."""
    turned = np.rot90(picture, symmetry % 4)
    return turned[:, ::-1] if symmetry >= 4 else turned


def _random_corner(picture: Pixels, patch_size: int, rng: np.random.Generator) -> tuple[int, int]:
    H, W = picture.shape[:2]
    if min(H, W) < patch_size:
        raise ValueError(f"{W}×{H} is smaller than the {patch_size}×{patch_size} patch")
    return int(rng.integers(H - patch_size + 1)), int(rng.integers(W - patch_size + 1))


def cut_with_margin(
    picture: Pixels, corner: tuple[int, int], patch_size: int, *, margin: int
) -> Pixels:
    """Cut a patch with its surroundings, mirrored where the picture ends."""
    window, missing = [], []
    for start, side in zip(corner, picture.shape, strict=False):
        low, high = start - margin, start + patch_size + margin
        window.append(slice(max(low, 0), min(high, side)))
        missing.append((max(-low, 0), max(high - side, 0)))
    cut = picture[tuple(window)]
    if any(map(any, missing)):
        cut = np.pad(cut, [*missing, (0, 0)], mode="symmetric")
    return np.ascontiguousarray(cut)


def _as_tensor(patch: Picture) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1)))
