"""Turn a trained CSA model into a GLMHA model at a budget, with a report."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .running import positive, say

if TYPE_CHECKING:
    from ..compression.compress import Compression
    from ..compression.pictures import Source

EXAMPLES = """DIR holds what the model is given (rainy pictures for a derainer), or clean pictures
with --degrade; snapshots with --mask, or CASSI scenes. No labels are needed. --test takes what
glmha evaluate does; without it every fifth picture, eight at most, is set aside to compare on.
Finished parts are kept in DST.partial: after a kill the same command goes on.

examples:
  glmha compress restormer-derain -o derain-small --kv-reduction 0.5 --images rainy
  glmha compress restormer-derain -o derain-small --macs 0.9 --images photos --degrade rain
  glmha compress my-restormer -o smaller --parameters 0.95 --per block --images rainy --steps 2000
  glmha compress my-mst -o mst-small --kv-reduction 0.25 0.5 0.5 --images shots --mask mask.mat"""

SETTINGS = (
    *("macs", "parameters", "per", "alpha", "start"),
    *("steps", "block_steps", "crop", "calibration", "pictures", "seed"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SRC", help="zoo name, folder or Hub id of a CSA model")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DST", type=Path, help="folder of the new model"
    )
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument(
        "--kv-reduction",
        type=float,
        nargs="+",
        metavar="R",
        help="share of keys and values to leave out: for all, each level, or each block",
    )
    budget.add_argument("--macs", type=float, metavar="SHARE", help="of SRC's, at 256×256")
    budget.add_argument("--parameters", type=float, metavar="SHARE", help="of SRC's")
    parser.add_argument("--images", required=True, type=Path, metavar="DIR", help="to compress on")
    parser.add_argument("--degrade", metavar="HOW", help="DIR is clean pictures: rain, ...")
    parser.add_argument(
        "--mask", type=Path, help="H×W, .mat or .npy: what snapshots were taken with"
    )
    parser.add_argument("--test", metavar="SET", help="to compare on, not to compress on")
    parser.add_argument("--protocol", help="how --test is scored, where the set does not tell")
    parser.add_argument(
        "--per", choices=("level", "block"), default="level", help="a rank for each (level)"
    )
    parser.add_argument("--alpha", type=float, default=0.6, help="of the calibration (0.6)")
    parser.add_argument(
        "--start",
        choices=("closed-form", "random", "norm"),
        default="closed-form",
        help="the others are to compare with",
    )
    counts = {
        "steps": (0, "end to end, after the blocks"),
        "block-steps": (50, "for each block"),
        "crop": (128, "pixels of a crop's side"),
        "calibration": (16, "crops that blocks are fitted to"),
        "pictures": (64, "held in memory, at most"),
        "seed": (0, "of crops and first weights"),
    }
    for name, (usual, help) in counts.items():
        parser.add_argument(
            f"--{name}", type=int, default=usual, metavar="N", help=f"{help} ({usual})"
        )
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="only so many pictures of --test"
    )
    parser.add_argument("--device", help="cpu, cuda, ... (cuda where there is one)")
    parser.add_argument("--overwrite", action="store_true", help="replace DST if it exists")
    parser.add_argument("-q", "--quiet", action="store_true", help="only the report")


def run(arguments: argparse.Namespace) -> None:
    destination: Path = arguments.output
    if destination.exists() and not arguments.overwrite:
        raise FileExistsError(f"{destination} exists; add --overwrite to replace it")
    from transformers.utils.logging import disable_progress_bar

    from ..compression import report
    from ..compression.compress import compress, open_teacher
    from ..hub.facts import portable_command
    from ..hub.pull import model_folder
    from ..metrics import get_protocol

    disable_progress_bar()
    if arguments.protocol is not None:
        get_protocol(arguments.protocol)
    _check_apart(arguments.images, arguments.test)
    folder = model_folder(arguments.source)
    teacher, processor = open_teacher(folder, None, device=arguments.device)
    test = _open_test(arguments, teacher, processor)
    partial = destination.with_name(f"{destination.name}.partial")
    tell = (lambda line: None) if arguments.quiet else say
    done = compress(
        teacher,
        arguments.images,
        processor=processor,
        degradation=arguments.degrade,
        protocol=arguments.protocol,
        mask=arguments.mask,
        hold_out=test is None,
        folder=partial,
        report=tell,
        kv_reduction=_reduction(arguments.kv_reduction),
        **{name: getattr(arguments, name) for name in SETTINGS},
    )
    test = test or _held_out(done, tell)
    comparison = report.compare(done, test, limit=arguments.limit, report=tell)
    command = portable_command("glmha", arguments.words)
    told = report.record(done, comparison, test, source=folder.name, command=command)
    report.save(
        done,
        told,
        comparison.rows,
        destination,
        teacher_folder=folder,
        overwrite=arguments.overwrite,
    )
    shutil.rmtree(partial)
    print(f"{told.block_table()}\n\n{told.summary()}")
    print(f"{done.seconds / 60:.1f} minutes: {destination}", file=sys.stderr)


def _reduction(given: list[float] | None) -> float | tuple[float, ...] | None:
    if given is None:
        return None
    return given[0] if len(given) == 1 else tuple(given)


def _check_apart(images: Path, test: str | None) -> None:
    """What is compared on is not compressed on."""
    if test is None or not Path(test).exists():
        return
    places = Path(test).resolve(), images.resolve()
    if places[0].is_relative_to(places[1]) or places[1].is_relative_to(places[0]):
        raise ValueError(
            f"{images} and {test} share their pictures, and those that are compressed on say "
            "nothing about others: name folders apart"
        )


def _open_test(arguments: argparse.Namespace, teacher: Any, processor: Any) -> "Source | None":
    """The test set, refused before anything runs if it is not for this model."""
    if arguments.test is None:
        return None
    from ..compression.pictures import of_test_set
    from ..evaluation.opening import open_sets
    from ..evaluation.restorers import ModelRestorer

    degradations = [] if arguments.degrade is None else [arguments.degrade]
    sets = open_sets(arguments.test, protocol=arguments.protocol, degradations=degradations)
    if len(sets) > 1:
        raise ValueError(f"{arguments.test} holds {len(sets)} test sets: give one of them")
    ModelRestorer(teacher, processor, name=arguments.source, device=teacher.device).require_fit(
        sets[0]
    )
    return of_test_set(sets[0], processor)


def _held_out(done: "Compression", tell: Any) -> "Source":
    """What was set aside; of few pictures nothing is, and then it is the same ones again."""
    if len(done.held_out):
        return done.held_out
    tell("too few pictures to set any aside: comparing on those that it was compressed on")
    return done.source
