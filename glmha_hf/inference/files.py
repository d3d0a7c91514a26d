"""Which pictures a command means, and where each restored one goes. Imports no torch."""

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PICTURE_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("apng", "bmp", "dib", "gif", "j2k", "jfif", "jp2", "jpe", "jpeg", "jpg"),
        *("pbm", "pgm", "png", "pnm", "ppm", "tga", "tif", "tiff", "webp"),
    )
)
BESIDE_SUFFIX = "_restored"
Report = Callable[[str], object]


@dataclass(frozen=True)
class Job:
    """One picture to restore, and the file that it becomes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Found:
    """A picture, and its place below the folder that was named."""

    path: Path
    relative: Path


def plan_jobs(
    inputs: Sequence[str],
    *,
    output: str | None,
    suffix: str | None,
    recursive: bool,
    overwrite: bool,
    report: Report,
) -> list[Job]:
    """One job a picture; what cannot be read is reported, what makes no sense raises.

    Without an output the restored picture stands beside its source, with a suffix.
    """
    suffix = (BESIDE_SUFFIX if output is None else "") if suffix is None else suffix
    if suffix != Path(suffix).name and suffix:
        raise ValueError(f"--suffix is a part of a file's name, not {suffix!r}")
    named = list(find_pictures(inputs, recursive=recursive, report=report))
    found = [picture for picture in named if not _is_a_result(picture, output, suffix)]
    found = list({_place(picture.path): picture for picture in found}.values())
    jobs = [Job(picture.path, target(picture, output, suffix, inputs)) for picture in found]
    _check_targets(jobs, overwrite=overwrite)
    return jobs


def _place(path: Path) -> Path:
    """One and the same for all ways to write it; a link has a place of its own."""
    return path.parent.resolve() / path.name


def find_pictures(
    inputs: Sequence[str],
    *,
    recursive: bool,
    report: Report,
    suffixes: frozenset[str] = PICTURE_SUFFIXES,
) -> Iterator[Found]:
    """Files as they are named; folders' pictures in natural order; patterns that a shell left."""
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            yield from _in_folder(path, recursive=recursive, report=report, suffixes=suffixes)
        elif not is_pattern(text):
            yield Found(path, Path(path.name))
        else:
            matches = sorted(map(Path, glob.glob(text, recursive=True)), key=natural_order)  # noqa: PTH207
            if not matches:
                raise FileNotFoundError(f"nothing matches {text}")
            yield from (Found(match, Path(match.name)) for match in matches if match.is_file())


def is_pattern(text: str) -> bool:
    """Whether a shell left a pattern to us; brackets may be part of a file's name, too."""
    return glob.has_magic(text) and not Path(text).exists()


def _in_folder(
    folder: Path, *, recursive: bool, report: Report, suffixes: frozenset[str]
) -> Iterator[Found]:
    found = False
    for parent, folders, names in os.walk(
        folder, onerror=lambda error: report(f"{error.filename}: {error.strerror}")
    ):
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        for name in sorted(names, key=lambda name: natural_order(Path(name))):
            path = Path(parent, name)
            if path.suffix.lower() in suffixes and not name.startswith("."):
                found = True
                yield Found(path, path.relative_to(folder))
    if not found:
        hint = "" if recursive else " itself (-r looks in the folders inside it)"
        report(f"{folder}: there are no pictures in this folder{hint}")


def natural_order(path: Path) -> list[tuple[int, str]]:
    """frame_9 before frame_10."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]


def _is_a_result(picture: Found, output: str | None, suffix: str) -> bool:
    """Whether an earlier run wrote it, in a folder that was named as a whole."""
    if output is not None and Path(output).is_dir() and len(picture.relative.parts) > 1:
        return picture.path.resolve().is_relative_to(Path(output).resolve())
    stem = picture.path.stem
    beside = output is None or _place(Path(output, picture.relative)) == _place(picture.path)
    if not beside or not suffix or not stem.endswith(suffix):
        return False
    return picture.path.with_stem(stem.removesuffix(suffix)).exists()


def target(picture: Found, output: str | None, suffix: str, inputs: Sequence[str]) -> Path:
    if output is None:
        return picture.path.with_stem(picture.path.stem + suffix)
    names_a_file = (
        not Path(output).is_dir()
        and not output.endswith(("/", os.sep))
        and Path(output).suffix.lower() in PICTURE_SUFFIXES
    )
    if names_a_file:
        if len(inputs) > 1 or Path(inputs[0]).is_dir() or is_pattern(inputs[0]):
            raise ValueError(
                f"{output} is one file, but there may be several pictures: name a folder"
            )
        return Path(output)
    return Path(output, picture.relative).with_stem(picture.path.stem + suffix)


def _check_targets(jobs: Iterable[Job], *, overwrite: bool) -> None:
    sources: dict[Path, Path] = {}
    for job in jobs:
        where = job.target.resolve()
        if where == job.source.resolve() and not overwrite:
            raise ValueError(
                f"{job.source} would replace itself: give --suffix, another folder or --overwrite"
            )
        if where in sources:
            raise ValueError(f"{sources[where]} and {job.source} would both become {job.target}")
        sources[where] = job.source
