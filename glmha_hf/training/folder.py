"""A run's result as a zoo folder: weights, configuration, processor, recipe, record and card."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from accelerate import Accelerator
from filelock import FileLock, Timeout
from safetensors.torch import save_file
from torch import nn

from ..convert.conversion import processor_for
from ..files import replaced_folder
from ..hub.card import model_card
from ..hub.facts import DATA, TrainingRecord, portable_command
from ..hub.pull import model_folder
from ..hub.push import push
from ..models.configuration_attention import ChannelAttentionConfig
from ..models.modeling_base import ChannelAttentionModel
from .batches import Batch
from .checkpoint import Progress
from .ema import MovingAverage
from .recipe import Recipe, plain
from .typed import RecipeError

logger = logging.getLogger(__name__)
MAY_CHANGE = {"resume", "output", "push_to_hub", "hub_id", "run", "description"}

PROVENANCE = ("PROVENANCE.md", "README.md")  # what tells where a folder's data come from
"""What a folder of training pictures says of itself; it goes into the card."""


class PushError(RuntimeError):
    """The Hub did not take the folder."""


class ZooFolders:
    """Writes `best` and `last` below the run's folder."""

    def __init__(self, accelerator: Accelerator, recipe: Recipe, arguments: Sequence[str]) -> None:
        self.accelerator = accelerator
        self.recipe = recipe
        self.arguments = arguments
        self.earlier = _runs_behind(recipe.init_from)

    def save(
        self,
        name: str,
        model: nn.Module,
        ema: MovingAverage | None,
        progress: Progress,
        degraded: Mapping[str, float],
    ) -> Path:
        """What is there takes the place of what was; `degraded` are the inputs' own scores."""
        folder = self.recipe.folder / name
        accelerator = self.accelerator
        with ema.applied() if ema else contextlib.nullcontext():
            state = accelerator.get_state_dict(model)
            if accelerator.is_main_process:
                state = {key: value.contiguous() for key, value in state.items()}
                bare: ChannelAttentionModel = accelerator.unwrap_model(model)
                config = cast(ChannelAttentionConfig, bare.config)
                with replaced_folder(folder, overwrite=True) as unfinished:
                    bare.save_pretrained(unfinished, state_dict=state)
                    processor_for(config).save_pretrained(unfinished)
                    (unfinished / "recipe.yaml").write_text(portable(self.recipe).to_yaml())
                    self.record(progress, degraded, averaged=ema is not None).write(unfinished)
                    if provenance := _provenance(self.recipe.data.root):
                        (unfinished / DATA).write_text(provenance, encoding="utf-8")
                    place = folder.name if folder.is_absolute() else str(folder)
                    card = model_card(unfinished, title=self.recipe.name, name=place)
                    (unfinished / "README.md").write_text(card, encoding="utf-8")
            accelerator.wait_for_everyone()
        return folder

    def record(
        self, progress: Progress, degraded: Mapping[str, float], *, averaged: bool
    ) -> TrainingRecord:
        recipe, validation = portable(self.recipe), self.recipe.validation
        arguments = [each for each in self.arguments if not each.startswith("output=")]
        return TrainingRecord(
            name=recipe.name,
            description=recipe.description or "",
            command=portable_command("accelerate launch training/train.py", arguments),
            data=_told(recipe),
            iteration=progress.iteration,
            iterations=recipe.iterations,
            weights="moving average" if averaged else "as trained",
            hours=round(progress.seconds / 3600, 4),
            processes=self.accelerator.num_processes,
            protocol=validation.protocol if validation else None,
            validation=_told_validation(recipe) if validation else None,
            scores=dict(progress.scores) if progress.validated == progress.iteration else {},
            input_scores=dict(degraded),
            earlier=self.earlier,
        )

    def push(self) -> str:
        """Upload the best weights, or the last where nothing was validated.

        They go to `hub_id`, or to the recipe's name in one's own account.
        """
        folder = self.recipe.folder / "best"
        if not folder.exists():
            folder = self.recipe.folder / "last"
        if not self.accelerator.is_main_process:
            return ""
        try:
            return push(folder, self.recipe.hub_id or self.recipe.name).url
        except Exception as error:  # whatever it is, the weights are safe: say where
            raise PushError(f"not pushed ({error}), but {folder} is complete") from error


def _runs_behind(start: str | None) -> list[TrainingRecord]:
    """What is known of how the weights came to be that a run starts from."""
    record = None if start is None else TrainingRecord.read(model_folder(start))
    return [] if record is None else record.runs


def _provenance(root: str) -> str:
    """What lies beside the data about them, without a dataset card's metadata."""
    places = [Path(root, name) for name in PROVENANCE] if root else []
    path = next(filter(Path.is_file, places), None)
    text = path.read_text(encoding="utf-8") if path else ""
    return text.split("\n---\n", 1)[-1].lstrip() if text.startswith("---\n") else text


def _told(recipe: Recipe) -> str:
    data = recipe.data
    degraded = f", degraded by `{data.degradation}`" if data.degradation else ""
    return f"{data.kind} `{data.set or data.root}`, split {data.split}{degraded}"


def _told_validation(recipe: Recipe) -> str:
    validation = recipe.validation
    assert validation is not None
    root = validation.set or validation.root or recipe.data.root
    pictures = (
        "all pictures" if validation.limit is None else f"at most {validation.limit} pictures"
    )
    crop = "" if validation.crop is None else f", centre {validation.crop}×{validation.crop}"
    degraded = f", degraded by `{validation.degradation}`" if validation.degradation else ""
    return f"{pictures} of `{root}`, split {validation.split}{crop}{degraded}"


def portable(recipe: Recipe) -> Recipe:
    """The recipe without this machine's paths."""

    def shorten(path: str | None) -> Any:
        is_elsewhere = path and (Path(path).is_absolute() or ".." in Path(path).parts)
        return f"path/to/{Path(path).name}" if path and is_elsewhere else path

    validation = recipe.validation
    return dataclasses.replace(
        recipe,
        output=None,
        init_from=shorten(recipe.init_from),
        distillation=None
        if recipe.distillation is None
        else dataclasses.replace(recipe.distillation, teacher=shorten(recipe.distillation.teacher)),
        data=dataclasses.replace(
            recipe.data,
            root=shorten(recipe.data.root),
            mask=shorten(recipe.data.mask),
            unpacked=shorten(recipe.data.unpacked),
        ),
        validation=None
        if validation is None
        else dataclasses.replace(
            validation, root=shorten(validation.root), mask=shorten(validation.mask)
        ),
    )


def only_here(folder: Path) -> FileLock:
    """Refuse a second training in one folder; the lock goes with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".training.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RecipeError(f"another training is at work in {folder}") from None
    return lock


def refuse_another_model(recipe: Recipe) -> None:
    """What a checkpoint holds has to fit: model, what of it is trained, optimizer, averages."""
    before, now = _last_recipe(recipe), plain(dataclasses.asdict(recipe))
    if not before or not any((recipe.folder / "checkpoints").glob("step-*")):
        return
    for told in (before, now):
        told["optimizer.name"] = told.get("optimizer", {}).get("name")
        told["averages weights"] = told.get("run", {}).get("ema") is not None
    for key in ("model", "freeze", "optimizer.name", "averages weights"):
        if before.get(key) != now[key]:
            raise RecipeError(
                f"{recipe.folder} was trained with {key}: {before.get(key)}, not {now[key]}; "
                "resume=false begins anew, output=FOLDER elsewhere"
            )


def _last_recipe(recipe: Recipe) -> dict[str, Any]:
    """What is to be resumed was last trained with; nothing where nothing is."""
    path = recipe.folder / "recipe.yaml"
    if not recipe.resume or not path.exists():
        return {}
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def write_recipe(recipe: Recipe) -> None:
    """Beside the run, with a warning where it is not what was trained with before."""
    path = recipe.folder / "recipe.yaml"
    if before := _last_recipe(recipe):
        now = plain(dataclasses.asdict(recipe))
        for key in now.keys() - MAY_CHANGE:
            if before.get(key) != now[key]:
                logger.warning("%s was %s the last time", key, before.get(key))
    recipe.folder.mkdir(parents=True, exist_ok=True)
    path.write_text(recipe.to_yaml(), encoding="utf-8")


def save_batch(folder: Path, batch: Batch, process: int) -> Path:
    """The batch that broke a run, to be looked at."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"broken-step-{batch.iteration:08d}-process-{process}.safetensors"
    tensors: dict[str, torch.Tensor] = {
        f"{number}.{key}": value.cpu().contiguous()
        for number, piece in enumerate(batch.pieces)
        for key, value in piece.items()
    }
    save_file(tensors, path)
    return path
