"""Make a Hugging Face dataset of degraded and clean pairs from any folder of pictures.

    python training/synthesize.py derain photos/ rainy-pairs/ --source "my own photographs"

Interrupted? The same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

from glmha_hf.data.synthesis import TASKS, Recipe, synthesize


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Make a Hugging Face dataset of degraded and clean pairs from a folder of "
        "pictures. Run the same command again to resume.",
        epilog='example: %(prog)s denoise photos/ noisy-pairs/ --set sigma=25 --source "my photos"',
    )
    parser.add_argument("task", choices=sorted(TASKS), help="what a model will learn from it")
    parser.add_argument("pictures", type=Path, help="folder of clean pictures, sub-folders too")
    parser.add_argument("output", type=Path, help="folder to write, new or to be resumed")
    parser.add_argument(
        "--source", required=True, help="where the pictures come from, for the dataset card"
    )
    parser.add_argument(
        "--licence", default="unknown", help="the pictures' licence, e.g. cc-by-4.0"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, other pairs (0)")
    parser.add_argument("--copies", type=int, default=1, help="pairs per picture (1)")
    parser.add_argument(
        "--validation", type=float, default=0.0, help="fraction of pictures set aside (0)"
    )
    parser.add_argument("--rows-per-shard", type=int, default=64, help="pairs per file (64)")
    parser.add_argument("--processes", type=int, default=1, help="shards made at once (1)")
    parser.add_argument(
        "--set",
        dest="parameters",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="change a parameter of the degradation; VALUE is JSON, e.g. travel=[2,12]",
    )
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


def show_progress(done: int, total: int) -> None:
    filled = 30 * done // max(total, 1)
    end = "\n" if done == total else ""
    bar = "#" * filled + "." * (30 - filled)
    print(f"\r[{bar}] {done}/{total} shards", end=end, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        if options.processes < 1:
            raise ValueError("--processes starts at 1")
        recipe = Recipe(
            task=options.task,
            source=options.source,
            licence=options.licence,
            seed=options.seed,
            copies=options.copies,
            validation=options.validation,
            rows_per_shard=options.rows_per_shard,
            parameters=parse_parameters(options.parameters),
        )
        output = synthesize(
            options.pictures,
            options.output,
            recipe,
            processes=options.processes,
            progress=show_progress,
        )
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
