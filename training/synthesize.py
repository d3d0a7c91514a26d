"""Make training data from any folder of pictures: degraded pairs, or hyperspectral scenes.

    python training/synthesize.py derain photos/ rainy-pairs/ --source "my own photographs"
    python training/synthesize.py rgb2hsi photos/ scenes/ --source "my own photographs"

Interrupted? The same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

from glmha_hf.data.scenes.dataset import SCENE_SIZES, SCENE_TASKS, SceneRecipe, synthesize_scenes
from glmha_hf.data.synthesis import TASKS, Recipe, synthesize


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("pictures", type=Path, help="folder of clean pictures, sub-folders too")
    common.add_argument("output", type=Path, help="folder to write, new or to be resumed")
    common.add_argument(
        "--source", required=True, help="where the pictures come from, for the dataset card"
    )
    common.add_argument(
        "--licence", default="unknown", help="the pictures' licence, e.g. cc-by-4.0"
    )
    common.add_argument("--seed", type=int, default=0, help="another seed, other data (0)")
    common.add_argument("--copies", type=int, default=1, help="pairs or scenes per picture (1)")
    common.add_argument(
        "--validation", type=float, default=0.0, help="fraction of pictures set aside (0)"
    )
    common.add_argument("--processes", type=int, default=1, help="files made at once (1)")
    common.add_argument(
        "--set",
        dest="parameters",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="change a parameter of how it is made; VALUE is JSON, e.g. travel=[2,12]",
    )
    parser = argparse.ArgumentParser(
        description="Make training data from a folder of pictures. Run the same command again to "
        "resume.",
        epilog='example: %(prog)s denoise photos/ noisy-pairs/ --set sigma=25 --source "my photos"',
    )
    tasks = parser.add_subparsers(dest="task", required=True, help="what a model will learn")
    for task in sorted(TASKS):
        pairs = tasks.add_parser(
            task, parents=[common], help="a Hugging Face dataset of degraded and clean pairs"
        )
        pairs.add_argument("--rows-per-shard", type=int, default=64, help="pairs per file (64)")
    for task, wavelengths in SCENE_TASKS.items():
        scenes = tasks.add_parser(
            task,
            parents=[common],
            help=f"hyperspectral scenes of {len(wavelengths)} bands",
            description="Where PICTURES has the folders train/ and test/, these are the splits.",
        )
        size = SCENE_SIZES[task]
        scenes.add_argument("--size", type=int, default=size, help=f"pixels a side ({size})")
    return parser.parse_args(arguments)


def parse_parameters(assignments: list[str]) -> dict[str, Any]:
    parameters = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        try:
            parameters[name] = json.loads(value)
        except json.JSONDecodeError:
            raise ValueError(f"--set {assignment}: expected NAME=VALUE, VALUE in JSON") from None
    return parameters


def make(options: argparse.Namespace, progress: Callable[[int, int], None]) -> Path:
    if options.processes < 1:
        raise ValueError("--processes starts at 1")
    common = {
        name: getattr(options, name)
        for name in ("task", "source", "licence", "seed", "copies", "validation")
    }
    parameters = parse_parameters(options.parameters)
    where = options.pictures, options.output
    running = {"processes": options.processes, "progress": progress}
    if options.task in SCENE_TASKS:
        recipe = SceneRecipe(**common, parameters={"size": options.size, **parameters})
        return synthesize_scenes(*where, recipe, **running)
    shards = options.rows_per_shard
    return synthesize(
        *where, Recipe(**common, rows_per_shard=shards, parameters=parameters), **running
    )


def show_progress(done: int, total: int) -> None:
    filled = 30 * done // max(total, 1)
    end = "\n" if done == total else ""
    bar = "#" * filled + "." * (30 - filled)
    print(f"\r[{bar}] {done}/{total} files", end=end, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        output = make(options, show_progress)
    except (ValueError, OSError, ImportError, BrokenExecutor) as error:
        print(f"synthesize: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nsynthesize: stopped; the same command resumes", file=sys.stderr)
        return 130
    print(output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
