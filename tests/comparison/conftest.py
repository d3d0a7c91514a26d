from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from glmha_hf.comparison.plan import Comparison, load_comparison

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
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("test", 2)):
        (root / split).mkdir()
        for number in range(count):
            knots = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
            picture = Image.fromarray(knots).resize((40, 32), Image.Resampling.BICUBIC)
            picture.save(root / split / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def script() -> ModuleType:
    """`training/compare.py`, which finds `train.py` beside it as a script does."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        specification = importlib.util.spec_from_file_location("compare_script", SCRIPT)
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        sys.modules[specification.name] = module
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(SCRIPT.parent))
    return module
