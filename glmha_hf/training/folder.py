"""A run's result as a zoo folder: weights, configuration, processor, recipe and card."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from accelerate import Accelerator
from huggingface_hub import HfApi
from safetensors.torch import save_file
from torch import nn

from ..convert.conversion import processor_for
from ..files import replaced_folder
from ..models.configuration_attention import ChannelAttentionConfig
from ..models.modeling_base import ChannelAttentionModel
from .batches import Batch
from .checkpoint import Progress
from .ema import MovingAverage
from .recipe import Recipe, plain

logger = logging.getLogger(__name__)
MAY_CHANGE = {"resume", "output", "push_to_hub", "hub_id", "run", "description"}

CARD = """---
{head}---

# {name}

{description}

```python
import glmha_hf
from transformers import AutoImageProcessor, AutoModelForImageToImage

processor = AutoImageProcessor.from_pretrained("path/to/{name}")
model = AutoModelForImageToImage.from_pretrained("path/to/{name}")
{use}
```

## Scores

{scores}

## Training

| | |
| --- | --- |
| backbone | {model_type}, attention {attention}, {parameters:,} parameters |
| data | {data} |
| iterations | {iteration:,} of {iterations:,} |
| weights | {weights} |
| time | {hours:.2f} h on {processes} process{es} |

```bash
{command}
```

The whole recipe, every setting spelled out:

```yaml
{recipe}```
"""

USE_PICTURE = """restored = model(**processor("picture.png")).reconstruction
picture = processor.post_process(restored)[0]"""
USE_SNAPSHOT = """cube = model(**processor("snapshot.npy", mask="mask.npy")).reconstruction"""


class PushError(RuntimeError):
    """The Hub did not take the folder."""


class ZooFolders:
    """Writes `best` and `last` below the run's folder."""

    def __init__(self, accelerator: Accelerator, recipe: Recipe, arguments: Sequence[str]) -> None:
        self.accelerator = accelerator
        self.recipe = recipe
        self.arguments = arguments

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
                    card = self.card(bare, progress, degraded, averaged=ema is not None)
                    (unfinished / "README.md").write_text(card, encoding="utf-8")
            accelerator.wait_for_everyone()
        return folder

    def card(
        self,
        model: ChannelAttentionModel,
        progress: Progress,
        degraded: Mapping[str, float],
        *,
        averaged: bool,
    ) -> str:
        recipe, config = portable(self.recipe), cast(ChannelAttentionConfig, model.config)
        attention = config.attention if isinstance(config.attention, str) else "mixed"
        snapshot = "mask" in processor_for(config).model_input_names
        return CARD.format(
            head=yaml.safe_dump(
                {
                    "library_name": "transformers",
                    "pipeline_tag": "image-to-image",
                    "tags": ["image-restoration", config.model_type, attention],
                },
                sort_keys=False,
            ),
            name=recipe.name,
            description=recipe.description or f"A {config.model_type} trained by this recipe.",
            use=USE_SNAPSHOT if snapshot else USE_PICTURE,
            scores=score_table(recipe, progress.scores, degraded),
            model_type=config.model_type,
            attention=attention,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            data=_told(recipe),
            iteration=progress.iteration,
            iterations=recipe.iterations,
            weights="moving average" if averaged else "as trained",
            hours=progress.seconds / 3600,
            processes=self.accelerator.num_processes,
            es="es" if self.accelerator.num_processes > 1 else "",
            command=f"accelerate launch training/train.py {_command(self.arguments)}",
            recipe=recipe.to_yaml(),
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
            api = HfApi()
            repository = api.create_repo(self.recipe.hub_id or self.recipe.name, exist_ok=True)
            api.upload_folder(repo_id=repository.repo_id, folder_path=folder)
        except Exception as error:  # whatever it is, the weights are safe: say where
            raise PushError(f"not pushed ({error}), but {folder} is complete") from error
        return str(repository)


def score_table(recipe: Recipe, scores: Mapping[str, float], degraded: Mapping[str, float]) -> str:
    validation = recipe.validation
    if validation is None or not scores:
        return "None were taken."
    lines = [
        f"Protocol `{validation.protocol}`, {_told_validation(recipe)}.",
        "",
        f"| | {' | '.join(scores)} |",
        f"| --- |{' --- |' * len(scores)}",
    ]
    if degraded:
        lines.append(f"| input | {_numbers(degraded)} |")
    return "\n".join([*lines, f"| output | {_numbers(scores)} |"])


def _numbers(scores: Mapping[str, float]) -> str:
    return " | ".join(f"{value:.4f}" for value in scores.values())


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
        return f"path/to/{Path(path).name}" if path and Path(path).is_absolute() else path

    validation = recipe.validation
    return dataclasses.replace(
        recipe,
        output=None,
        init_from=shorten(recipe.init_from),
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


def _command(arguments: Sequence[str]) -> str:
    """The arguments, paths of this machine shortened."""
    kept = []
    for argument in arguments:
        key, equals, value = argument.rpartition("=")
        if Path(value).is_absolute():
            value = f"path/to/{Path(value).name}"
        if key != "output":
            kept.append(shlex.quote(f"{key}{equals}{value}"))
    return " ".join(kept)


def write_recipe(recipe: Recipe) -> None:
    """Beside the run, with a warning where it is not what the run was begun with."""
    path = recipe.folder / "recipe.yaml"
    if path.exists() and recipe.resume:
        before = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        now = plain(dataclasses.asdict(recipe))
        for key in now.keys() - MAY_CHANGE:
            if before.get(key) != now[key]:
                logger.warning("%s was %s when this run began", key, before.get(key))
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
