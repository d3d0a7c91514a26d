from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from accelerate.state import AcceleratorState, PartialState

from tests.scripts import load_script, save_photographs

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "training" / "train.py"
Train = Callable[..., int]

TINY = {
    "name": "tiny",
    "model": {
        "type": "restormer",
        "attention": "glmha",
        "dim": 4,
        "num_blocks": [1, 1],
        "num_heads": [1, 2],
        "num_refinement_blocks": 1,
    },
    "data": {
        "kind": "clean",
        "degradation": {"name": "gaussian_noise", "sigma": 25},
        "workers": 0,
    },
    "stages": [
        {"iterations": 6, "patch": 16, "batch": 4},
        {"iterations": 6, "patch": 24, "batch": 3},
    ],
    "learning_rate": {"name": "cosine", "peak": 2e-3},
    "loss": {"l1": 1},
    "run": {"device": "cpu", "ema": 0.9, "log_every": 1, "save_every": 3, "trackers": []},
}
VALIDATION = {
    "protocol": "denoising",
    "kind": "clean",
    "degradation": {"name": "benchmark_noise", "sigma": 25},
    "every": 4,
}


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth pictures in train/ and test/, made on the spot."""
    root = tmp_path_factory.mktemp("photographs")
    (root / "PROVENANCE.md").write_text("Smooth pictures, made on the spot.\n")
    return save_photographs(root, train=5, test=3, size=(44, 36))


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "tiny.yaml"
    data = {**TINY["data"], "root": str(photographs)}
    path.write_text(yaml.safe_dump({**TINY, "data": data, "validation": VALIDATION}))
    return path


@pytest.fixture(scope="session")
def script() -> ModuleType:
    return load_script("train")


@pytest.fixture
def train(script: ModuleType) -> Train:
    """Runs the script in this process."""

    def run(*arguments: object) -> int:
        AcceleratorState._reset_state(reset_partial_state=True)
        try:
            return script.main([str(argument) for argument in arguments])
        finally:
            PartialState._reset_state()
            AcceleratorState._reset_state(reset_partial_state=True)

    return run


def launch(*command: object, **options: object) -> subprocess.Popen[str]:
    """Starts Python on its own, with as many threads as this process has."""
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        text=True,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        **options,  # type: ignore[call-overload]
    )


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in log(folder) if line["event"] == "training"]


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
