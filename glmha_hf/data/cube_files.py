"""Windows of spectral cubes on disk, so that a patch does not cost a whole cube."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import replaced_file
from .spectral_sets import Cube, read_cassi_cube

NTIRE_BANDS = 31


def ntire_size(path: Path | str) -> tuple[int, int]:
    """Height and width of a scene's cube, by its header alone."""
    with _ntire_cube(path) as stored:
        _, W, H = stored.shape
        return H, W


def read_ntire_window(path: Path | str, corner: tuple[int, int], side: int) -> Cube:
    """31×side×side of a scene whose file is 31×W×H, reading nothing else."""
    top, left = corner
    with _ntire_cube(path) as stored:
        window = stored[:, left : left + side, top : top + side]
    window = np.asarray(window, dtype=np.float32).transpose(0, 2, 1)
    if not np.isfinite(window).all():
        raise ValueError(f"{path}: the cube holds NaN or infinite values")
    return window


@contextlib.contextmanager
def _ntire_cube(path: Path | str) -> Iterator[Any]:
    """The stored `cube`; opened anew every time, because open files do not survive a fork."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "cube" not in file:
                raise ValueError(f"holds no variable cube; it holds {', '.join(file) or 'none'}")
            stored = file["cube"]
            if len(stored.shape) != 3 or stored.shape[0] != NTIRE_BANDS:
                shape = "×".join(map(str, stored.shape))
                raise ValueError(f"its cube must be {NTIRE_BANDS}×W×H on disk, not {shape}")
            yield stored
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as an HDF5 .mat file ({error})") from None


class UnpackedScenes:
    """Scenes as plain arrays beside their compressed files, to read windows from.

    A CAVE scene of 1024×1024×28 takes seconds to decompress, and 59 MB as the 16-bit counts it is
    made of. It is written once, by rename, and mapped into memory from then on: all workers and
    processes share what the system keeps of it.
    """

    def __init__(
        self,
        files: Sequence[Path],
        folder: Path | str,
        *,
        read: Callable[[Path], Cube] = read_cassi_cube,
    ) -> None:
        self.files = list(files)
        self.folder = Path(folder)
        self.read = read
        self._open: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.files)

    def size(self, index: int) -> tuple[int, int]:
        H, W, _ = self[index].shape
        return H, W

    def window(self, index: int, corner: tuple[int, int], side: int) -> Cube:
        """C×side×side reflectances."""
        top, left = corner
        stored = self[index][top : top + side, left : left + side]
        window = stored.astype(np.float32).transpose(2, 0, 1)
        return window / np.float32(65536) if stored.dtype == np.uint16 else window

    def __getitem__(self, index: int) -> np.ndarray:
        """H×W×C, so that a row of a window is one stretch of the file."""
        if index not in self._open:
            source = self.files[index]
            unpacked = self._place(source)
            if not unpacked.exists():
                self._unpack(source, unpacked)
            try:
                self._open[index] = np.load(unpacked, mmap_mode="r")
            except ValueError:  # a copy that a full disk or a crash cut short
                self._unpack(source, unpacked)
                self._open[index] = np.load(unpacked, mmap_mode="r")
        return self._open[index]

    def _place(self, source: Path) -> Path:
        """Where a scene's copy is: another place, size or time of the file makes another name."""
        facts = source.stat()
        state = _digest(f"{facts.st_size} {facts.st_mtime_ns}")
        return self.folder / f"{_place_digest(source)}-{state}.npy"

    def __getstate__(self) -> dict[str, Any]:
        """Without the maps: pickled, they would be copies of the scenes."""
        return {**self.__dict__, "_open": {}}

    def _unpack(self, source: Path, unpacked: Path) -> None:
        cube = self.read(source).transpose(1, 2, 0)
        counts = np.multiply(cube, 65536)
        whole = (
            np.array_equal(counts, np.rint(counts)) and 0 <= counts.min() <= counts.max() < 2**16
        )
        stored = np.ascontiguousarray(counts.astype(np.uint16) if whole else cube)
        try:
            with replaced_file(unpacked) as unfinished, unfinished.open("wb") as file:
                np.save(file, stored)
        except OSError as error:
            raise ValueError(
                f"{source.name} cannot be unpacked to {self.folder} ({error}): choose another "
                "folder with data.unpacked=FOLDER"
            ) from None
        for older in self.folder.glob(f"{_place_digest(source)}-*.npy"):
            if older != unpacked:
                older.unlink(missing_ok=True)


def _place_digest(source: Path) -> str:
    return f"{source.stem}-{_digest(str(source.resolve()))}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
