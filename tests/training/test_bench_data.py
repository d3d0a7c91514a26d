"""The loader's bench: what it prints, never how fast it is."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from accelerate.state import AcceleratorState

from tests.scripts import load_script

FEW = ("--batches", "2", "--steps", "1", "--rounds", "2")


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load_script("bench_data")


@pytest.fixture(autouse=True)
def fresh_state() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(("patch", "batch", "workers"), [(16, 4, 0), (24, 3, 1)])
def test_it_measures_the_stage_of_a_patch_size(
    bench: ModuleType,
    tiny_recipe: Path,
    capsys: pytest.CaptureFixture[str],
    patch: int,
    batch: int,
    workers: int,
) -> None:
    arguments = [str(tiny_recipe), f"data.workers={workers}", "--patch", str(patch), *FEW]
    assert bench.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["patch"], told["batch"], told["workers"]) == (patch, batch, workers)
    loader, training = (told[f"{who}_patches_per_second"] for who in ("loader", "training"))
    assert loader > 0
    assert told["ratio"] == pytest.approx(loader / training)


def test_it_says_it_in_a_sentence(
    bench: ModuleType, tiny_recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main([str(tiny_recipe), *FEW]) == 0
    assert capsys.readouterr().out.startswith("16×16 patches a second: the loader makes ")


def test_a_patch_no_stage_has_is_refused(
    bench: ModuleType, tiny_recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main([str(tiny_recipe), "--patch", "128"]) == 2
    assert "no stage has patches of 128; the recipe's have 16, 24" in capsys.readouterr().err
