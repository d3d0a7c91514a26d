"""From a folder of pictures to a Hugging Face dataset of degraded and clean pairs."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from PIL import Image

from ..files import replaced_file
from .card import dataset_card
from .checks import DatasetError
from .degradations import DEGRADATIONS, Degradation
from .degradations.base import from_eight_bit, to_eight_bit, tried
from .pictures import Pixels, list_pictures, read_picture

TASKS: dict[str, str] = {
    "derain": "rain",
    "deblur": "motion_blur",
    "denoise": "gaussian_noise",
}
RECIPE_FILE = "provenance.json"
Job = TypeVar("Job")


@dataclass(frozen=True)
class SynthesisRecipe:
    """What decides what any synthesised dataset holds, saved beside it."""

    tasks: ClassVar[Mapping[str, Any]]

    task: str
    source: str  # where the pictures come from, in words
    licence: str = "unknown"
    seed: int = 0
    copies: int = 1  # different versions of every picture
    validation: float = 0.0  # fraction of the pictures set aside
    parameters: dict[str, Any] = field(default_factory=dict)  # other than the usual ones

    def __post_init__(self) -> None:
        if self.task not in self.tasks:
            raise ValueError(f"no task {self.task}; there are {', '.join(self.tasks)}")
        if not 0 <= self.validation < 1:
            raise ValueError(f"the validation fraction is {self.validation}; it lies in [0, 1)")
        if self.copies < 1 or self.seed < 0:
            raise ValueError("copies start at 1, the seed at 0")


@dataclass(frozen=True)
class Recipe(SynthesisRecipe):
    """Degraded pictures; the parameters are their degradation's."""

    tasks = TASKS

    rows_per_shard: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rows_per_shard < 1:
            raise ValueError("rows per shard start at 1")
        self._try_parameters()

    def _try_parameters(self) -> None:
        """Before anything is written."""
        try:
            tried(self.degradation)
        except ValueError as error:
            raise ValueError(
                f"cannot {self.task} with {json.dumps(self.parameters)} ({error})"
            ) from None

    def degradation(self) -> Degradation:
        parameters = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self.parameters.items()
        }
        return DEGRADATIONS[TASKS[self.task]](**parameters)


@dataclass(frozen=True)
class Row:
    """One pair to be made: which picture, and which of its copies."""

    path: Path
    name: str
    number: int
    copy: int


@dataclass(frozen=True)
class Shard:
    """One Parquet file to be written."""

    path: Path
    rows: tuple[Row, ...]


def synthesize(
    pictures: Path | str,
    output: Path | str,
    recipe: Recipe,
    *,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a dataset `datasets.load_dataset(output)` can read; run again to resume.

    A shard appears under its name only when complete, and shards that are there are kept.
    """
    pictures, output = Path(pictures), Path(output)
    files = list_pictures(pictures)
    if not files:
        raise DatasetError(f"there are no pictures in {pictures}")
    agree_with_earlier_run(output, asdict(recipe), files, root=pictures)
    shards = plan_shards(files, output, recipe, root=pictures)
    run_all(
        shards,
        partial(write_shard, recipe=recipe),
        done=lambda shard: shard.path.exists(),
        processes=processes,
        progress=progress,
    )
    counts = {split: sum(len(s.rows) for s in shards if _split(s) == split) for split in SPLITS}
    rows = {split: count for split, count in counts.items() if count}
    degradation: Any = recipe.degradation()
    _write_whole(
        output / "README.md",
        dataset_card(
            task=recipe.task,
            source=recipe.source,
            licence=recipe.licence,
            seed=recipe.seed,
            rows=rows,
            degradation=type(degradation).__name__,
            parameters=asdict(degradation),
        ).encode(),
    )
    return output


SPLITS = ("train", "validation")


def plan_shards(files: list[Path], output: Path, recipe: Recipe, *, root: Path) -> list[Shard]:
    """Deal pictures into splits and shards; copies of a picture never fall into two splits."""
    order = np.random.default_rng([recipe.seed, len(files)]).permutation(len(files))
    aside = round(recipe.validation * len(files))
    chosen = {"validation": sorted(order[:aside]), "train": sorted(order[aside:])}
    shards = []
    for split in SPLITS:
        rows = [
            Row(files[number], files[number].relative_to(root).as_posix(), int(number), copy)
            for copy in range(recipe.copies)
            for number in chosen[split]
        ]
        total = -(-len(rows) // recipe.rows_per_shard)
        for shard in range(total):
            name = f"{split}-{shard:05d}-of-{total:05d}.parquet"
            start = shard * recipe.rows_per_shard
            part = tuple(rows[start : start + recipe.rows_per_shard])
            shards.append(Shard(output / "data" / name, part))
    return shards


def write_shard(shard: Shard, recipe: Recipe) -> None:
    """Degrade a shard's pictures and write them as one Parquet file with the bytes inside."""
    import datasets

    features = datasets.Features(
        {
            "input": datasets.Image(),
            "target": datasets.Image(),
            "name": datasets.Value("string"),
            "copy": datasets.Value("int32"),
            "seed": datasets.Value("int64"),
        }
    )
    degradation = recipe.degradation()
    rows = [_make_row(row, recipe.seed, degradation) for row in shard.rows]
    columns = {name: [row[name] for row in rows] for name in features}
    buffer = io.BytesIO()
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns, features=features).to_parquet(buffer)
    _write_whole(shard.path, buffer.getvalue())


def _make_row(row: Row, seed: int, degradation: Degradation) -> dict[str, Any]:
    clean = read_picture(row.path)
    rng = np.random.default_rng([seed, row.number, row.copy])
    degraded = to_eight_bit(degradation(from_eight_bit(clean), rng))
    stem = Path(row.name).stem
    return {
        "input": {"bytes": _png(degraded), "path": f"{stem}-{row.copy}-input.png"},
        "target": {"bytes": _png(clean), "path": f"{stem}-{row.copy}-target.png"},
        "name": row.name,
        "copy": row.copy,
        "seed": seed,
    }


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", compress_level=3)
    return buffer.getvalue()


def run_all(
    jobs: Sequence[Job],
    work: Callable[[Job], None],
    *,
    done: Callable[[Job], bool],
    processes: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Do what is not done yet, here or in several processes, and say how far it is."""
    missing = [job for job in jobs if not done(job)]
    finished = len(jobs) - len(missing)
    if progress is not None:
        progress(finished, len(jobs))
    for _ in _each(missing, work, processes):
        finished += 1
        if progress is not None:
            progress(finished, len(jobs))


def _each(jobs: Sequence[Job], work: Callable[[Job], None], processes: int) -> Iterator[None]:
    if processes == 1 or len(jobs) <= 1:
        yield from map(work, jobs)
        return
    # A fresh interpreter per process: forking after torch has started threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = [pool.submit(work, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except (Exception, KeyboardInterrupt):
            pool.shutdown(cancel_futures=True)
            raise


def agree_with_earlier_run(
    output: Path, settings: dict[str, Any], files: list[Path], *, root: Path
) -> None:
    """Record what this dataset is made of, or refuse to mix it with something else."""
    record = output / RECIPE_FILE
    listing = "\n".join(f"{path.relative_to(root)} {path.stat().st_size}" for path in files)
    now = {
        **settings,
        "pictures": len(files),
        "listing_sha256": hashlib.sha256(listing.encode()).hexdigest(),
    }
    now = json.loads(json.dumps(now))
    if not record.exists():
        if output.exists() and any(output.iterdir()):
            raise ValueError(f"{output} is not empty and was not made by this command")
        _write_whole(record, json.dumps(now, indent=2).encode())
        return
    before = json.loads(record.read_text())
    changed = [name for name in now if before.get(name) != now[name]]
    if changed:
        raise ValueError(
            f"{output} was begun with another {', '.join(changed)}; "
            f"repeat those settings to resume, or choose another folder"
        )


def _write_whole(path: Path, content: bytes) -> None:
    with replaced_file(path) as unfinished:
        unfinished.write_bytes(content)


def _split(shard: Shard) -> str:
    return shard.path.name.split("-")[0]
