"""What a run tells: a progress bar, a JSON line now and then, and the trackers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from tqdm import tqdm

from ..files import replaced_file
from .checkpoint import Progress
from .recipe import Recipe


class Records:
    """`log.jsonl` holds one line for every `every` updates and one for each validation.

    Lines after the iteration resumed from are dropped, so that the file reads like an unbroken run.
    """

    def __init__(
        self, accelerator: Accelerator, path: Path, progress: Progress, recipe: Recipe
    ) -> None:
        self.accelerator = accelerator
        self.path = path
        self.progress = progress
        self.every = recipe.run.log_every
        self.patches = 0
        self.since = time.monotonic()
        if accelerator.is_main_process:
            self._drop_what_comes_again()
        self.bar = tqdm(
            total=recipe.iterations,
            initial=progress.iteration,
            disable=not accelerator.is_main_process,
            unit="it",
            dynamic_ncols=True,
            mininterval=0.5 if sys.stderr.isatty() else 30,
        )

    def update(self, *, loss: float, batch: int, **values: Any) -> None:
        """One update was made."""
        progress = self.progress
        progress.loss_sum += loss
        progress.loss_count += 1
        self.patches += batch
        self.bar.update()
        if progress.iteration % self.every:
            return
        speed = self.patches / max(time.monotonic() - self.since, 1e-9)
        mean = progress.loss_sum / progress.loss_count
        self.bar.set_postfix_str(f"loss {mean:.5f}, {speed:.1f} patches/s", refresh=False)
        self.write("training", loss=mean, batch=batch, **values, patches_per_second=speed)
        progress.loss_sum, progress.loss_count = 0.0, 0
        self.restart_clock()

    def validated(self, scores: Mapping[str, float]) -> None:
        self.write("validation", **scores)
        told = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self.say(f"{self.progress.iteration}: {told}")
        self.restart_clock()

    def restart_clock(self) -> None:
        """Do not count what was done since the last update as training."""
        self.patches, self.since = 0, time.monotonic()

    def write(self, event: str, **values: Any) -> None:
        if not self.accelerator.is_main_process:
            return
        line = {"event": event, "iteration": self.progress.iteration, **values}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        numbers = {f"{event}/{key}": value for key, value in values.items() if _is_number(value)}
        self.accelerator.log(numbers, step=self.progress.iteration)

    def say(self, text: str) -> None:
        if self.accelerator.is_main_process:
            self.bar.write(text, file=sys.stderr)

    def close(self) -> None:
        self.bar.close()
        self.accelerator.end_training()

    def _drop_what_comes_again(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            return
        kept = [line for line in self.path.read_text().splitlines() if self._is_past(line)]
        with replaced_file(self.path) as unfinished:
            unfinished.write_text("".join(f"{line}\n" for line in kept))

    def _is_past(self, line: str) -> bool:
        try:
            written = json.loads(line)
            validation = written["event"] == "validation"
            last = self.progress.validated if validation else self.progress.iteration
            return 0 < written["iteration"] <= last
        except (json.JSONDecodeError, KeyError):  # cut short by a kill
            return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
