"""Scores by the papers' metrics while training, and pictures to look at."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, gather_object
from PIL import Image
from torch import nn

from ..files import replaced_file
from ..metrics import HIGHER_IS_BETTER, Scores, get_protocol
from ..models.configuration_attention import ChannelAttentionConfig
from .checkpoint import Progress
from .examples import Examples
from .recipe import Recipe, ValidationRecipe
from .signals import StopRequest
from .sources import open_validation
from .typed import RecipeError, require_known

SHEET_SIDE = 320


class Validation:
    """A set of examples, dealt out to the processes, and the score that decides what is best."""

    def __init__(self, examples: Examples, recipe: ValidationRecipe) -> None:
        self.examples = examples
        self.every = recipe.every
        self.sheets = recipe.sheets
        self.protocol = get_protocol(recipe.protocol)
        self.key = recipe.best or self.protocol.keys[0]
        require_known(self.key, self.protocol.keys, what="score", where=self.protocol.name)

    @classmethod
    def of(cls, recipe: Recipe, *, check: bool = True) -> Validation | None:
        """With `check`, and where the recipe wants it, all examples are looked at now."""
        if recipe.validation is None:
            return None
        data = dataclasses.replace(
            recipe.data, mask_form=recipe.mask_form, check=recipe.data.check and check
        )
        return cls(open_validation(recipe.validation, data), recipe.validation)

    def check(self, config: ChannelAttentionConfig) -> None:
        """Refuse now what the first validation would stumble over, hours later."""
        example = self.examples[0]
        channels = example.target.shape[0 if self.protocol.kind == "cube" else -1]
        found = (example.inputs["pixel_values"].shape[1], channels)
        if found != (config.in_channels, config.out_channels):
            raise RecipeError(
                f"validation has {found[0]} channels to make {found[1]} of, the model "
                f"{config.in_channels} and {config.out_channels}"
            )
        try:
            Scores(self.protocol.name).add(example.target, example.target)
        except ValueError as error:
            raise RecipeError(f"{example.name} cannot be scored: {error}") from None

    def is_due(self, progress: Progress, *, iterations: int) -> bool:
        """At intervals and at the end, and once: a resumed run makes up for what it missed."""
        done = progress.iteration
        return done not in (0, progress.validated) and (
            done % self.every == 0 or done == iterations
        )

    def is_better(self, score: float, best: float | None) -> bool:
        if best is None:
            return True
        return score > best if HIGHER_IS_BETTER[self.key] else score < best

    @functools.cached_property
    def degraded(self) -> dict[str, float]:
        """Scores of the inputs as they are, where they are pictures like the targets."""
        scores = Scores(self.protocol.name)
        for index in range(len(self.examples)):
            example = self.examples[index]
            before = self._as_scored(example.inputs["pixel_values"][0])
            if before.shape != example.target.shape:
                return {}
            scores.add(before, example.target)
        return scores.mean()

    @torch.no_grad()
    def __call__(
        self, model: nn.Module, accelerator: Accelerator, *, sheet: Path, stop: StopRequest
    ) -> dict[str, float] | None:
        """The means over all examples, or None if a stop was asked for meanwhile."""
        together = accelerator.distributed_type == DistributedType.FSDP
        runner = model if together else accelerator.unwrap_model(model)
        was_training = runner.training
        runner.eval()
        scores, rows = Scores(self.protocol.name), []
        for index in self._mine(accelerator):
            if stop.requested and not together:
                break
            example = self.examples[index]
            inputs = {key: value.to(accelerator.device) for key, value in example.inputs.items()}
            output = runner(**inputs).reconstruction[0].float().cpu()
            after = self._as_scored(output)
            scores.add(after, example.target, index=index, name=example.name)
            if index < self.sheets:
                before = self._as_scored(example.inputs["pixel_values"][0])
                rows.append((index, [before, after, example.target]))
        runner.train(was_training)
        parts = gather_object([(scores.state(), rows, stop.requested)])
        if any(stopped for _, _, stopped in parts):
            return None
        if accelerator.is_main_process and self.sheets:
            shown = dict(row for _, rows, _ in parts for row in rows)
            save_sheet([shown[index] for index in sorted(shown)], sheet)
        return Scores.merge(Scores.from_state(state) for state, _, _ in parts).mean()

    def _mine(self, accelerator: Accelerator) -> list[int]:
        """As many on every process, the first ones again where they do not go round."""
        each = -(-len(self.examples) // accelerator.num_processes)
        places = range(
            accelerator.process_index, each * accelerator.num_processes, accelerator.num_processes
        )
        return [place % len(self.examples) for place in places]

    def _as_scored(self, values: torch.Tensor) -> np.ndarray:
        """C×H×W as the protocol takes it: H×W×C uint8 pictures, C×H×W float cubes."""
        if self.protocol.kind == "cube":
            return values.numpy()
        return (values.clamp(0, 1) * 255).round().byte().movedim(0, -1).numpy()


def save_sheet(rows: Sequence[Sequence[np.ndarray]], path: Path) -> None:
    """One row a picture: before, after, truth; centres only where they are large."""
    if not rows:
        raise RecipeError("a sample sheet needs pictures")
    tiles = [[_tile(picture) for picture in row] for row in rows]
    widths = [max(row[column].shape[1] for row in tiles) for column in range(3)]
    lines = []
    for row in tiles:
        padded = [
            np.pad(tile, ((0, 0), (0, width - tile.shape[1]), (0, 0)), constant_values=255)
            for tile, width in zip(row, widths, strict=True)
        ]
        lines.append(np.concatenate(padded, axis=1))
    with replaced_file(path) as unfinished:
        Image.fromarray(np.concatenate(lines)).save(unfinished, "png")


def _tile(picture: np.ndarray) -> np.ndarray:
    """RGB uint8; of a cube three bands, from long to short wavelengths."""
    if picture.dtype != np.uint8:
        bands = len(picture)
        chosen = picture[[bands * 4 // 5, bands // 2, bands // 5]] if bands > 3 else picture
        picture = (chosen.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
    if picture.shape[-1] == 1:
        picture = picture.repeat(3, axis=-1)
    top, left = (max(0, (side - SHEET_SIDE) // 2) for side in picture.shape[:2])
    return picture[top : top + SHEET_SIDE, left : left + SHEET_SIDE]
