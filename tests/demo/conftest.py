"""Small models under the zoo's names, and pictures to send."""

import numpy as np
import pytest
import torch
from PIL import Image

from glmha_hf import (
    MstPlusPlusConfig,
    MstPlusPlusForSpectralReconstruction,
    PictureProcessor,
    RestormerConfig,
    RestormerForImageRestoration,
)
from glmha_hf.demo import models
from glmha_hf.hub import zoo

from ..hub.conftest import hub  # noqa: F401


def save_small_models(folder):
    """Two derainers, a denoiser and a spectral model, with random weights."""
    torch.manual_seed(0)
    for name, attention in (
        ("glmha-restormer-derain", "glmha"),
        ("restormer-derain", "csa"),
        ("glmha-restormer-denoise", "glmha"),
    ):
        config = RestormerConfig(
            dim=8,
            num_blocks=[1, 1, 1, 1],
            num_refinement_blocks=1,
            num_heads=[1, 2, 2, 4],
            attention=attention,
        )
        RestormerForImageRestoration(config).save_pretrained(folder / name)
        PictureProcessor().save_pretrained(folder / name)
    name = "glmha-mst-plus-plus-rgb2hsi"
    config = MstPlusPlusConfig(num_stages=1, attention="glmha")
    MstPlusPlusForSpectralReconstruction(config).save_pretrained(folder / name)
    PictureProcessor(value_range="min_max").save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory):
    return save_small_models(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def shipped_models(small_weights, monkeypatch):
    """The zoo with small models in it, and nothing of it loaded."""
    monkeypatch.setattr(zoo, "WEIGHTS", small_weights)
    forget()
    yield
    forget()


def forget():
    models.restorer.cache_clear()
    models.cost.cache_clear()


def save_picture(path, height=40, width=56, seed=0, mode="RGB"):
    """A smooth picture with a little texture."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    base = 120 + 60 * np.sin(rows / 9 + seed)[..., None] + 40 * np.cos(columns / 7)[..., None]
    pixels = np.clip(base + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.fixture
def picture(tmp_path):
    return save_picture(tmp_path / "picture.png")


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    return folder
