"""The tidy tables that everything is made from: a row a cell, and a row a validation."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import replaced_file
from ..metrics import HIGHER_IS_BETTER
from .plan import Comparison, Group

METRICS = tuple(HIGHER_IS_BETTER)
KEY = ("group", "variant", "seed")
RESULT_COLUMNS = (
    *KEY,
    "fingerprint",  # of the budget
    "iterations",
    "patches",
    "parameters",
    "macs",
    "examples",  # pictures or cubes scored
    *METRICS,
    *(f"input_{metric}" for metric in ("psnr", "ssim")),
    "seconds",  # of training
    "kv_reduction",
    "device",
    "torch",
    "commit",
)
CURVE_COLUMNS = (*KEY, "fingerprint", "iteration", *METRICS)
Row = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """`results.csv` and `curves.csv` of one folder."""

    folder: Path

    @property
    def cells_file(self) -> Path:
        return self.folder / "results.csv"

    @property
    def curves_file(self) -> Path:
        return self.folder / "curves.csv"

    def cells(self) -> list[Row]:
        return read_rows(self.cells_file)

    def curves(self) -> list[Row]:
        return read_rows(self.curves_file)

    def add(self, result: Row, curve: Sequence[Row]) -> None:
        """Put a cell's rows in the place of what it had; one process at a time may do so."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path, columns, rows in (
            (self.cells_file, RESULT_COLUMNS, [result]),
            (self.curves_file, CURVE_COLUMNS, curve),
        ):
            others = [row for row in read_rows(path) if key_of(row) != key_of(result)]
            _require_same(result, others, path)
            write_rows(path, columns, sorted([*others, *rows], key=_order))

    def of_group(self, group: Group) -> list[Row]:
        return [row for row in self.cells() if row["group"] == group.name]

    def require_one_budget(self, comparison: Comparison) -> None:
        """Results of cells trained longer or otherwise do not belong into one table."""
        for group in comparison.groups:
            require_budget(group, self.of_group(group), where=str(self.cells_file))


def require_budget(group: Group, rows: Iterable[Mapping[str, Any]], *, where: str) -> None:
    for row in rows:
        if row["fingerprint"] != group.budget.fingerprint:
            raise ValueError(
                f"{where} has {group.name} at another budget ({row['iterations']:,} updates, "
                f"{row['patches']:,} patches, settings {row['fingerprint']}; now {group.budget}): "
                "keep them apart with --output FOLDER --results FOLDER"
            )


def _require_same(result: Row, others: Iterable[Row], path: Path) -> None:
    """No other process put another budget here meanwhile."""
    for row in others:
        same = row["fingerprint"] == result["fingerprint"]
        if row["group"] == result["group"] and not same:
            raise ValueError(f"{path} got results of another budget meanwhile: {key_of(row)}")


def key_of(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return row["group"], row["variant"], row["seed"]


def _order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return *key_of(row), row.get("iteration", 0)


def read_rows(path: Path, *, key: Sequence[str] = KEY) -> list[Row]:
    """Numbers as numbers, empty fields as None; no file is no rows."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and not set(key) <= rows[0].keys():
        raise ValueError(f"{path} is no table of a comparison: it lacks {', '.join(key)}")
    return [{name: _read(name, text) for name, text in row.items()} for row in rows]


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with replaced_file(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as f:
        writer = csv.DictWriter(f, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _write(row.get(name)) for name in columns} for row in rows)


TEXT = {"group", "variant", "fingerprint", "kv_reduction", "device", "torch", "commit", "attention",
        "form", "dtype"}  # fmt: skip


def _read(name: str, text: str | None) -> Any:
    if not text:
        return None
    if name in TEXT:
        return text
    number = float(text)
    return int(number) if number.is_integer() and "." not in text else number


def _write(value: Any) -> Any:
    return f"{value:.6f}" if isinstance(value, float) else value
