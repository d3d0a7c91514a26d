"""A small library of made-up materials: no test but those of the real one needs earthlib."""

import numpy as np
import pytest

from glmha_hf.data.scenes.bands import GRID
from glmha_hf.data.scenes.reflectances import SUBSTANCES, Library


@pytest.fixture
def library() -> Library:
    """Twelve steps, bumps and dips for each substance, between 0.05 and 0.85."""
    rng = np.random.default_rng(3)
    spectra, substances = [], []
    for substance in SUBSTANCES:
        for kind in range(12):
            edge, width = rng.uniform(430, 670), rng.uniform(15, 40)
            step = 1 / (1 + np.exp(-(GRID - edge) / width))
            bump = np.exp(-(((GRID - edge) / (2 * width)) ** 2))
            spectra.append(0.05 + 0.8 * (step, 1 - step, bump, 1 - bump)[kind % 4])
            substances.append(substance)
    names = tuple(f"{substance} {number}" for number, substance in enumerate(substances))
    return Library(names, np.array(substances), np.array(spectra))
