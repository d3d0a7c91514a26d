from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from glmha_hf.comparison.plan import Comparison, load_comparison
from tests.scripts import load_script, save_photographs

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "training" / "compare.py"
SHIPPED = ROOT / "configs" / "compare" / "compact.yaml"

RECIPE = {
    "model": {
        "type": "restormer",
        "attention": "csa",
        "dim": 4,
        "num_blocks": [1, 1],
        "num_heads": [1, 1],
        "num_refinement_blocks": 1,
    },
    "data": {
        "kind": "clean",
        "degradation": {"name": "gaussian_noise", "sigma": 25},
        "workers": 0,
    },
    "validation": {
        "protocol": "deraining",
        "kind": "clean",
        "degradation": {"name": "benchmark_noise", "sigma": 25},
        "every": 1000,
    },
    "stages": [{"iterations": 4, "patch": 16, "batch": 2}],
    "learning_rate": {"name": "cosine", "peak": 2e-3},
    "loss": {"l1": 1},
    "run": {"device": "cpu", "ema": 0.9, "log_every": 1},
}
GROUP: dict[str, Any] = {
    "title": "Noise",
    "recipe": "tiny.yaml",
    "places": {"data.root": "photos"},
    "seeds": [0, 1],
    "curve_points": 2,
    "variants": {
        "csa": {},
        "glmha": {"model.attention": "glmha"},
        "kv-0.5": {"model.attention": "glmha", "model.kv_reduction": 0.5},
    },
    "tables": [
        {"title": "Attentions", "variants": ["csa", "glmha"], "paper": "4"},
        {"title": "Reductions", "variants": ["csa", "kv-0.5"]},
    ],
}


def write_comparison(folder: Path, **changes: Any) -> Path:
    """A comparison of one tiny group, `noise`, with some of it changed."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    path = folder / "comparison.yaml"
    path.write_text(yaml.safe_dump({"groups": {"noise": {**GROUP, **changes}}}, sort_keys=False))
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., Comparison]:
    def load(*overrides: str, **changes: Any) -> Comparison:
        return load_comparison(write_comparison(tmp_path, **changes), overrides=overrides)

    return load


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth pictures in train/ and test/, made on the spot."""
    root = tmp_path_factory.mktemp("photos")
    return save_photographs(root, train=3, test=2, size=(40, 32))


@pytest.fixture(scope="session")
def script() -> ModuleType:
    return load_script("compare")
