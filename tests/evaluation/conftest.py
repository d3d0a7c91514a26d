"""Small test sets in every layout, and small models to score on them."""

import numpy as np
import pytest
import scipy.io
from PIL import Image

from glmha_hf.convert.conversion import processor_for
from tests.data.scenes import draw_scene
from tests.models.small import small_model


def save_pairs(folder, count=5, *, names=("input", "target"), height=24, width=28):
    """Noisy and clean pictures, each noisier than the one before."""
    for name in names:
        (folder / name).mkdir(parents=True)
    for number in range(count):
        clean = draw_scene(height, width, seed=number)
        noise = np.random.default_rng(number).normal(0, 6 * (number + 1), clean.shape)
        noisy = (clean + noise).clip(0, 255).astype(np.uint8)
        for name, picture in zip(names, (noisy, clean), strict=True):
            Image.fromarray(picture).save(folder / name / f"{number}.png")
    return folder


def save_model(folder, form, *, processor=True, **fields):
    return save_network(folder, small_model(form, **fields), processor=processor)


def save_network(folder, model, *, processor=True):
    model.save_pretrained(folder)
    if processor:
        processor_for(model.config).save_pretrained(folder)
    return str(folder)


def draw_cube(bands, height, width, seed=0):
    """Smooth spectra, different at every pixel, within (0, 1)."""
    knots = np.random.default_rng(seed).uniform(0.05, 0.95, (4, height, width))
    place = np.linspace(0, 3, bands)
    below = np.minimum(place.astype(int), 2)
    share = (place - below)[:, None, None]
    return ((1 - share) * knots[below] + share * knots[below + 1]).astype(np.float32)


def save_arad(root, count=2, *, height=24, width=20, listed=True):
    h5py = pytest.importorskip("h5py")
    for folder in ("Train_RGB", "Train_Spec", "split_txt"):
        (root / folder).mkdir(parents=True)
    names = [f"ARAD_1K_{number:04}" for number in range(901, 901 + count)]
    for number, name in enumerate(names):
        cube = draw_cube(31, height, width, seed=number)
        with h5py.File(root / "Train_Spec" / f"{name}.mat", "w") as file:
            file["cube"] = cube.transpose(0, 2, 1)  # bands, width, height on disk
        picture = np.rint(cube[[25, 15, 5]] * 255).astype(np.uint8).transpose(1, 2, 0)
        Image.fromarray(picture).save(root / "Train_RGB" / f"{name}.jpg", quality=95)
    if listed:
        (root / "split_txt" / "valid_list.txt").write_text("\n".join(names) + "\n")
    return root


def save_cassi(root, count=2, *, side=32):
    (root / "Truth").mkdir(parents=True)
    mask = np.random.default_rng(0).integers(0, 2, (side, side)).astype(np.float32)
    scipy.io.savemat(root / "mask.mat", {"mask": mask})
    for number in range(count):
        cube = draw_cube(28, side, side, seed=number).transpose(1, 2, 0)
        scipy.io.savemat(root / "Truth" / f"scene{number + 1:02}.mat", {"img": cube})
    return root


@pytest.fixture
def rain(tmp_path):
    return save_pairs(tmp_path / "test" / "Rain100L")


@pytest.fixture
def restormer(tmp_path):
    return save_model(tmp_path / "small-restormer", "restormer")
