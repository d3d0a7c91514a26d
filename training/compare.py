"""Train and score the cells of a comparison, and report on them.

    python training/compare.py configs/compare/compact.yaml --list
    python training/compare.py configs/compare/compact.yaml --data photos=FOLDER --only 'derain/*'
    python training/compare.py configs/compare/compact.yaml --report

A cell is one variant of one group with one seed; each has a folder of its own, and is done once.
The same command goes on where it was stopped, and may run several times at once, here or on other
machines that share the folders. `key=value` at the end changes every cell's recipe,
such as `length_scale=4 run.compile=true`; give another budget folders of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Idle CPU threads soon sleep, as in train.py; it has to be said before torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from filelock import FileLock
from huggingface_hub.errors import StrictDataclassError
from train import prepare, train

from glmha_hf.comparison.cells import CellFolder, rows_of, score
from glmha_hf.comparison.plan import (
    Cell,
    Comparison,
    Group,
    as_overrides,
    load_comparison,
    missing_places,
)
from glmha_hf.comparison.ranks import measure_ranks, store_ranks
from glmha_hf.comparison.report import write_report
from glmha_hf.comparison.results import METRICS, Results, Row, key_of
from glmha_hf.comparison.timing import store_times, time_group
from glmha_hf.training.signals import StopRequest

OUTPUT, RESULTS = Path("runs/compare"), Path("docs/comparison")


@dataclass
class Tally:
    """What became of the cells, for the last line and the exit code."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.done)} cells done"]
        for what, names in (
            ("failed", self.failed),
            ("with another process", self.elsewhere),
            ("waiting for their reference to be trained in this output folder", self.waiting),
        ):
            if names:
                parts.append(f"{len(names)} {what}: {', '.join(names)}")
        return "; ".join(parts)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "comparison", type=Path, help="a YAML file such as those in configs/compare"
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of every recipe")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="where the data of that name is; the YAML file's `places` name them",
    )
    parser.add_argument("--only", action="append", default=[], metavar="GROUP/VARIANT/SEED")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER")
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="FOLDER",
        help="where the tables go; the report is FOLDER.md (%(default)s)",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="say how far each cell is")
    instead.add_argument("--report", action="store_true", help="write the page and its figures")
    instead.add_argument("--time", action="store_true", help="measure each group's attentions")
    instead.add_argument("--rank", action="store_true", help="measure trained attention's ranks")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="for --time")
    return parser.parse_intermixed_args(arguments)


def run_cells(cells: Sequence[Cell], options: argparse.Namespace, stop: StopRequest) -> Tally:
    """All that are not done, one after the other, again while that makes others possible."""
    results = Results(options.results)
    tally = Tally()
    left = list(cells)
    while left and not stop.requested:
        tally.elsewhere, tally.waiting = [], []
        before = len(tally.done)
        for cell in left:
            run_cell(cell, options.output, results, tally, stop)
            if stop.requested:
                break
        settled = {*tally.done, *tally.failed}
        left = [cell for cell in left if cell.name not in settled]
        if len(tally.done) == before:
            break
    return tally


def run_cell(cell: Cell, output: Path, results: Results, tally: Tally, stop: StopRequest) -> None:
    folder = CellFolder(cell, output)
    with folder.lock() as ours:
        if not ours:
            tally.elsewhere.append(cell.name)
        elif (finished := folder.result()) is not None or is_done(cell, results):
            if finished is not None:
                store(results, output, *finished)
            tally.done.append(cell.name)
        elif cell.waits_for_ranks and not CellFolder(cell.reference, output).result():
            tally.waiting.append(cell.name)
        else:
            say(f"{cell.name} begins")
            try:
                if train_and_score(folder, results, stop):
                    tally.done.append(cell.name)
            except (ArithmeticError, RuntimeError) as error:
                if stop.requested:  # Ctrl-C reaches a compiler at work as well
                    return
                say(f"{cell.name} failed: {str(error).partition(chr(10))[0]}")
                tally.failed.append(cell.name)


def train_and_score(folder: CellFolder, results: Results, stop: StopRequest) -> bool:
    """Whether it came to its end."""
    cell = folder.cell
    with fresh_state():
        recipe = folder.prepare()
    with fresh_state():
        words = [*cell.group.overrides, *as_overrides(cell.settings)]
        run = prepare(recipe, [str(cell.group.recipe_path), *words])
        device = run.accelerator.device
        train(run, stop)
    if stop.requested:
        return False
    with fresh_state():
        scored = score(recipe, Accelerator(cpu=device.type == "cpu"), stop)
    if scored is None:
        return False
    result, curve = rows_of(folder, recipe, scored, device)
    folder.write_result(result, curve)
    store(results, folder.output, result, curve)
    told = ", ".join(f"{name} {result[name]:.4f}" for name in METRICS if name in result)
    say(f"{cell.name}: {told}")
    return True


@contextlib.contextmanager
def fresh_state() -> Iterator[None]:
    """Accelerate keeps one state a process, and compiled blocks stay: every run has its own."""
    try:
        yield
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
        torch.compiler.reset()


def is_done(cell: Cell, results: Results) -> bool:
    return any(key_of(row) == cell.key for row in results.cells())


def store(results: Results, output: Path, result: Row, curve: Sequence[Row]) -> None:
    with FileLock(output / ".results.lock"):
        results.add(result, curve)


def list_cells(cells: Sequence[Cell], options: argparse.Namespace) -> None:
    """One line a cell; variants that are trained under another name are named beside it."""
    results = Results(options.results)
    for cell in cells:
        folder = CellFolder(cell, options.output)
        done = is_done(cell, results) or folder.result() is not None
        same = f" (also {', '.join(cell.other_names)})" if cell.other_names else ""
        print(f"{cell.name}: {folder.state(done=done)}{same}")


def report(comparison: Comparison, options: argparse.Namespace) -> None:
    page = options.results.with_suffix(".md")
    write_report(comparison, Results(options.results), page, command=command_of(options))
    print(page)


def command_of(options: argparse.Namespace) -> str:
    """What makes these results, but for what is done and where the data is."""
    words = ["python", "training/compare.py", str(options.comparison), *options.overrides]
    for name, usual in (("output", OUTPUT), ("results", RESULTS)):
        if (folder := getattr(options, name)) != usual:
            words += [f"--{name}", str(folder)]
    return shlex.join(words)


def time_groups(groups: Sequence[Group], options: argparse.Namespace) -> None:
    path = options.results / "times.csv"
    for group in groups:
        on_gpu = torch.cuda.is_available() and group.recipe_with({}).run.device != "cpu"
        device = "cuda" if on_gpu else "cpu"
        store_times(path, time_group(group, repeats=options.repeats, device=device, report=say))
    print(path)


def rank_groups(groups: Sequence[Group], options: argparse.Namespace) -> None:
    for group in groups:
        rows, shown, missing = measure_ranks(group, options.output)
        if missing:
            say(f"no trained weights in {options.output} of {', '.join(missing)}")
        if rows:
            store_ranks(options.results, group, rows, shown)
    print(options.results / "ranks.csv")


def require_places(cells: Sequence[Cell], places: dict[str, str]) -> None:
    for cell in cells:
        if missing := missing_places(cell.group, places):
            raise ValueError(
                f"{cell.name} needs --data {missing[0]}=PATH; --only 'GROUP/*' leaves groups out"
            )


def say(text: str) -> None:
    print(f"compare: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        return run(parse_arguments(arguments))
    except (ValueError, OSError, StrictDataclassError) as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:  # while training: the second one
        say("stopped at once")
        return 130


def run(options: argparse.Namespace) -> int:
    places = dict(split_place(each) for each in options.data)
    comparison = load_comparison(options.comparison, places=places, overrides=options.overrides)
    Results(options.results).require_one_budget(comparison)
    cells = comparison.cells(options.only)
    groups = [group for group in comparison.groups if any(cell.group is group for cell in cells)]
    if options.list:
        list_cells(cells, options)
    elif options.report:
        report(comparison, options)
    elif options.time:
        time_groups(groups, options)
    elif options.rank:
        require_places(cells, places)
        rank_groups(groups, options)
    else:
        require_places(cells, places)
        return train_cells(cells, options)
    return 0


def train_cells(cells: Sequence[Cell], options: argparse.Namespace) -> int:
    with StopRequest() as stop:
        tally = run_cells(cells, options, stop)
    say(f"stopped, the same command goes on: {tally}" if stop.requested else str(tally))
    return stop.exit_code or (1 if tally.failed else 0)


def split_place(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise ValueError(f"--data takes NAME=PATH, not {text!r}")
    if not Path(path).exists():
        raise FileNotFoundError(f"--data {name}: there is no {path}")
    return name, path


if __name__ == "__main__":
    sys.exit(main())
