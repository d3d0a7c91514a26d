"""Does the data loader keep up? Patches a second of the loader alone and of training steps alone.

    python training/bench_data.py configs/compact/restormer_derain.yaml data.root=photos --patch 128

Both are measured in turn, several times, and the medians are printed. The ratio says how many
times faster the loader makes patches than this machine uses them up. Every round takes the
patches that follow in the schedule; pictures met before are decoded already if the cache has room.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as train.py does, and for the same reason

import torch
from accelerate import Accelerator

import glmha_hf  # noqa: F401  (makes the zoo known to transformers)
from glmha_hf.cpu import keep_pages
from glmha_hf.training.batches import Batch
from glmha_hf.training.recipe import Recipe, Stage, load_recipe
from glmha_hf.training.sources import open_training
from glmha_hf.training.start import build_model, build_objective, build_optimizer
from glmha_hf.training.streaming import open_batches
from glmha_hf.training.typed import RecipeError


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="a recipe of configs/")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--patch", type=int, help="the stage of this patch size (the first)")
    parser.add_argument("--batches", type=int, default=30, help="batches a round (30)")
    parser.add_argument("--steps", type=int, default=3, help="training steps a round (3)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (3)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if min(options.batches, options.steps, options.rounds) < 1:
        parser.error("--batches, --steps and --rounds need positive numbers")
    return options


def only_stage(recipe: Recipe, patch: int | None, *, iterations: int) -> Recipe:
    """The recipe with nothing but its stage of this patch size."""
    sizes = [stage.patch for stage in recipe.stages]
    if patch is not None and patch not in sizes:
        there = ", ".join(map(str, sizes))
        raise RecipeError(f"no stage has patches of {patch}; the recipe's have {there}")
    stage = recipe.stages[0 if patch is None else sizes.index(patch)]
    stages = (Stage(iterations=iterations, patch=stage.patch, batch=stage.batch),)
    return dataclasses.replace(recipe, stages=stages)


def made_ahead(recipe: Recipe) -> int:
    """How many batches come before the loader shows its own speed."""
    return 1 + 2 * recipe.data.workers


def time_loading(batches: Iterable[Batch], *, ahead: int, count: int) -> float:
    """Seconds a batch, once what the workers make ahead of time is used up."""
    loaded = iter(batches)
    for _ in itertools.islice(loaded, ahead):
        pass
    started = time.perf_counter()
    taken = sum(1 for _ in itertools.islice(loaded, count))
    return (time.perf_counter() - started) / taken


def training_step(recipe: Recipe, accelerator: Accelerator, batch: Batch) -> Callable[[], None]:
    """One update on this batch, as train.py makes them."""
    model = build_model(recipe)
    objective = build_objective(recipe, model, accelerator.device)
    model, optimizer = accelerator.prepare(model, build_optimizer(recipe, model))
    model.train()

    def step() -> None:
        for piece, weight in zip(batch.pieces, batch.weights, strict=True):
            inputs = {key: value for key, value in piece.items() if key != "labels"}
            output = model(**inputs).reconstruction
            accelerator.backward(weight * objective(output, inputs, piece.get("labels")))
        norm = accelerator.clip_grad_norm_(
            model.parameters(), recipe.optimizer.clip_norm or float("inf")
        )
        optimizer.step()
        optimizer.zero_grad()
        float(norm)  # waits for a GPU

    return step


def time_steps(step: Callable[[], None], *, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - started) / count


def measure(recipe: Recipe, options: argparse.Namespace) -> dict[str, float | int | str]:
    accelerator = Accelerator(
        cpu=recipe.run.device == "cpu" or not torch.accelerator.is_available(),
        mixed_precision=recipe.run.precision,
    )
    if accelerator.device.type == "cpu":
        keep_pages()
    dataset = open_training(recipe, check=False)
    batch = next(iter(open_batches(dataset, recipe, accelerator, start=0)))
    step = training_step(recipe, accelerator, batch)
    step()
    ahead = made_ahead(recipe)
    loading, training = [], []
    for number in range(options.rounds):
        start = number * (ahead + options.batches)  # other patches every round
        batches = open_batches(dataset, recipe, accelerator, start=start)
        loading.append(time_loading(batches, ahead=ahead, count=options.batches))
        training.append(time_steps(step, count=options.steps))
    loader, trainer = (batch.size / statistics.median(each) for each in (loading, training))
    return {
        "recipe": recipe.name,
        "patch": recipe.stages[0].patch,
        "batch": batch.size,
        "workers": recipe.data.workers,
        "device": accelerator.device.type,
        "threads": torch.get_num_threads(),
        "loader_patches_per_second": loader,
        "training_patches_per_second": trainer,
        "ratio": loader / trainer,
    }


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)
    try:
        recipe = load_recipe(options.recipe, options.overrides)
        most = options.rounds * (options.batches + made_ahead(recipe))
        figures = measure(only_stage(recipe, options.patch, iterations=most), options)
    except (ValueError, OSError) as error:
        print(f"bench_data: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        print(
            "{patch}×{patch} patches a second: the loader makes {loader_patches_per_second:.1f} "
            "with {workers} workers, training takes {training_patches_per_second:.1f} on "
            "{device} with {threads} threads: {ratio:.1f} times as many".format(**figures)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
