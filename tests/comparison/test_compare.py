"""The script: whole runs of tiny cells, killed, failing, at the same time, and of other budgets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from glmha_hf.comparison.results import Results

from .conftest import GROUP, ROOT, SCRIPT, SHIPPED, write_comparison

Run = Callable[..., int]
RANKS = {"model.attention": "glmha", "model.kv_reduction": "from_ranks"}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "docs" / "comparison")


@pytest.fixture
def words(tmp_path: Path, photos: Path) -> list[str]:
    """The command's usual arguments."""
    variants = {**GROUP["variants"], "ranks": RANKS}
    path = write_comparison(tmp_path, variants=variants, seeds=[0])
    return [
        str(path),
        *("--data", f"photos={photos}"),
        *("--output", str(tmp_path / "runs")),
        *("--results", str(tmp_path / "docs" / "comparison")),
    ]


@pytest.fixture
def run(script: ModuleType, words: list[str]) -> Run:
    return lambda *more: script.main([*words, *more])


def done(results: Results) -> list[tuple[str, int]]:
    return [(row["variant"], row["seed"]) for row in results.cells()]


def test_from_nothing_to_the_report(
    run: Run, results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    assert done(results) == [("csa", 0), ("glmha", 0), ("ranks", 0)]
    first = results.cells()[0]
    assert (first["iterations"], first["patches"], first["examples"]) == (4, 8, 2)
    assert first["seconds"] is not None
    assert [row["iteration"] for row in results.curves() if row["variant"] == "csa"] == [2, 4]

    # The score is the last weights', as the trainer scored them (the recipe trains in float32).
    folder = tmp_path / "runs" / "noise" / "csa" / "0"
    trained = json.loads((folder / "last" / "training.json").read_text())
    assert first["psnr"] == pytest.approx(trained["scores"]["psnr"], abs=1e-3)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["last"]

    # As the csa cell's ranks suggest, at the cost of a uniform half.
    _, uniform, ranks = results.cells()
    assert len(json.loads(ranks["kv_reduction"])) == 2
    assert ranks["macs"] == pytest.approx(uniform["macs"], rel=0.05)

    before = (results.folder / "results.csv").read_bytes()
    assert run() == 0  # nothing is left to do
    assert (results.folder / "results.csv").read_bytes() == before

    capsys.readouterr()
    assert run("--list") == 0
    assert "noise/glmha/0: done (also kv-0.5)\n" in capsys.readouterr().out
    assert run("--rank", "--only", "noise/csa/0") == 0
    lines = (results.folder / "ranks.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 2  # variants of the first table, levels
    assert run("--report") == 0
    page = (tmp_path / "docs" / "comparison.md").read_text()
    assert "3 of 3" in page
    assert "comparison/noise-ranks.png" in page

    assert run("length_scale=2") == 2
    assert "results.csv has noise at another budget (4 updates" in capsys.readouterr().err


def test_what_ships_is_by_the_plan_that_ships(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([str(SHIPPED), "--list"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) > 80
    assert all(": done" in line for line in told)


def test_a_lost_row_comes_back_without_training(
    run: Run, results: Results, monkeypatch: pytest.MonkeyPatch, script: ModuleType
) -> None:
    assert run("--only", "noise/csa/0") == 0
    results.cells_file.unlink()
    monkeypatch.setattr(script, "train", None)
    assert run("--only", "noise/csa/0") == 0
    assert done(results) == [("csa", 0)]


def test_a_signal_saves_and_the_same_command_goes_on(
    run: Run,
    results: Results,
    tmp_path: Path,
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    only = ("--only", "noise/glmha/0")
    assert run(*only, "--output", str(tmp_path / "unbroken"), "--results", str(tmp_path / "u")) == 0
    train, updates = script.train, 0

    def interrupted(run: Any, stop: Any) -> None:
        update = run.ema.update

        def signalling() -> None:
            nonlocal updates
            updates += 1
            update()
            if updates == 1:
                os.kill(os.getpid(), signal.SIGTERM)

        run.ema.update = signalling
        train(run, stop)

    with monkeypatch.context() as patched:
        patched.setattr(script, "train", interrupted)
        assert run(*only) == 128 + signal.SIGTERM
    assert "compare: stopped, the same command goes on: 0 cells done\n" in capsys.readouterr().err
    assert not done(results)
    assert run("--list", *only) == 0
    assert capsys.readouterr().out.startswith("noise/glmha/0: stopped at 2 of 4 updates")
    assert run(*only) == 0
    [row], [unbroken] = results.cells(), Results(tmp_path / "u").cells()
    assert row["psnr"] == unbroken["psnr"]
    assert results.curves() == Results(tmp_path / "u").curves()


def test_an_error_on_the_way_out_is_no_failure(
    run: Run, script: ModuleType, monkeypatch: pytest.MonkeyPatch, results: Results
) -> None:
    def interrupted(run: Any, stop: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        raise RuntimeError("the compiler was stopped")

    monkeypatch.setattr(script, "train", interrupted)
    assert run() == 128 + signal.SIGINT
    assert not done(results)


@pytest.mark.parametrize("error", [ArithmeticError("loss nan"), RuntimeError("no memory\nleft")])
def test_a_failing_cell_is_named_and_the_others_go_on(
    error: Exception,
    run: Run,
    results: Results,
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = script.train

    def failing(run: Any, stop: Any) -> None:
        if "csa/0" in str(run.recipe.folder):
            raise error
        train(run, stop)

    monkeypatch.setattr(script, "train", failing)
    assert run("--only", "noise/*/0") == 1
    told = capsys.readouterr().err
    assert f"noise/csa/0 failed: {str(error).splitlines()[0]}\n" in told
    assert "1 cells done; 1 failed: noise/csa/0; 1 waiting for their reference" in told
    assert done(results) == [("glmha", 0)]


@pytest.mark.slow
def test_two_processes_share_the_cells(words: list[str], results: Results, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), *words, "--only", "*/csa/*", "--only", "*/glmha/*"]
    pair = [
        subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    told = [process.communicate()[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    begun = [line for text in told for line in text.splitlines() if line.endswith(" begins")]
    assert sorted(begun) == [
        "compare: noise/csa/0 begins",
        "compare: noise/glmha/0 begins",
    ]
    assert done(results) == [("csa", 0), ("glmha", 0)]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--data", "photos"), "--data takes NAME=PATH, not 'photos'"),
        (("--data", "photos=nowhere"), "--data photos: there is no nowhere"),
        (("--only", "x"), "--only x matches no cell"),
        (("model.dims=3",), "unknown field 'dims'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    run: Run, more: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*more) == 2
    told = capsys.readouterr().err
    assert told.startswith("compare: ")
    assert message in told
    assert told.count("\n") == 1


def test_data_is_asked_for_before_anything_runs(
    script: ModuleType, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([words[0], *words[3:]]) == 2
    assert "noise/csa/0 needs --data photos=PATH" in capsys.readouterr().err
