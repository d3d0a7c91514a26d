"""What `restore` and `reconstruct` share: how a model runs, and one run over many files."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..inference.files import Job
from ..inference.processes import Meeting, share

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
