"""How far a run is, on standard error: one moving line on a terminal, a few lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping


class Progress:
    """Counts pictures, shows the running mean of the first score and the time left."""

    def __init__(self, title: str, total: int, *, skipped: int = 0, quiet: bool = False) -> None:
        self.title, self.total, self.quiet = title, total, quiet
        self.done = 0
        self.sum = 0.0
        self.started = time.monotonic()
        self.moving = sys.stderr.isatty()
        if skipped and not quiet:
            self._print(f"{title}: {skipped} pictures were done before", end="\n")

    def step(self, scores: Mapping[str, float]) -> None:
        self.done += 1
        key, value = next(iter(scores.items()))
        self.sum += value
        tenth = max(1, self.total // 10)
        if self.quiet or not (self.moving or self.done % tenth == 0 or self.done == self.total):
            return
        per_picture = (time.monotonic() - self.started) / self.done
        left = _clock(per_picture * (self.total - self.done))
        text = (
            f"{self.title}: {self.done}/{self.total}, {key} {self.sum / self.done:.3f}, "
            f"{per_picture:.2f} s a picture, {left} left"
        )
        self._print(f"\r\x1b[K{text}" if self.moving else text, end="" if self.moving else "\n")

    def close(self) -> None:
        if self.moving and self.done and not self.quiet:
            self._print("", end="\n")

    @staticmethod
    def _print(text: str, *, end: str) -> None:
        print(text, end=end, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
