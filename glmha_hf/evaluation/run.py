"""The run: every model on every test set, shared among processes, resumable at any picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..metrics import PictureScores, Scores
from .files import save_prediction
from .journal import Entry, Journal, entry_key
from .progress import Progress
from .restorers import Restorer
from .sets import Sample, TestSet


def _alone(items: list[Any]) -> list[Any]:
    return items


@dataclass(frozen=True)
class Processes:
    """This process among several; `gather` gives everyone the concatenation of all lists."""

    index: int = 0
    count: int = 1
    gather: Callable[[list[Any]], list[Any]] = _alone

    @property
    def is_main(self) -> bool:
        return self.index == 0


@dataclass(frozen=True)
class Result:
    """One model on one test set."""

    model: str
    set: str
    scores: Scores
    fingerprint: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def protocol(self) -> str:
        return self.scores.protocol.name


def evaluate(
    restorers: Sequence[Restorer],
    sets: Sequence[TestSet],
    *,
    output: Path | str,
    limit: int | None = None,
    fresh: bool = False,
    save_pictures: bool = False,
    processes: Processes | None = None,
    quiet: bool = False,
) -> list[Result]:
    """Score every model on every set; pictures that the journal in `output` has are not redone.

    The results are the same to the last digit however many processes share the pictures.
    """
    processes = processes or Processes()
    check_fit(restorers, sets)
    Path(output).mkdir(parents=True, exist_ok=True)  # or it is told now, and not of a picture
    journal = Journal(Path(output), process=processes.index)
    if fresh:
        journal.forget()
        processes.gather([])  # nobody reads before everyone has forgotten
    known = processes.gather(list(journal.read().values()))
    shared = _Run(journal, processes, limit, save_pictures, quiet or not processes.is_main)
    shared.done = {entry.key: entry for entry in known}
    return [shared.result(restorer, each) for restorer in restorers for each in sets]


def check_fit(restorers: Sequence[Restorer], sets: Sequence[TestSet]) -> None:
    """Refuse what cannot work, or would mix two sets or models up, before anything runs."""
    for what, names in (
        ("models", [each.name for each in restorers]),
        ("test sets", [f"{each.name} ({each.protocol})" for each in sets]),
    ):
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"two {what} are called {doubled[0]}: rename one or leave one out")
    for restorer in restorers:
        for each in sets:
            restorer.require_fit(each)


def chosen_pictures(length: int, limit: int | None) -> list[int]:
    """All pictures, or `limit` of them spread evenly over the set."""
    count = length if limit is None else min(limit, length)
    return [length * place // count for place in range(count)]


@dataclass
class _Run:
    """What all models and sets of one run share, and the pictures done so far."""

    journal: Journal
    processes: Processes
    limit: int | None
    save_pictures: bool
    quiet: bool
    done: dict[str, Entry] = field(default_factory=dict)

    def result(self, restorer: Restorer, test_set: TestSet) -> Result:
        chosen = chosen_pictures(len(test_set), self.limit)
        keys = {index: picture_key(restorer, test_set, index) for index in chosen}
        left = [i for i in chosen if not self._is_done(keys[i], restorer, test_set, i)]
        mine = left[self.processes.index :: self.processes.count]
        title = f"{restorer.name} on {test_set.name}"
        progress = Progress(title, len(mine), skipped=len(chosen) - len(left), quiet=self.quiet)
        fresh: list[Entry] = []
        problems: list[str] = []
        for index in mine:
            try:
                fresh.append(self._score(restorer, test_set, index, keys[index]))
            except (ValueError, OSError) as error:
                # The other processes wait for this one: what went wrong is told to all of them.
                problems.append(f"{test_set.name}, {test_set.picture_name(index)}: {error}")
                break
            progress.step(fresh[-1].scores)
        progress.close()
        self._share(fresh, problems)
        entries = [self.done[keys[index]] for index in chosen]
        pictures = [
            PictureScores(entry.scores, index, entry.name)
            for index, entry in zip(chosen, entries, strict=True)
        ]
        part = {"limit": len(chosen)} if len(chosen) < len(test_set) else {}
        return Result(
            restorer.name,
            test_set.name,
            Scores(test_set.protocol, pictures),
            restorer.fingerprint,
            restorer.facts,
            test_set.settings | part,
        )

    def _is_done(self, key: str, restorer: Restorer, test_set: TestSet, index: int) -> bool:
        if key not in self.done:
            return False
        path = prediction_path(self.journal.folder, restorer, test_set, index)
        return not self.save_pictures or path.exists()

    def _score(self, restorer: Restorer, test_set: TestSet, index: int, key: str) -> Entry:
        sample, prediction = restore_sample(restorer, test_set, index)
        scores = test_set.score(prediction, sample.target)
        if self.save_pictures:
            folder = self.journal.folder
            save_prediction(prediction, prediction_path(folder, restorer, test_set, index))
        entry = Entry(
            key, restorer.name, test_set.name, test_set.protocol, index, sample.name, scores
        )
        self.journal.append(entry)
        return entry

    def _share(self, fresh: list[Entry], problems: list[str]) -> None:
        problems = self.processes.gather(problems)
        if problems:
            raise ValueError(problems[0])
        self.done.update({entry.key: entry for entry in self.processes.gather(fresh)})


def picture_key(restorer: Restorer, test_set: TestSet, index: int) -> str:
    return entry_key(
        restorer.fingerprint,
        test_set.protocol,
        test_set.settings,
        restorer.gray,
        test_set.picture_name(index),
        test_set.identity(index),
    )


def restore_sample(restorer: Restorer, test_set: TestSet, index: int) -> tuple[Sample, np.ndarray]:
    """A sample and its prediction, as the protocol scores it."""
    sample = test_set.sample(index, gray=restorer.gray)
    restored = restorer.restore(sample)
    if not np.isfinite(restored).all():
        raise ValueError(f"{restorer.name} makes values that are NaN or infinite of {sample.name}")
    return sample, test_set.finish(restored, sample.target)


def prediction_path(folder: Path, restorer: Restorer, test_set: TestSet, index: int) -> Path:
    """Where an output picture goes; cubes and SIDD's floats are stored as .npy."""
    pictures = test_set.input_kind == "picture" and test_set.settings.get("scored") != "float"
    name = Path(test_set.picture_name(index))
    place = folder / "pictures" / restorer.name.replace("/", "--") / test_set.name
    return place / name.with_name(f"{name.stem}{'.png' if pictures else '.npy'}")
