"""Test sets: each gives its pictures one by one, and knows how its predictions are scored."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from ..data.cassi import model_input
from ..data.degradations import benchmark_noise
from ..data.degradations.base import to_eight_bit
from ..data.matlab import read_array
from ..data.pairs import ColumnPairs, FolderPairs, StoredPictures
from ..data.pictures import PictureError
from ..data.spectral_sets import CassiScenes, NtirePairs
from ..metrics import compare, get_protocol, psnr

InputKind = Literal["picture", "rgb", "snapshot"]


@dataclass(frozen=True)
class Sample:
    """One thing to restore: a picture, or a snapshot with its mask, and the truth."""

    name: str
    target: np.ndarray  # H×W×C uint8, or a C×H×W float cube
    picture: np.ndarray | None = None  # H×W×C, uint8 or floats in [0, 1]
    sigma: float | None = None  # of the noise on the picture, in 8-bit levels, where it is known
    snapshot: np.ndarray | None = None  # H×W'
    mask: np.ndarray | None = None  # H×W


class TestSet(ABC):
    """Indexable samples under one protocol; `settings` are what else the scores depend on."""

    __test__ = False  # no test case of pytest's
    input_kind: InputKind

    def __init__(self, name: str, protocol: str, **settings: Any) -> None:
        self.name = name
        self.protocol = get_protocol(protocol).name
        self.settings = settings
        kind = get_protocol(protocol).kind
        if (kind == "picture") != (self.input_kind == "picture"):
            holds = "pictures" if self.input_kind == "picture" else "spectral cubes"
            raise ValueError(f"{name} holds {holds}, but {protocol} scores {kind}s")

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def picture_name(self, index: int) -> str: ...

    @abstractmethod
    def identity(self, index: int) -> str:
        """What a picture is known by when a run is resumed: its name and its files."""

    @abstractmethod
    def sample(self, index: int, *, gray: bool = False) -> Sample:
        """With `gray`, and of files without colour, pictures have one channel."""

    def check(self) -> None:  # noqa: B027 - most sets need no check of their own
        """Raise a ValueError if some picture cannot be scored, without reading them whole."""

    def finish(self, restored: np.ndarray, target: np.ndarray) -> np.ndarray:
        """A model's C×H×W floats as the protocol scores them: pictures as H×W×C uint8.

        Where the truth is gray, a colour model's channels are averaged, as in restoring.
        """
        if self.input_kind != "picture":
            return restored
        picture = np.moveaxis(restored, 0, -1)
        if target.shape[-1] == 1:
            picture = picture.mean(-1, keepdims=True)
        return self.as_scored(picture)

    def as_scored(self, picture: np.ndarray) -> np.ndarray:
        return to_eight_bit(picture)

    def score(self, prediction: np.ndarray, target: np.ndarray) -> dict[str, float]:
        return compare(prediction, target, self.protocol)


class SourcedSet(TestSet):
    """A set whose length, names and samples are a source's."""

    source: Any

    def __len__(self) -> int:
        return len(self.source)

    def picture_name(self, index: int) -> str:
        return self.source.name(index)


class PicturePairs(SourcedSet):
    """Pairs of pictures from folders or a Hugging Face dataset, or clean ones to be noised."""

    input_kind: InputKind = "picture"
    source: StoredPictures

    def __init__(
        self, source: StoredPictures, name: str, protocol: str, *, sigma: float | None = None
    ) -> None:
        super().__init__(name, protocol, **({} if sigma is None else {"sigma": sigma}))
        self.source, self.sigma = source, sigma

    def identity(self, index: int) -> str:
        if isinstance(self.source, ColumnPairs):
            return f"{self.source.dataset._fingerprint} {index}"
        files = self.source.files[index]
        return file_identity(files if isinstance(files, tuple) else (files,))

    def sample(self, index: int, *, gray: bool = False) -> Sample:
        target, degraded = self.pair(index, gray=gray)
        if degraded is None:
            degraded = benchmark_noise(target, sigma=self.sigma or 0.0)
        return Sample(self.picture_name(index), target, picture=degraded, sigma=self.sigma)

    def pair(self, index: int, *, gray: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """The clean picture, and the degraded one where there is one."""
        pair = self.source.load(index)
        if not (gray or self.source.is_gray(index)):
            return pair.target, pair.input
        return as_gray(pair.target), None if pair.input is None else as_gray(pair.input)

    def check(self) -> None:
        """Compare the sizes that the files' headers give."""
        if not isinstance(self.source, FolderPairs):
            return
        for degraded, clean in self.source.files:
            sizes = [picture_size(path) for path in (degraded, clean)]
            if sizes[0] != sizes[1]:
                first, second = (f"{width}×{height}" for width, height in sizes)
                raise ValueError(
                    f"{self.name}: the input {degraded.name} is {first} but its target {second}"
                )


class SiddBlocks(TestSet):
    """SIDD's validation blocks: 40 scenes of 32 crops; predictions are scored as floats."""

    input_kind: InputKind = "picture"
    noisy_key, clean_key = "ValidationNoisyBlocksSrgb", "ValidationGtBlocksSrgb"

    def __init__(self, folder: Path, name: str, protocol: str) -> None:
        super().__init__(name, protocol, scored="float")
        self.folder = folder

    @cached_property
    def blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """Noisy and clean, both scenes×crops×H×W×3 uint8."""
        noisy, clean = (
            read_array(self.folder / f"{key}.mat", key=key)
            for key in (self.noisy_key, self.clean_key)
        )
        if noisy.shape != clean.shape or noisy.ndim != 5 or noisy.dtype != np.uint8:
            raise ValueError(
                f"{self.folder}: expected two arrays of scenes×crops×H×W×3 uint8, found "
                f"{noisy.shape} {noisy.dtype} and {clean.shape} {clean.dtype}"
            )
        return noisy, clean

    def __len__(self) -> int:
        scenes, crops = self.blocks[0].shape[:2]
        return scenes * crops

    def place(self, index: int) -> tuple[int, int]:
        scene, block = divmod(index, self.blocks[0].shape[1])
        return scene, block

    def picture_name(self, index: int) -> str:
        scene, block = self.place(index)
        return f"scene-{scene + 1:02}-block-{block + 1:02}"

    def identity(self, index: int) -> str:
        noisy, clean = (block[self.place(index)] for block in self.blocks)
        return digest(noisy.tobytes(), clean.tobytes())

    def sample(self, index: int, *, gray: bool = False) -> Sample:
        noisy, clean = (block[self.place(index)] for block in self.blocks)
        if gray:
            noisy, clean = as_gray(noisy), as_gray(clean)
        return Sample(self.picture_name(index), clean, picture=noisy)

    def check(self) -> None:
        self.blocks  # noqa: B018 - reading them is the check

    def as_scored(self, picture: np.ndarray) -> np.ndarray:
        return picture.clip(0, 1)

    def score(self, prediction: np.ndarray, target: np.ndarray) -> dict[str, float]:
        return {"psnr": float(psnr(prediction, target.astype(np.float32) / 255, peak=1.0))}


class NtireScenes(SourcedSet):
    """RGB pictures and their 31-band cubes."""

    input_kind: InputKind = "rgb"
    source: NtirePairs

    def __init__(self, source: NtirePairs, name: str, protocol: str) -> None:
        super().__init__(name, protocol)
        self.source = source

    def identity(self, index: int) -> str:
        return file_identity(self.source.files[index])

    def sample(self, index: int, *, gray: bool = False) -> Sample:
        pair = self.source.load(index)
        return Sample(self.picture_name(index), pair.cube, picture=pair.picture)


class SnapshotScenes(SourcedSet):
    """CASSI scenes, each measured through the mask without noise."""

    input_kind: InputKind = "snapshot"
    source: CassiScenes

    def __init__(self, source: CassiScenes, name: str, protocol: str) -> None:
        super().__init__(name, protocol)
        self.source = source

    def identity(self, index: int) -> str:
        return file_identity((self.source.files[index], self.source.mask_file))

    def sample(self, index: int, *, gray: bool = False) -> Sample:
        cube = self.source.load(index)
        mask = self.source.system.crop(*cube.shape[1:]).mask.numpy()
        return Sample(self.picture_name(index), cube, snapshot=self.source.measure(cube), mask=mask)

    def check(self) -> None:
        self.source.system  # noqa: B018 - reading the mask is the check


def degraded_input(sample: Sample) -> np.ndarray:
    """What a model is given, as C×H×W floats; a snapshot as it lies shifted back."""
    if sample.snapshot is not None:
        import torch

        bands = len(sample.target)
        step = (sample.snapshot.shape[1] - sample.target.shape[2]) // max(bands - 1, 1)
        return model_input(torch.from_numpy(sample.snapshot), bands=bands, step=step).numpy()
    assert sample.picture is not None
    picture = sample.picture
    unit = picture.astype(np.float32) / np.float32(255) if picture.dtype == np.uint8 else picture
    return np.moveaxis(unit, -1, 0)


def as_gray(picture: np.ndarray) -> np.ndarray:
    """H×W×1 luminance, rounded to 8 bits as the benchmarks' gray sets are."""
    return np.asarray(Image.fromarray(picture).convert("L"))[..., None]


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height from the file's header, upright; Pillow would decode a PNG for its EXIF."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            has_header_exif = image.format != "PNG" or "exif" in image.info
            turned = has_header_exif and image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError(f"{path}: cannot be read ({error})") from None
    return (height, width) if turned else (width, height)


def file_identity(paths: Iterable[Path], *, ends: int = 1 << 16) -> str:
    """Names, sizes and both ends of the files: enough to notice that a picture was replaced."""
    parts = []
    for path in paths:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(ends)
            file.seek(max(size - ends, 0))
            parts += [path.name.encode(), str(size).encode(), head, file.read(ends)]
    return digest(*parts)


def digest(*parts: bytes) -> str:
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.hexdigest()
