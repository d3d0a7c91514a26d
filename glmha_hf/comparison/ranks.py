"""Figure 1 of the paper for the trained models: the ranks of their attention maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..analysis.plots import plot_eigenvalues
from ..analysis.rank import ENERGIES, LayerSpectrum, attention_spectra, level_ranks
from ..training.validation import Validation
from .cells import CellFolder, load_trained
from .plan import Cell, Group
from .results import KEY, Row, key_of, read_rows, write_rows

SHARES = {f"share_{100 * energy:.0f}": energy for energy in ENERGIES}
"""Columns: the rank that holds so much of the energy, as a share of a head's channels."""

COLUMNS = (*KEY, "level", "blocks", *SHARES)
EXAMPLES = 4


def first_table(group: Group) -> list[str]:
    """The variants of the group's first table, as they are trained."""
    return list(dict.fromkeys(group.names[each] for each in group.recipe.tables[0].variants))


def measure_ranks(
    group: Group, output: Path
) -> tuple[list[Row], dict[str, list[LayerSpectrum]], list[str]]:
    """Rows, the first seed's spectra for the figure, and the cells without trained weights."""
    validation = Validation.of(group.recipe_with({}))
    assert validation is not None
    count = min(EXAMPLES, len(validation.examples))
    inputs = [validation.examples[place].inputs for place in range(count)]
    rows: list[Row] = []
    shown: dict[str, list[LayerSpectrum]] = {}
    missing = []
    for variant in first_table(group):
        for seed in group.recipe.seeds:
            cell = Cell(group, variant, seed)
            folder = CellFolder(cell, output)
            if folder.result() is None or not folder.trained.is_dir():
                missing.append(cell.name)
                continue
            spectra = attention_spectra(load_trained(folder.trained), inputs)
            shown.setdefault(variant, spectra)
            rows += _rows(cell, spectra)
    return rows, shown, missing


def _rows(cell: Cell, spectra: Sequence[LayerSpectrum]) -> list[Row]:
    """Of each level the block that needs most."""
    key = {"group": cell.group.name, "variant": cell.variant, "seed": cell.seed}
    return [
        {
            **key,
            "level": level.level + 1,
            "blocks": level.blocks,
            **{name: level.most[energy].rank_share(energy) for name, energy in SHARES.items()},
        }
        for level in level_ranks(spectra)
    ]


def store_ranks(
    results: Path, group: Group, rows: Sequence[Row], shown: dict[str, list[LayerSpectrum]]
) -> None:
    """The table with these rows in the place of the same cells' older ones, and the figure."""
    path = results / "ranks.csv"
    results.mkdir(parents=True, exist_ok=True)
    measured = {key_of(row) for row in rows}
    others = [row for row in read_rows(path) if key_of(row) not in measured]
    write_rows(path, COLUMNS, [*others, *rows])
    plot_eigenvalues(shown, results / f"{group.name}-ranks.png")
