"""What a model is compressed on: inputs from a folder, and crops of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.pairs import CleanFolder
from ..data.pictures import list_pictures
from ..data.snapshots import SNAPSHOT_SUFFIXES
from ..data.spectral_sets import CassiScenes
from ..evaluation.degraded import DegradedPictures
from ..evaluation.sets import Sample, SnapshotScenes, TestSet
from ..inference.cubes import SnapshotReader
from ..inference.tiling import reader
from .blocks import Inputs

WINDOW = 384  # what is kept of a picture, at most, each way


@dataclass(frozen=True)
class Source:
    """A model's inputs by number, one picture each, whole; `mirrored` where that changes nothing.

    Where the truth is known, it is in the `scored` set, at each picture's own place.
    """

    name: str
    names: tuple[str, ...]
    places: tuple[int, ...]
    load_place: Callable[[int], Inputs]
    mirrored: bool = True
    scored: TestSet | None = None

    @classmethod
    def of(
        cls, name: str, names: Sequence[str], load: Callable[[int], Inputs], **rest: Any
    ) -> Source:
        return cls(name, tuple(names), tuple(range(len(names))), load, **rest)

    def __len__(self) -> int:
        return len(self.names)

    def load(self, number: int) -> Inputs:
        return self.load_place(self.places[number])

    def part(self, numbers: Sequence[int]) -> Source:
        return dataclasses.replace(
            self,
            names=tuple(self.names[number] for number in numbers),
            places=tuple(self.places[number] for number in numbers),
        )


def set_aside(source: Source) -> tuple[Source, Source]:
    """All but some pictures, and those: every fifth, eight at most."""
    count = min(8, len(source) // 5)
    aside = [len(source) * number // count for number in range(count)]
    return source.part([n for n in range(len(source)) if n not in aside]), source.part(aside)


def open_source(
    images: Any,
    processor: Any,
    *,
    degradation: str | None = None,
    protocol: str | None = None,
    mask: Path | None = None,
) -> Source:
    """Inputs from a folder of pictures, snapshots or CASSI scenes, or from a list of pictures.

    With a `degradation` (as `glmha evaluate --degrade` takes it) the pictures are clean ones, and
    what the model is given is made of them. Snapshots come with the `mask` of their camera, scenes
    with a mask.mat beside them.
    """
    takes_mask = "mask" in processor.model_input_names
    if mask is not None and not takes_mask:
        raise ValueError("this model takes pictures: leave the mask out")
    if degradation is not None and takes_mask:
        raise ValueError("this model takes snapshots, which nothing degrades: leave that out")
    if not isinstance(images, (str, Path)):
        if takes_mask:
            raise ValueError("give snapshots as a folder of files, with the mask of their camera")
        listed = list(images)
        names = [f"picture {number + 1}" for number in range(len(listed))]
        source = Source.of(
            "a list of pictures", names, lambda place: dict(processor(listed[place]))
        )
    else:
        source = _from_folder(Path(images), processor, degradation, protocol, mask)
    if not len(source):
        what = "snapshots" if takes_mask else "pictures"
        raise ValueError(f"{source.name} holds no {what} to compress on")
    return source


def _from_folder(
    folder: Path, processor: Any, degradation: str | None, protocol: str | None, mask: Path | None
) -> Source:
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} of pictures to compress on")
    if "mask" in processor.model_input_names:
        return _snapshots(folder, processor, mask)
    if degradation is not None:
        degraded = DegradedPictures(
            CleanFolder(folder), folder.name, degradation, protocol=protocol
        )
        return of_test_set(degraded, processor)
    files = list_pictures(folder)
    names = [str(path.relative_to(folder)) for path in files]
    return Source.of(folder.name, names, lambda place: dict(processor(files[place])))


def _snapshots(folder: Path, processor: Any, mask: Path | None) -> Source:
    scenes = CassiScenes(folder)
    if mask is None and len(scenes) and scenes.mask_file.is_file():
        return of_test_set(SnapshotScenes(scenes, folder.name, "cassi"), processor)
    if mask is None:
        raise ValueError(f"this model takes snapshots: give the mask that {folder} was taken with")
    snapshots = SnapshotReader.open(mask, bands=processor.bands, step=processor.dispersion_step)
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SNAPSHOT_SUFFIXES and path.resolve() != mask.resolve()
    ]

    def load(place: int) -> Inputs:
        snapshot = snapshots.read(files[place])
        return dict(processor(images=snapshot, mask=snapshots.system.mask))

    names = [str(path.relative_to(folder)) for path in files]
    return Source.of(folder.name, names, load, mirrored=False)


def of_test_set(test_set: TestSet, processor: Any) -> Source:
    """The inputs of a test set, whose truths are kept for the report."""
    names = [test_set.picture_name(place) for place in range(len(test_set))]
    return Source.of(
        test_set.name,
        names,
        lambda place: inputs_of(test_set.sample(place), processor),
        mirrored=test_set.input_kind != "snapshot",
        scored=test_set,
    )


def inputs_of(sample: Sample, processor: Any) -> Inputs:
    """What a model is given of a sample."""
    if sample.snapshot is not None:
        return dict(processor(images=sample.snapshot, mask=sample.mask))
    return dict(processor(images=sample.picture))


class Crops:
    """Square crops of inputs, drawn from the seed and the number of a batch alone.

    A bounded number of pictures is held, of large ones a window, so that memory does not grow
    with the folder.
    """

    def __init__(self, source: Source, *, size: int, pictures: int, seed: int) -> None:
        self.size, self.seed, self.mirrored = size, seed, source.mirrored
        count = min(pictures, len(source))
        places = [len(source) * number // count for number in range(count)]
        self.held = [self._window(source, place) for place in places]

    def _window(self, source: Source, place: int) -> Inputs:
        inputs = source.load(place)
        H, W = inputs["pixel_values"].shape[-2:]
        if min(H, W) < self.size:
            raise ValueError(
                f"{source.names[place]} is {W}×{H}, smaller than the crops of {self.size}: leave "
                "it out, or give a smaller --crop"
            )
        rng = np.random.default_rng([self.seed, place])
        return {
            name: values.clone()
            for name, values in cut(inputs, max(self.size, WINDOW), rng).items()
        }

    def batch(self, number: int, count: int) -> Inputs:
        """The crops of one step of training."""
        rng = np.random.default_rng([self.seed, 1, number])
        chosen = rng.integers(len(self.held), size=count)
        return self._side_by_side(chosen.tolist(), rng)

    def spread(self, count: int) -> Inputs:
        """Crops of as many different pictures as there are, to measure on."""
        rng = np.random.default_rng([self.seed, 2])
        chosen = [len(self.held) * number // count for number in range(count)]
        return self._side_by_side(chosen, rng)

    def _side_by_side(self, chosen: Sequence[int], rng: np.random.Generator) -> Inputs:
        crops = [cut(self.held[place], self.size, rng) for place in chosen]
        if self.mirrored:
            crops = [
                {name: values.flip(-1) for name, values in each.items()} if turn else each
                for each, turn in zip(crops, rng.random(len(crops)) < 0.5, strict=True)
            ]
        return {name: torch.cat([each[name] for each in crops]) for name in crops[0]}


def cut(inputs: Inputs, size: int, rng: np.random.Generator) -> Inputs:
    """A random window of at most `size` each way, masks along."""
    H, W = inputs["pixel_values"].shape[-2:]
    rows, columns = (
        slice(start := int(rng.integers(max(side - size, 0) + 1)), min(start + size, side))
        for side in (H, W)
    )
    return reader(inputs)(rows, columns)
