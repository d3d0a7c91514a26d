"""Drawn pictures, as an array and as folders."""

import numpy as np
import pytest

from tests.data.scenes import draw_scene, save_scenes


@pytest.fixture
def scene():
    """One picture as float32 in [0, 1]."""
    return draw_scene().astype(np.float32) / 255


@pytest.fixture
def clean_folder(tmp_path):
    return save_scenes(tmp_path / "clean", 5)


@pytest.fixture
def pair_folders(tmp_path):
    """An input folder (JPEG) and a target folder (PNG) with the same four names."""
    inputs = save_scenes(tmp_path / "input", 4, suffix=".jpg")
    return inputs, save_scenes(tmp_path / "target", 4)
