"""The Stop button: work that asks, tile by tile, whether somebody still wants it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event


class StoppedError(Exception):
    """The person who asked for this work has stopped it or left."""


class Stops:
    """What runs now, by session; one at a time for each."""

    def __init__(self) -> None:
        self._running: dict[str, Event] = {}

    @contextmanager
    def watch(self, session: str | None) -> Iterator[Event]:
        """An event that is set when the session is stopped."""
        stopped = Event()
        if session is not None:
            self._running[session] = stopped
        try:
            yield stopped
        finally:
            if session is not None and self._running.get(session) is stopped:
                del self._running[session]

    def stop(self, session: str | None) -> None:
        running = self._running.get(session or "")
        if running is not None:
            running.set()
