import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden():
    return json.loads((GOLDEN / "expected.json").read_text())


@pytest.fixture(scope="session")
def golden_pictures():
    """(restored, target) uint8 RGB pairs, in the order of the golden scores."""
    return [
        tuple(np.asarray(Image.open(GOLDEN / side / f"{i}.png")) for side in ("restored", "target"))
        for i in range(3)
    ]


@pytest.fixture(scope="session")
def golden_cubes():
    cubes = load_file(GOLDEN / "spectral.safetensors")
    return cubes["prediction"], cubes["truth"]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def picture_pair(rng):
    """A smooth 40×52 RGB picture and a noisy copy of it."""
    rows, columns = np.meshgrid(np.arange(40), np.arange(52), indexing="ij")
    target = np.stack([128 + 90 * np.sin((rows + k * columns) / 9) for k in range(3)], axis=-1)
    restored = target + rng.normal(0, 12, target.shape)
    return tuple(np.clip(np.rint(x), 0, 255).astype(np.uint8) for x in (restored, target))


@pytest.fixture
def cube_pair(rng):
    """A 6×24×30 float32 cube in [0.1, 0.9] and a prediction of it that strays out of [0, 1]."""
    reference = rng.uniform(0.1, 0.9, (6, 24, 30)).astype(np.float32)
    prediction = reference + rng.normal(0, 0.1, reference.shape).astype(np.float32)
    return prediction, reference
