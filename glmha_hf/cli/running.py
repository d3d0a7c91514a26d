"""What `restore` and `reconstruct` share: how a model runs, and one run over many files."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..inference.files import Job
from ..inference.processes import Meeting, rank, share

if TYPE_CHECKING:
    from ..inference.folder import Tally

MAX_PIXELS = 178_956_970


def add_running_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tile",
        type=tile_size,
        default="auto",
        metavar="SIZE",
        help="pixels, none, or auto: what fits half of the free memory (default)",
    )
    parser.add_argument("--overlap", type=int, metavar="PIXELS", help="default: tile / 8")
    parser.add_argument(
        "--batch-size", type=positive, default=1, metavar="N", help="pictures at once"
    )
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), help="default: as stored"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, … (default: a GPU if there is one)")
    parser.add_argument(
        "--max-pixels",
        type=positive,
        default=MAX_PIXELS,
        metavar="N",
        help=f"refuse larger pictures (default: {MAX_PIXELS:,})",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="errors only")


def check_device(name: str) -> None:
    """Refuses a device that torch does not know or does not find, before anything is loaded."""
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {name}: {str(error).splitlines()[0]}") from None


def run_files(
    arguments: argparse.Namespace,
    plan: Callable[[Callable[[str], object]], list[Job]],
    run: "Callable[[list[Job]], Tally]",
    *,
    made: str,
) -> tuple[list[Job], int]:
    """All jobs but those done before, shared among the processes; the jobs and the exit status.

    `plan` is given what to tell of inputs that are no job; `made` is the word for what was done.
    """
    failures: list[str] = []

    def report(line: str) -> None:
        failures.append(line)
        if rank() == 0:
            say(f"glmha {arguments.command}: {line}")

    jobs = plan(report)
    unlisted = len(failures)
    open_jobs = [job for job in jobs if arguments.overwrite or not job.target.exists()]
    done, failed = run_shared(open_jobs, run)
    if rank() == 0 and not arguments.quiet:
        before = len(jobs) - len(open_jobs)
        say(f"{done} {made}, {before} done before, {failed + unlisted} failed")
    return jobs, 1 if failed + unlisted else 0


@contextmanager
def progress_bar(
    total: Callable[[], float], *, quiet: bool, bar_format: str, unit: str
) -> Iterator[Any]:
    """On standard error, where a person is looking; only there is the total counted."""
    from tqdm import tqdm

    hidden = quiet or rank() > 0 or not sys.stderr.isatty()
    with tqdm(
        total=None if hidden else total(),
        unit=unit,
        file=sys.stderr,
        disable=hidden,
        bar_format=bar_format,
    ) as bar:
        yield bar


def run_shared(jobs: Sequence[Job], run: "Callable[[list[Job]], Tally]") -> tuple[int, int]:
    """Each process runs its part; how many files all of them made, and how many failed."""
    with Meeting() as meeting:
        mine = share(jobs)
        tally = run(mine) if mine else None
        done, failed = meeting.total(*((tally.restored, len(tally.failed)) if tally else (0, 0)))
    return done, failed


def tile_size(text: str) -> int | str | None:
    if text in ("auto", "none"):
        return None if text == "none" else text
    return positive(text)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def say(line: str) -> None:
    print(line, file=sys.stderr)
