"""Where training pairs come from: folders of pictures, or columns of a Hugging Face dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from .pictures import (
    PictureError,
    Pixels,
    is_gray,
    list_pictures,
    read_picture,
    to_rgb,
)


@dataclass(frozen=True)
class Pair:
    """A clean picture and, unless it is to be degraded on the fly, its degraded partner."""

    target: Pixels
    input: Pixels | None = None

    @property
    def nbytes(self) -> int:
        return self.target.nbytes + (0 if self.input is None else self.input.nbytes)


class PairSource(Protocol):
    """Indexable pairs that load on demand; `paired` says whether inputs exist already."""

    @property
    def paired(self) -> bool: ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str: ...

    def load(self, index: int) -> Pair: ...


class FolderPairs:
    """Two folders whose pictures match by name; suffixes may differ, sub-folders count.

    Pictures without a partner are set aside in `unmatched` for `check_pairs` to report.
    """

    paired = True

    def __init__(self, input_folder: Path | str, target_folder: Path | str) -> None:
        self.input_folder, self.target_folder = Path(input_folder), Path(target_folder)
        inputs, targets = _by_stem(self.input_folder), _by_stem(self.target_folder)
        stems = sorted(inputs.keys() & targets.keys())
        self.files = [(inputs[stem], targets[stem]) for stem in stems]
        self.unmatched = [
            *(f"{inputs[stem]} has no target" for stem in sorted(inputs.keys() - targets.keys())),
            *(f"{targets[stem]} has no input" for stem in sorted(targets.keys() - inputs.keys())),
        ]

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        return str(self.files[index][0].relative_to(self.input_folder))

    def load(self, index: int) -> Pair:
        degraded, clean = self.files[index]
        return Pair(target=read_picture(clean), input=read_picture(degraded))

    def is_gray(self, index: int) -> bool:
        """Whether both files are without colour; they are loaded as RGB all the same."""
        return all(map(is_gray, self.files[index]))


class CleanFolder:
    """A folder of clean pictures, to be degraded on the fly."""

    paired = False

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.files = list_pictures(self.folder)

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        return str(self.files[index].relative_to(self.folder))

    def load(self, index: int) -> Pair:
        return Pair(target=read_picture(self.files[index]))

    def is_gray(self, index: int) -> bool:
        return is_gray(self.files[index])


class ColumnPairs:
    """Image columns of a `datasets.Dataset`; without `input_column` the targets are clean."""

    def __init__(
        self, dataset: Any, *, target_column: str = "target", input_column: str | None = "input"
    ) -> None:
        self.columns = {"target": target_column}
        if input_column is not None:
            self.columns["input"] = input_column
        require_columns(dataset, self.columns.values())
        self.dataset = undecoded(dataset, self.columns.values())

    @property
    def paired(self) -> bool:
        return "input" in self.columns

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, index: int) -> str:
        return f"row {index}"

    def load(self, index: int) -> Pair:
        try:
            return pair_from_row(self.dataset[index], self.columns)
        except PictureError as error:
            raise PictureError(f"row {index}: {error}") from None

    def is_gray(self, index: int) -> bool:
        row = self.dataset[index]
        return all(_has_no_colour(row[column]) for column in self.columns.values())


StoredPictures = FolderPairs | CleanFolder | ColumnPairs


def open_dataset_on_disk(folder: Path | str, *, split: str = "train") -> Any:
    """Load a dataset saved by `save_to_disk`, or a folder of Parquet shards or pictures."""
    import datasets

    folder = Path(folder)
    if (folder / "dataset_info.json").exists():
        return datasets.load_from_disk(str(folder))
    if (folder / "dataset_dict.json").exists():
        splits = datasets.load_from_disk(str(folder))
        if split not in splits:
            raise ValueError(f"{folder} has no split {split}; it has {', '.join(splits)}")
        return splits[split]
    return datasets.load_dataset(str(folder), split=split)


def require_columns(dataset: Any, columns: Any) -> None:
    """Name the missing columns before any row is read."""
    present = dataset.column_names
    missing = [column for column in columns if present is not None and column not in present]
    if missing:
        raise ValueError(
            f"the dataset has no column {', '.join(missing)}; it has {', '.join(present)}"
        )


def undecoded(dataset: Any, columns: Any) -> Any:
    """Hand out encoded bytes, so that our own reading rules apply to them."""
    import datasets

    for column in columns:
        if isinstance((dataset.features or {}).get(column), datasets.Image):
            dataset = dataset.cast_column(column, datasets.Image(decode=False))
    return dataset


def pair_from_row(row: dict[str, Any], columns: dict[str, str]) -> Pair:
    """Decode one row's pictures, given the columns they stand in."""
    return Pair(**{role: _pixels(row[column]) for role, column in columns.items()})


def _encoded(value: dict[str, Any]) -> bytes | str:
    return value["bytes"] if value.get("bytes") else value["path"]


def _has_no_colour(value: Any) -> bool:
    return isinstance(value, dict) and is_gray(_encoded(value))


def _pixels(value: Any) -> Pixels:
    if isinstance(value, dict):
        return read_picture(_encoded(value))
    if isinstance(value, np.ndarray):
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
            raise PictureError(f"is a {value.dtype} array of shape {value.shape}, not H×W×3 uint8")
        return value
    if value is None:
        raise PictureError("is empty")
    if isinstance(value, list):  # how a dataset gives its arrays
        array = np.asarray(value)
        eight_bit = array.astype(np.uint8)
        return _pixels(eight_bit if np.array_equal(array, eight_bit) else array)
    if not isinstance(value, Image.Image):
        raise PictureError(f"is no picture but {type(value).__name__}")
    return to_rgb(value)


def _by_stem(folder: Path) -> dict[str, Path]:
    files = list_pictures(folder)
    stems = [str(path.relative_to(folder).with_suffix("")) for path in files]
    doubled = [stem for stem, count in Counter(stems).items() if count > 1]
    if doubled:
        raise ValueError(f"{folder} holds more than one picture named {_some(doubled)}")
    return dict(zip(stems, files, strict=True))


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
