"""The scripts of `training/` as modules, and photographs to run them on."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]


def load_script(name: str) -> ModuleType:
    """`training/NAME.py` by itself, which finds the scripts beside it as it does when it runs."""
    path = ROOT / "training" / f"{name}.py"
    sys.path.insert(0, str(path.parent))
    try:
        specification = importlib.util.spec_from_file_location(f"{name}_script", path)
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        sys.modules[specification.name] = module
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


def run_script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`training/NAME.py` on one thread, as a process of its own; what it printed is kept."""
    return subprocess.run(
        [sys.executable, ROOT / "training" / f"{name}.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": ""},
        check=False,
    )


def save_photographs(root: Path, *, train: int, test: int, size: tuple[int, int]) -> Path:
    """Smooth pictures in train/ and test/, made on the spot."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        (root / split).mkdir()
        for number in range(count):
            knots = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
            picture = Image.fromarray(knots).resize(size, Image.Resampling.BICUBIC)
            picture.save(root / split / f"{number}.png")
    return root
