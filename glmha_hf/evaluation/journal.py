"""The journal of a run: one line a scored picture, so that a killed run goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .sets import digest


@dataclass(frozen=True)
class Entry:
    """One picture's scores under the key of everything they depend on."""

    key: str
    model: str
    set: str
    protocol: str
    index: int
    name: str
    scores: dict[str, float]


def entry_key(*parts: Any) -> str:
    return digest(json.dumps(parts, sort_keys=True).encode())


class Journal:
    """Lines appended by one process; what all processes wrote is read together."""

    def __init__(self, folder: Path, *, process: int = 0) -> None:
        self.folder = folder
        self.path = folder / f"journal-{process}.jsonl"

    def read(self) -> dict[str, Entry]:
        """Every entry of every process's file; a line cut short by a kill is passed over."""
        found = {}
        for path in sorted(self.folder.glob("journal-*.jsonl")):
            for line in path.read_bytes().split(b"\n"):
                try:
                    entry = Entry(**json.loads(line))
                except (ValueError, TypeError):
                    continue
                found[entry.key] = entry
        return found

    def forget(self) -> None:
        for path in self.folder.glob("journal-*.jsonl"):
            path.unlink(missing_ok=True)

    def append(self, entry: Entry) -> None:
        """A line, out of this process's hands when this returns, even if it is killed then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps(asdict(entry), ensure_ascii=False) + "\n"
        if not _ends_with_newline(self.path):  # a line that a kill cut short
            line = "\n" + line
        with self.path.open("ab") as file:
            file.write(line.encode())


def _ends_with_newline(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return True
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
