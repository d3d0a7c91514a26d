"""The folder layouts in which restoration benchmarks are handed around."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from .pairs import CleanFolder, FolderPairs
from .pictures import list_pictures

SPLITS = ("train", "val", "test")
PAIR_FOLDERS = (
    ("input", "target"),
    ("input_crops", "target_crops"),
    ("blur", "sharp"),
    ("rain", "norain"),
)
TASKS = {
    "derain": ("Rain13K", "Test100", "Rain100H", "Rain100L", "Test1200", "Test2800"),
    "deblur": ("GoPro", "HIDE", "RealBlur_J", "RealBlur_R"),
    "denoise": ("DFWB", "SIDD", "CBSD68", "BSD68", "Kodak", "McMaster", "Urban100", "Set12"),
}


@dataclass(frozen=True)
class BenchmarkSet:
    """One set found below a root; `input_folder` is None for pictures to be degraded."""

    name: str
    split: str
    task: str | None
    target_folder: Path
    input_folder: Path | None = None

    def open(self) -> FolderPairs | CleanFolder:
        if self.input_folder is None:
            return CleanFolder(self.target_folder)
        return FolderPairs(self.input_folder, self.target_folder)


def find_sets(root: Path | str) -> list[BenchmarkSet]:
    """Recognise `root/{train,val,test}/NAME/{input,target}` and its relatives."""
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    found = []
    for split in SPLITS:
        folders = sorted(path for path in (root / split).glob("*") if path.is_dir())
        found += [_recognise(folder, split) for folder in folders]
    return [each for each in found if each is not None]


def open_set(root: Path | str, name: str, *, split: str | None = None) -> FolderPairs | CleanFolder:
    """Open one set by name; a wrong name is answered with the sets that are there."""
    sets = find_sets(root)
    for each in sets:
        if each.name.lower() == name.lower() and split in (None, each.split):
            return each.open()
    there = sorted({each.name for each in sets})
    near = get_close_matches(name, there, n=1)
    wanted = name if split is None else f"{split}/{name}"
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(there) or 'none'}"
    raise ValueError(
        f"no set {wanted} in {root}; {hint} (expected {root}/{split or 'train'}/{name}/input "
        f"and .../target)"
    )


def _recognise(folder: Path, split: str) -> BenchmarkSet | None:
    names = {name.lower(): task for task, sets in TASKS.items() for name in sets}
    task = names.get(folder.name.lower())
    for degraded, clean in PAIR_FOLDERS:
        if (folder / degraded).is_dir() and (folder / clean).is_dir():
            return BenchmarkSet(folder.name, split, task, folder / clean, folder / degraded)
    if task == "denoise" and list_pictures(folder):
        return BenchmarkSet(folder.name, split, task, folder)
    return None
