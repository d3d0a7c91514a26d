"""The tables on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glmha_hf.comparison.plan import Comparison
from glmha_hf.comparison.results import Results, read_rows


def row(variant: str, seed: int, **values: Any) -> dict[str, Any]:
    return {"group": "noise", "variant": variant, "seed": seed, "fingerprint": "12345678", **values}


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    results = Results(tmp_path / "new")
    result = row("csa", 0, psnr=27.5, ssim=None, macs=7_043_022_848, commit="1234567", seconds=3)
    results.add(result, [row("csa", 0, iteration=2, psnr=20.0)])
    [found] = results.cells()
    assert {name: found[name] for name in result} == result
    assert results.curves()[0]["iteration"] == 2


def test_a_cells_rows_take_the_place_of_its_older_ones(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.add(row("glmha", 0, psnr=1.0), [row("glmha", 0, iteration=i, psnr=i) for i in (2, 10)])
    results.add(row("csa", 0, psnr=2.0), [])
    results.add(row("glmha", 0, psnr=3.0), [row("glmha", 0, iteration=4, psnr=4.0)])
    assert [(each["variant"], each["psnr"]) for each in results.cells()] == [
        ("csa", 2.0),
        ("glmha", 3.0),
    ]
    assert [each["iteration"] for each in results.curves()] == [4]


def test_results_of_another_budget_are_refused(
    tmp_path: Path, tiny: Callable[..., Comparison]
) -> None:
    results, comparison = Results(tmp_path), tiny()
    print_of = comparison.groups[0].budget.fingerprint
    results.add(row("csa", 0) | {"fingerprint": print_of, "iterations": 4, "patches": 8}, [])
    results.require_one_budget(comparison)
    with pytest.raises(ValueError, match=r"has noise at another budget \(4 updates, 8 patches"):
        results.require_one_budget(tiny("length_scale=2"))
    with pytest.raises(ValueError, match="got results of another budget meanwhile"):
        results.add(row("glmha", 0), [])
    assert len(results.cells()) == 1


def test_another_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no table of a comparison: it lacks group, variant, seed"):
        read_rows(tmp_path / "results.csv")
