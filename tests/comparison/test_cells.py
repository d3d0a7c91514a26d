"""One cell's folder: locks, starts, states, budgets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from glmha_hf.comparison.cells import CellFolder
from glmha_hf.comparison.plan import Comparison
from glmha_hf.training.start import build_model

Load = Callable[..., Comparison]

HOLD = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tiny: Load, tmp_path: Path) -> CellFolder:
    return CellFolder(tiny().cells(["noise/glmha/1"])[0], tmp_path / "runs")


@pytest.fixture
def other_process(folder: CellFolder) -> Iterator[subprocess.Popen[str]]:
    """One that holds the cell."""
    folder.path.mkdir(parents=True)
    command = [sys.executable, "-c", HOLD, str(folder.path / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_cell_is_one_process_at_a_time(
    folder: CellFolder, other_process: subprocess.Popen[str]
) -> None:
    assert folder.is_taken
    with folder.lock() as ours:
        assert not ours
    other_process.kill()
    other_process.wait()
    assert not folder.is_taken
    with folder.lock() as ours:
        assert ours
        assert folder.is_taken
    assert not folder.is_taken


def test_states_in_words(folder: CellFolder) -> None:
    assert folder.state(done=False) == "not begun"
    folder.path.mkdir(parents=True)
    (folder.path / "log.jsonl").write_text('{"event": "training", "iteration": 3}\n{"event": "tr')
    assert folder.state(done=False) == "stopped at 3 of 4 updates"
    with folder.lock():
        assert folder.state(done=False) == "running, 3 of 4 updates"
    assert folder.state(done=True) == "done"


def test_all_variants_start_from_the_references_fresh_weights(folder: CellFolder) -> None:
    recipe = folder.prepare()
    reference = build_model(folder.cell.reference.recipe()).state_dict()
    started = build_model(recipe).state_dict()
    fitting = [name for name in reference if reference[name].shape == started[name].shape]
    assert 0 < len(fitting) < len(reference)
    for name in fitting:
        torch.testing.assert_close(started[name], reference[name], rtol=0, atol=0)


def test_the_reference_starts_as_if_it_had_no_start(tiny: Load, tmp_path: Path) -> None:
    csa = tiny().cells(["noise/csa/1"])[0]
    recipe = CellFolder(csa, tmp_path / "runs").prepare()
    assert recipe.init_from == str(tmp_path / "runs/noise/csa/1/start")
    started = build_model(recipe).state_dict()
    for name, value in build_model(csa.recipe()).state_dict().items():
        torch.testing.assert_close(started[name], value, rtol=0, atol=0)


def test_a_folder_of_another_budget_is_refused(
    folder: CellFolder, tiny: Load, tmp_path: Path
) -> None:
    folder.prepare()
    longer = tiny("length_scale=2").cells(["noise/glmha/1"])[0]
    with pytest.raises(ValueError, match=r"noise/glmha/1 has noise at another budget \(4 updates"):
        CellFolder(longer, folder.output).prepare()
