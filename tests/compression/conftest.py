"""Small models that attend to something, and pictures."""

import numpy as np
import pytest
import torch

from glmha_hf import RestormerConfig, RestormerForImageRestoration
from glmha_hf.compression.blocks import blocks_of
from tests.models.small import random_inputs, small_model

FORMS = (
    "restormer",
    "restormer_features",
    "mst",
    "mst_rgb",
    "mst_plus_plus",
    "mst_plus_plus_cassi",
)


def teacher_of(form: str, *, seed: int = 0, **fields):
    """A CSA model whose maps are uneven, as a trained one's; `restormer_short` has two levels."""
    if form == "restormer_short":
        torch.manual_seed(seed)
        shape = {"dim": 8, "num_blocks": (1, 1), "num_heads": (1, 2), "num_refinement_blocks": 1}
        model = RestormerForImageRestoration(RestormerConfig(**shape, **fields)).eval()
    else:
        model = small_model(form, seed=seed, **fields)
    for block in blocks_of(model):
        torch.nn.init.constant_(block.attention.mixer.temperature, 4.0)
    return model.requires_grad_(False)


def inputs_of(model, side: int = 32, batch: int = 3):
    inputs = random_inputs(model, side, side, batch=batch)
    if "mask" in inputs:
        inputs["mask"] = (inputs["mask"] > 0.5).float()
    return inputs


@pytest.fixture
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (7, 5, 6, 3), dtype=np.uint8)
    return list(coarse.repeat(8, axis=1).repeat(8, axis=2))  # 40×48
