"""What a compression keeps on disk while it runs, so that a killed one goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn

from ..files import replaced_file
from .budget import Plan

BEGUN, PLAN, SPENT = "begun.json", "plan.json", "seconds.json"


@dataclass(frozen=True)
class BlockErrors:
    """What is left of the energy of a block's attention, after the start and after the finish."""

    block: int
    level: int
    keys: int
    head_channels: int
    started: float
    finished: float


class Work:
    """A folder of finished parts; without a folder nothing is kept.

    `identity` is what the result depends on: parts of another compression are refused.
    """

    def __init__(self, folder: str | Path | None, identity: dict[str, Any]) -> None:
        self.folder = None if folder is None else Path(folder)
        self.since = time.monotonic()
        self.identity = json.loads(json.dumps(identity))
        before = self._read(BEGUN)
        if before not in (None, self.identity):
            other = [key for key, value in self.identity.items() if before.get(key) != value]
            raise ValueError(
                f"{self.folder} was begun with another {', '.join(other)}: go on as it was begun, "
                "or remove it"
            )

    def plan(self, make: Callable[[], Plan]) -> Plan:
        stored = self._read(PLAN)
        if stored is not None:
            attention, reductions = tuple(stored["attention"]), tuple(stored["kv_reduction"])
            return Plan(attention, reductions, stored["loss"])
        plan = make()
        self._write(BEGUN, self.identity)
        self._write(PLAN, asdict(plan))
        return plan

    def restore(self, block: int, layer: nn.Module) -> BlockErrors | None:
        """Fill a block's attention with what an earlier sitting made of it."""
        if self.folder is None or not self._weights(block).is_file():
            return None
        layer.load_state_dict(load_file(self._weights(block)))
        return BlockErrors(**self._read(f"block-{block:03}.json"))

    def keep(self, layer: nn.Module, errors: BlockErrors) -> None:
        if self.folder is None:
            return
        self._write(f"block-{errors.block:03}.json", asdict(errors))
        with replaced_file(self._weights(errors.block)) as unfinished:
            save_file(layer.state_dict(), unfinished)
        self.spent()

    def file(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / name

    def spent(self) -> float:
        """Seconds of all sittings."""
        now = time.monotonic()
        seconds = (self._read(SPENT) or 0.0) + now - self.since
        self.since = now
        self._write(SPENT, seconds)
        return seconds

    def _weights(self, block: int) -> Path:
        assert self.folder is not None
        return self.folder / f"block-{block:03}.safetensors"

    def _read(self, name: str) -> Any:
        path = self.file(name)
        if path is None or not path.is_file():
            return None
        return json.loads(path.read_text(encoding="utf-8"))

    def _write(self, name: str, contents: Any) -> None:
        path = self.file(name)
        if path is None:
            return
        with replaced_file(path) as unfinished:
            unfinished.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
