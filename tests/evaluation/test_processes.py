"""`training/evaluate.py`: one process and two give the same files, byte for byte."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "training" / "evaluate.py"


def launch(*arguments, processes=1, folder=None):
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    prefix = torchrun if processes > 1 else []
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, *prefix, str(SCRIPT), *map(str, arguments), "--cpu"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=600,
    )


@pytest.mark.slow
def test_two_processes_give_the_table_of_one(rain, restormer, tmp_path):
    pytest.importorskip("accelerate")
    # results.json has the command, so both get the same words, in folders of their own.
    words = [restormer, "input", "--data", rain, "--worst", 1, "--output", "scores"]
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    alone = launch(*words, folder=one)
    assert alone.returncode == 0, alone.stderr
    both = launch(*words, processes=2, folder=two)
    assert both.returncode == 0, both.stderr
    assert both.stdout == alone.stdout
    for name in ("results.json", "pictures.csv", "table.md"):
        assert (one / "scores" / name).read_bytes() == (two / "scores" / name).read_bytes()
    lines = [
        len((two / "scores" / f"journal-{process}.jsonl").read_text().splitlines())
        for process in (0, 1)
    ]
    assert lines == [6, 4]


@pytest.mark.slow
def test_bad_input_ends_all_processes_with_one_line(rain, tmp_path):
    pytest.importorskip("accelerate")
    (rain / "input" / "2.png").write_bytes((rain / "input" / "2.png").read_bytes()[:60])
    done = launch("input", "--data", rain, "--output", tmp_path / "out", processes=2)
    assert done.returncode != 0
    assert done.stderr.count("evaluate: Rain100L, 2.png: ") == 1
    assert f'File "{SCRIPT}"' not in done.stderr  # torchrun prints a traceback of its own
