"""From a path to test sets: recognise the layout, or say what was expected and what is there."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from ..data.layouts import PAIR_FOLDERS, SPLITS, TASKS, find_sets
from ..data.pairs import CleanFolder, ColumnPairs, FolderPairs, open_dataset_on_disk
from ..data.pictures import list_pictures
from ..data.spectral_sets import RGB_FOLDERS, SPEC_FOLDERS, CassiScenes, NtirePairs
from ..metrics import get_protocol
from .degraded import DegradedPictures
from .downloads import DOWNLOADS
from .sets import NtireScenes, PicturePairs, SiddBlocks, SnapshotScenes, TestSet

PROTOCOL_OF_TASK = {"derain": "deraining", "deblur": "deblurring", "denoise": "denoising"}
PAPER_SIGMAS = (15.0, 25.0, 50.0)
KAIST_FOLDERS = ("TSA_simu_data", "Truth")
DATASET_MARKS = ("dataset_info.json", "dataset_dict.json", "metadata.jsonl", "*.parquet", "data")

EXPECTED = (
    "input/ and target/, test/NAME/{input,target}, Train_RGB/ and Train_Spec/, "
    "or scene*.mat and mask.mat"
)


def open_sets(
    place: str,
    *,
    protocol: str | None = None,
    sigmas: Sequence[float] = (),
    split: str | None = None,
    columns: tuple[str, str] = ("input", "target"),
    degradations: Sequence[str] = (),
) -> list[TestSet]:
    """All test sets at a place: a folder in any known layout, INPUTS,TARGETS, or a Hub dataset.

    `protocol` is needed where the folder's name does not tell the task. With `degradations` the
    folder is one of clean pictures, and each degradation makes a set of it.
    """
    if protocol is not None:
        get_protocol(protocol)
    if degradations:
        sets = _degraded(Path(place), protocol, degradations)
    else:
        sets = _open(place, protocol, tuple(sigmas), split, columns)
    for each in sets:
        if protocol not in (None, each.protocol):
            raise ValueError(f"{each.name} is scored by {each.protocol}, not by {protocol}")
        if not len(each):
            raise ValueError(f"{place}: {each.name} holds no pictures")
        each.check()
    return sets


def _open(
    place: str,
    protocol: str | None,
    sigmas: tuple[float, ...],
    split: str | None,
    columns: tuple[str, str],
) -> list[TestSet]:
    path = _named(place)
    if not path.exists():
        if "," in place:
            inputs, _, targets = place.partition(",")
            name = _named(str(_named(inputs).parent)).name or inputs
            pairs = matched_pairs(Path(inputs), Path(targets))
            return [PicturePairs(pairs, name, _wanted(protocol, name))]
        if place.count("/") == 1 and place[0] not in "./~" and not path.parent.is_dir():
            return [_hub_dataset(place, protocol, split or "test", columns)]
        raise FileNotFoundError(f"no folder {place}{_near(path)}{_advice(protocol, place)}")
    if not path.is_dir():
        raise NotADirectoryError(f"{place} is a file: give the folder of a test set")
    found = (
        _spectral(path, split or "valid", protocol)
        or _sidd(path)
        or _pictures(path, protocol, sigmas)
    )
    if found:
        return found
    if any(list(path.glob(mark)) for mark in DATASET_MARKS):
        dataset = open_dataset_on_disk(path, split=split or "test")
        return [_columns(dataset, path.name, protocol, columns)]
    raise ValueError(_unrecognised(path, protocol))


def _named(place: str) -> Path:
    """A path with a name: `.` and `..` have none of their own."""
    path = Path(place)
    return path.resolve() if path.name in ("", "..") else path


def _spectral(path: Path, split: str, protocol: str | None) -> list[TestSet]:
    folders = [
        path / name for names in (*RGB_FOLDERS.values(), *SPEC_FOLDERS.values()) for name in names
    ]
    if any(folder.is_dir() for folder in folders):
        pairs = NtirePairs(path, split=split)
        _require_matched(path, pairs.unmatched, len(pairs), "ntire2022")
        name = "ARAD-1K" if pairs.name(0).startswith("ARAD_1K") else path.resolve().name
        return [NtireScenes(pairs, f"{name} {split}", protocol or "ntire2022")]
    scenes = CassiScenes(path)
    if len(scenes):
        if not scenes.mask_file.is_file():
            raise ValueError(
                f"{path} has {len(scenes)} scenes but no mask.mat to measure them with: "
                + DOWNLOADS["cassi"].advice(str(path))
            )
        name = "KAIST" if path.name in KAIST_FOLDERS else path.name
        return [SnapshotScenes(scenes, name, protocol or "cassi")]
    return []


def _sidd(path: Path) -> list[TestSet]:
    files = [path / f"{key}.mat" for key in (SiddBlocks.noisy_key, SiddBlocks.clean_key)]
    there = [file for file in files if file.is_file()]
    if not there:
        return []
    if len(there) == 1:
        missing = next(file for file in files if file not in there)
        raise ValueError(
            f"{path} has {there[0].name} but not {missing.name}: "
            + DOWNLOADS["sidd"].advice(str(path))
        )
    return [SiddBlocks(path, path.name, "denoising")]


def _pictures(path: Path, protocol: str | None, sigmas: tuple[float, ...]) -> list[TestSet]:
    for degraded, clean in PAIR_FOLDERS:
        if (path / degraded).is_dir() and (path / clean).is_dir():
            pairs = matched_pairs(path / degraded, path / clean)
            return [PicturePairs(pairs, path.name, _wanted(protocol, path.name))]
    if any((path / split).is_dir() for split in SPLITS):
        return _benchmarks(path, protocol, sigmas)
    if (protocol == "denoising" or _task(path.name) == "denoise") and list_pictures(path):
        source = CleanFolder(path)
        return [
            PicturePairs(source, f"{path.name} σ={sigma:g}", "denoising", sigma=sigma)
            for sigma in sigmas or PAPER_SIGMAS
        ]
    return []


def _degraded(path: Path, protocol: str | None, degradations: Sequence[str]) -> list[TestSet]:
    if not path.is_dir():
        raise FileNotFoundError(f"no folder {path} of clean pictures to degrade{_near(path)}")
    source = CleanFolder(path)
    return [DegradedPictures(source, path.name, how, protocol=protocol) for how in degradations]


def _benchmarks(root: Path, protocol: str | None, sigmas: tuple[float, ...]) -> list[TestSet]:
    """The test sets below a root, or its other splits' where it has none; one task's if asked."""
    sets = find_sets(root)
    sets = [each for each in sets if each.split == "test"] or sets
    opened: list[TestSet] = []
    for each in sets:
        if protocol in (None, PROTOCOL_OF_TASK.get(each.task or "", protocol)):
            folder = each.input_folder.parent if each.input_folder else each.target_folder
            opened += _pictures(folder, protocol, sigmas)
    return opened


def matched_pairs(inputs: Path, targets: Path) -> FolderPairs:
    """Pairs by name; where no name matches but the numbers do, by sorted listing as the papers."""
    pairs = FolderPairs(inputs, targets)
    if not len(pairs):
        first, second = list_pictures(inputs), list_pictures(targets)
        if first and len(first) == len(second):
            pairs.files, pairs.unmatched = list(zip(first, second, strict=True)), []
    _require_matched(inputs.parent, pairs.unmatched, len(pairs))
    return pairs


def _require_matched(
    path: Path, unmatched: Sequence[str], matched: int, protocol: str | None = None
) -> None:
    if unmatched or not matched:
        first = unmatched[0] if unmatched else "there are no pairs"
        more = f" (and {len(unmatched) - 1} more)" if len(unmatched) > 1 else ""
        advice = _advice(protocol, str(path)) if not matched else ""
        raise ValueError(f"{path}: {first}{more}; {matched} have a partner{advice}")


def _task(name: str) -> str | None:
    names = {each.lower(): task for task, sets in TASKS.items() for each in sets}
    return names.get(name.lower())


def _wanted(protocol: str | None, name: str) -> str:
    """The protocol asked for, or the one of a benchmark with this name."""
    task = _task(name)
    if protocol is None and task is None:
        raise ValueError(
            f"{name} is no benchmark known by name: give --protocol "
            f"({', '.join(PROTOCOL_OF_TASK.values())})"
        )
    return protocol or PROTOCOL_OF_TASK[str(task)]


def _columns(dataset: object, name: str, protocol: str | None, columns: tuple[str, str]) -> TestSet:
    source = ColumnPairs(dataset, input_column=columns[0], target_column=columns[1])
    return PicturePairs(source, name, _wanted(protocol, name))


def _hub_dataset(name: str, protocol: str | None, split: str, columns: tuple[str, str]) -> TestSet:
    _wanted(protocol, name)
    import datasets

    try:
        dataset = datasets.load_dataset(name, split=split)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{name} is no folder, nor a dataset that can be read: {reason}") from None
    return _columns(dataset, name, protocol, columns)


def _near(path: Path) -> str:
    """The folders beside a missing one that it may have meant."""
    if not path.parent.is_dir():
        return ""
    there = [each.name for each in path.parent.iterdir() if each.is_dir()]
    near = difflib.get_close_matches(path.name, there, n=2)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _unrecognised(path: Path, protocol: str | None) -> str:
    """What would be right, and what is there instead."""
    there = sorted(f"{p.name}/" if p.is_dir() else p.name for p in path.iterdir())
    shown = ", ".join(there[:6]) + (f" and {len(there) - 6} more" if len(there) > 6 else "")
    near = [
        f"{name} (for {meant})"
        for name in (each.rstrip("/") for each in there)
        for meant in difflib.get_close_matches(name.lower(), ["input", "target"], n=1, cutoff=0.7)
    ]
    hint = f"; did you mean to rename {' and '.join(near)}?" if near else ""
    pictures = sum(1 for name in there if "." in name and not name.endswith("/"))
    if pictures == len(there) and list_pictures(path):
        hint = "; clean pictures are scored with --protocol denoising, which adds the noise"
    advice = _advice(protocol, str(path))
    return f"{path}: expected {EXPECTED}; found {shown or 'nothing'}{hint}{advice}"


def _advice(protocol: str | None, root: str) -> str:
    return f"; {DOWNLOADS[protocol].advice(root)}" if protocol in DOWNLOADS else ""
