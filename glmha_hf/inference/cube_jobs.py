"""Which inputs `glmha reconstruct` means, and where each cube goes."""

import os
from collections.abc import Sequence
from pathlib import Path

from ..data.cube_formats import SUFFIXES, companions, view_files
from ..data.snapshots import SNAPSHOT_SUFFIXES
from .files import PICTURE_SUFFIXES, Found, Job, Report, find_pictures, is_pattern


def plan_cubes(
    inputs: Sequence[str],
    *,
    output: str,
    format: str | None,
    snapshots: bool,
    mask: Path | None,
    recursive: bool,
    report: Report,
) -> list[Job]:
    """One job an input: to the file that `output` names, or to NAME with its ending in a folder."""
    suffixes = SNAPSHOT_SUFFIXES if snapshots else PICTURE_SUFFIXES
    asked_for = {Path(text).resolve() for text in inputs}
    listed = {
        each.path.resolve(): each
        for each in find_pictures(inputs, recursive=recursive, report=report, suffixes=suffixes)
    }
    found = [
        each
        for path, each in listed.items()
        if path in asked_for or not (_is_mask(path, mask) or _lies_in(each, output))
    ]
    if file := _named_file(inputs, output, format):
        return _checked([Job(each.path, file) for each in found])
    suffix = SUFFIXES[format or "npy"]
    jobs = [Job(each.path, Path(output, each.relative).with_suffix(suffix)) for each in found]
    # In a folder of its own inputs a cube or its picture would be taken for an input the next time.
    results = {
        path.resolve()
        for job in jobs
        for path in (job.target, *companions(job.target), *view_files(job.target))
    }
    return _checked(
        [
            job
            for job in jobs
            if job.source.resolve() in asked_for or job.source.resolve() not in results
        ]
    )


def _named_file(inputs: Sequence[str], output: str, format: str | None) -> Path | None:
    """The output, where it is the file of one cube."""
    path = Path(output)
    if path.suffix not in SUFFIXES.values() or path.is_dir() or output.endswith(("/", os.sep)):
        return None
    if len(inputs) > 1 or Path(inputs[0]).is_dir() or is_pattern(inputs[0]):
        raise ValueError(f"{output} is one file, but there may be several cubes: name a folder")
    if format is not None and SUFFIXES[format] != path.suffix:
        raise ValueError(f"{output} does not end in {SUFFIXES[format]}, as --format {format} does")
    return path


def _is_mask(path: Path, mask: Path | None) -> bool:
    return mask is not None and path == mask.resolve()


def _lies_in(found: Found, output: str) -> bool:
    """Whether an earlier run may have written it, below a folder that was named as a whole."""
    below = len(found.relative.parts) > 1 and Path(output).is_dir()
    return below and found.path.resolve().is_relative_to(Path(output).resolve())


def _checked(jobs: list[Job]) -> list[Job]:
    sources: dict[Path, Path] = {}
    for job in jobs:
        where = job.target.resolve()
        if where == job.source.resolve():
            raise ValueError(f"{job.source} would be replaced by its own cube: name another folder")
        if where in sources:
            raise ValueError(f"{sources[where]} and {job.source} would both become {job.target}")
        sources[where] = job.source
    return jobs
