"""The whole state of a run, in folders that appear by rename when they are complete."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from accelerate import Accelerator

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a run is; the data's place follows from the iteration."""

    iteration: int = 0  # updates done
    validated: int = -1  # the iteration last validated at
    best: float | None = None
    scores: dict[str, float] = field(default_factory=dict)  # the last validation's
    loss_sum: float = 0.0  # since the last line of the log
    loss_count: int = 0
    seconds: float = 0.0  # over all sittings

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


class Checkpoints:
    """`folder/step-00001000` and its like; the newest two are kept."""

    def __init__(
        self, accelerator: Accelerator, folder: Path, *, minutes: float | None, keep: int = 2
    ) -> None:
        self.accelerator = accelerator
        self.folder = folder
        self.minutes = minutes
        self.keep = keep
        self.saved_at = time.monotonic()

    @property
    def overdue(self) -> bool:
        """Whether `minutes` have gone by since the last one, on this process's clock."""
        return self.minutes is not None and time.monotonic() - self.saved_at > 60 * self.minutes

    def complete(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))

    def save(self, iteration: int) -> None:
        accelerator, final = self.accelerator, self.folder / f"step-{iteration:08d}"
        self.saved_at = time.monotonic()
        if final.exists():
            return
        unfinished = self.folder / ".unfinished"
        if accelerator.is_main_process:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
        accelerator.wait_for_everyone()
        try:
            accelerator.save_state(str(unfinished))
        except RuntimeError as error:  # torch has no other for a full disk
            shutil.rmtree(unfinished, ignore_errors=True)
            reason = str(error).partition("\n")[0]
            raise OSError(f"no checkpoint in {self.folder}, is the disk full? ({reason})") from None
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            unfinished.rename(final)
            for old in self.complete()[: -self.keep]:
                shutil.rmtree(old)
        accelerator.wait_for_everyone()

    def resume(self, wanted: Literal["auto", True, False]) -> None:
        """Load the newest complete one; `auto` does without, True does not, False forgets all."""
        found = self.complete()
        if not wanted:
            self.accelerator.wait_for_everyone()
            if self.accelerator.is_main_process:
                for made in (self.folder, *map(self.folder.with_name, ("best", "last", "samples"))):
                    shutil.rmtree(made, ignore_errors=True)
            self.accelerator.wait_for_everyone()
        elif found:
            self.accelerator.load_state(str(found[-1]))
            logger.info("resumed from %s", found[-1])
        elif wanted is True:
            raise FileNotFoundError(f"nothing to resume in {self.folder}")
