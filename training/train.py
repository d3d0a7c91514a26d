"""Train any model of the zoo by a recipe: `accelerate launch training/train.py RECIPE key=value…`.

`prepare` makes a run's parts from its recipe, `train` is the loop; what they call is in
`glmha_hf/training`, one small file a thing.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

# Idle CPU threads spin for some 100 µs, then sleep: where they spin on, a core shared with anyone
# else slows a step tenfold; to be woken for every operation takes half the speed.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from filelock import FileLock
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers.utils import logging as transformers_logging

import glmha_hf  # noqa: F401  (makes the zoo known to transformers)
from glmha_hf.cpu import keep_pages
from glmha_hf.errors import one_line
from glmha_hf.training.batches import Batch
from glmha_hf.training.checkpoint import Checkpoints, Progress
from glmha_hf.training.ema import MovingAverage
from glmha_hf.training.folder import (
    PushError,
    ZooFolders,
    only_here,
    refuse_another_model,
    save_batch,
    write_recipe,
)
from glmha_hf.training.losses import Objective
from glmha_hf.training.recipe import Recipe, load_recipe
from glmha_hf.training.records import Records
from glmha_hf.training.schedules import LearningRate
from glmha_hf.training.signals import StopRequest
from glmha_hf.training.sources import open_training
from glmha_hf.training.start import (
    build_model,
    build_objective,
    build_optimizer,
    set_options,
)
from glmha_hf.training.streaming import open_batches
from glmha_hf.training.validation import Validation


@dataclass
class Run:
    """Everything the loop needs."""

    recipe: Recipe
    accelerator: Accelerator
    model: nn.Module
    optimizer: torch.optim.Optimizer
    learning_rate: LearningRate
    objective: Objective
    ema: MovingAverage | None
    batches: Iterable[Batch]
    validation: Validation | None
    progress: Progress
    checkpoints: Checkpoints
    records: Records
    zoo: ZooFolders
    lock: FileLock | None


def prepare(recipe: Recipe, arguments: list[str]) -> Run:
    settings, folder = recipe.run, recipe.folder
    accelerator = Accelerator(
        cpu=settings.device == "cpu" or not torch.accelerator.is_available(),
        mixed_precision=settings.precision,
        log_with=list(settings.trackers) or None,
        project_dir=str(folder),
        # The others wait while the first looks through the data, which may take hours.
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=12))],
    )
    set_up_logging(accelerator)
    there = {str(tracker) for tracker in accelerator.log_with}  # without those not installed
    if missing := [name for name in settings.trackers if name not in there]:
        raise ValueError(f"run.trackers: {' and '.join(missing)} cannot be imported")
    if accelerator.device.type == "cpu":
        if settings.precision == "fp16":
            raise ValueError("run.precision=fp16 needs a GPU; a CPU takes bf16")
        keep_pages()
    dataset = open_training(recipe, check=accelerator.is_main_process)
    validation = Validation.of(recipe, check=accelerator.is_main_process)
    learning_rate = LearningRate(recipe.learning_rate, iterations=recipe.iterations)

    model = build_model(recipe)
    if validation:
        validation.check(model.config)
    objective = build_objective(recipe, model, accelerator.device)
    model, optimizer = accelerator.prepare(model, build_optimizer(recipe, model))
    ema = MovingAverage(model, decay=settings.ema) if settings.ema else None
    progress = Progress()
    accelerator.register_for_checkpointing(*filter(None, [progress, ema]))
    checkpoints = Checkpoints(accelerator, folder / "checkpoints", minutes=settings.save_minutes)
    lock = only_here(folder) if accelerator.is_main_process else None
    refuse_another_model(recipe)
    checkpoints.resume(recipe.resume)
    set_options(optimizer, recipe.optimizer)
    if accelerator.is_main_process:
        write_recipe(recipe)
    accelerator.init_trackers(recipe.name)
    return Run(
        recipe=recipe,
        accelerator=accelerator,
        model=model,
        optimizer=optimizer,
        learning_rate=learning_rate,
        objective=objective,
        ema=ema,
        batches=open_batches(dataset, recipe, accelerator, start=progress.iteration),
        validation=validation,
        progress=progress,
        checkpoints=checkpoints,
        records=Records(accelerator, folder / "log.jsonl", progress, recipe),
        zoo=ZooFolders(accelerator, recipe, arguments),
        lock=lock,
    )


def train(run: Run, stop: StopRequest) -> None:
    accelerator, model, optimizer = run.accelerator, run.model, run.optimizer
    recipe, progress, checkpoints = run.recipe, run.progress, run.checkpoints
    clip_norm = recipe.optimizer.clip_norm or math.inf
    clock = Clock(recipe.run.stop_minutes)

    model.train()
    validate(run, stop)  # what a stop may have left out
    for batch in run.batches:
        rate = run.learning_rate.set(optimizer, batch.iteration)
        loss = torch.zeros((), device=accelerator.device)
        for number, (piece, weight) in enumerate(zip(batch.pieces, batch.weights, strict=True), 1):
            inputs = {key: value for key, value in piece.items() if key != "labels"}
            last = number == len(batch.pieces)
            with contextlib.nullcontext() if last else accelerator.no_sync(model):
                output = model(**inputs).reconstruction
                part = weight * run.objective(output, inputs, piece.get("labels"))
                # Gradients are averaged over the processes; this makes it their sum.
                accelerator.backward(part * accelerator.num_processes)
            loss += part.detach()
        norm = float(accelerator.clip_grad_norm_(model.parameters(), clip_norm))

        # What is to be done next, agreed upon by all processes.
        time_is_up = clock.is_over and batch.iteration + 1 < recipe.iterations
        wishes = [stop.requested or time_is_up, checkpoints.overdue]
        together = torch.stack([loss, *(loss.new_tensor(float(wish)) for wish in wishes)])
        mean_loss, leaving, overdue = accelerator.reduce(together, "sum").tolist()
        overflow = recipe.run.precision == "fp16"  # where gradients may, and the step is skipped
        if not math.isfinite(mean_loss) or not (overflow or math.isfinite(norm)):
            path = save_batch(recipe.folder, batch, accelerator.process_index)
            raise ArithmeticError(f"loss {mean_loss}, gradient norm {norm}: the batch is in {path}")

        optimizer.step()
        optimizer.zero_grad()
        if run.ema:
            run.ema.update()
        progress.iteration = batch.iteration + 1
        progress.seconds += clock.lap()
        run.records.update(loss=mean_loss, batch=batch.size, learning_rate=rate, gradient_norm=norm)
        scored = run.validation and run.validation.is_due(progress, iterations=recipe.iterations)
        if leaving or overdue or scored or progress.iteration % recipe.run.save_every == 0:
            checkpoints.save(progress.iteration)
        if leaving or not validate(run, stop):
            break

    checkpoints.save(progress.iteration)
    degraded = run.validation.degraded if run.validation else {}
    folder = run.zoo.save("last", model, run.ema, progress, degraded)
    finished = progress.iteration == recipe.iterations and not stop.requested
    run.records.say(f"{'finished' if finished else 'stopped'} at {progress.iteration}: {folder}")
    run.records.close()
    if finished and recipe.push_to_hub:
        logging.info("pushed to %s", run.zoo.push())


def validate(run: Run, stop: StopRequest) -> bool:
    """Score where it is time to; False if it was broken off to stop."""
    validation, progress, iterations = run.validation, run.progress, run.recipe.iterations
    if validation is None or not validation.is_due(progress, iterations=iterations):
        return True
    sheet = run.recipe.folder / "samples" / f"step-{progress.iteration:08d}.png"
    eager = torch.compiler.set_stance("force_eager")  # pictures of many sizes, seen once
    with eager, run.ema.applied() if run.ema else contextlib.nullcontext():
        scores = validation(run.model, run.accelerator, sheet=sheet, stop=stop)
    if scores is None:
        return False
    progress.validated, progress.scores = progress.iteration, scores
    run.records.validated(scores)
    if validation.is_better(scores[validation.key], progress.best):
        progress.best = scores[validation.key]
        run.zoo.save("best", run.model, run.ema, progress, validation.degraded)
    return True


class Clock:
    """Time between laps, and whether the time for this sitting is over."""

    def __init__(self, minutes: float | None) -> None:
        self.end = math.inf if minutes is None else time.monotonic() + 60 * minutes
        self.last = time.monotonic()

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.end

    def lap(self) -> float:
        before, self.last = self.last, time.monotonic()
        return self.last - before


def set_up_logging(accelerator: Accelerator) -> None:
    level = logging.INFO if accelerator.is_main_process else logging.ERROR
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr, force=True)
    for chatty in ("accelerate", "httpx", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    transformers_logging.disable_progress_bar()


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"{__doc__}\nexample: training/train.py configs/smoke.yaml data.root=photos")
        return 0 if arguments else 2
    with StopRequest() as stop:
        try:
            run = prepare(load_recipe(arguments[0], arguments[1:]), arguments)
        except (ValueError, OSError, StrictDataclassError) as error:
            listed = isinstance(error, ValueError)  # it may name all that is wrong, line by line
            print(f"train: {error if listed else one_line(error)}", file=sys.stderr)
            return 2
        try:
            train(run, stop)
        except (ArithmeticError, PushError) as error:
            print(f"train: {error}", file=sys.stderr)
            return 3
        except (ValueError, OSError) as error:  # of a picture, say, or of a full disk
            told = str(error).strip() or type(error).__name__
            print(f"train: {told.splitlines()[-1]}", file=sys.stderr)  # a worker's comes with more
            return 2
        finally:
            if run.lock:
                run.lock.release()
    return stop.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
