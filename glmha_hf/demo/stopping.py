"""The Stop button: work that asks, tile by tile, whether somebody still wants it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event


class StoppedError(Exception):
    """The person who asked for this work has stopped it or left."""


class Stops:
    """What runs now, by session and kind of work; one at a time for each."""

    def __init__(self) -> None:
        self._running: dict[tuple[str | None, str], Event] = {}

    @contextmanager
    def watch(self, session: str | None, work: str) -> Iterator[Event]:
        """An event that is set when this work of the session is stopped."""
        key, stopped = (session, work), Event()
        if session is not None:
            self._running[key] = stopped
        try:
            yield stopped
        finally:
            if self._running.get(key) is stopped:
                del self._running[key]

    def stop(self, session: str | None, work: str | None = None) -> None:
        """This work of a session, or all of it."""
        for (whose, which), running in list(self._running.items()):
            if whose == session and work in (None, which):
                running.set()
