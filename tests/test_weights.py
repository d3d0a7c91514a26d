"""The weights that ship: small, documented, and good for what their names say."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageToImage

import glmha_hf
from glmha_hf.data.degradations import MotionBlur, ValidationRain, benchmark_noise
from glmha_hf.data.degradations.base import from_eight_bit, to_eight_bit
from glmha_hf.data.pictures import read_picture
from glmha_hf.demo import examples
from glmha_hf.hub.zoo import WEIGHT_FILE, WEIGHTS
from glmha_hf.inference.export import export_model
from glmha_hf.inference.exported import ExportedNetwork
from glmha_hf.metrics import compare

SHIPPED = {model.name: model for model in glmha_hf.list_models() if model.ships}
MEGABYTES = {"derain": 8, "deblur": 8, "denoise": 8, "rgb2hsi": 6, "cassi": 6}


def degraded(task: str, clean: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(7)
    if task == "denoise":
        return benchmark_noise(clean, sigma=25)
    degradation = ValidationRain() if task == "derain" else MotionBlur(travel=(4, 8), rotation=0.4)
    return from_eight_bit(to_eight_bit(degradation(from_eight_bit(clean), rng)))


def psnr(restored: np.ndarray, clean: np.ndarray) -> float:
    return compare(to_eight_bit(restored), clean, "denoising")["psnr"]


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return read_picture(examples.FOLDER / "seeding.jpg")[150:342, 200:456]


def restored(name: str, picture: np.ndarray, dtype: torch.dtype = torch.float32) -> np.ndarray:
    return answer(loaded(name, dtype), picture)


def loaded(name: str, dtype: torch.dtype = torch.float32) -> Any:
    return AutoModelForImageToImage.from_pretrained(glmha_hf.resolve(name), dtype=dtype)


def answer(network: Any, picture: np.ndarray) -> np.ndarray:
    pixels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
    with torch.no_grad():
        reconstruction = network(pixel_values=pixels).reconstruction
    return reconstruction[0].float().numpy().transpose(1, 2, 0)


def test_a_model_of_each_restoration_ships():
    assert {f"glmha-restormer-{task}" for task in ("derain", "deblur", "denoise")} <= SHIPPED.keys()
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*")) < 40e6


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_small_and_has_measured_scores(name):
    model = SHIPPED[name]
    assert (model.folder / WEIGHT_FILE).stat().st_size < MEGABYTES[model.task] * 1e6
    assert model.metrics
    card = (model.folder / "README.md").read_text(encoding="utf-8")
    for row in model.metrics:
        assert row["command"].startswith(f"glmha evaluate {name} ")
        assert row["command"] in card
    assert "compact model" in card


@pytest.mark.parametrize(("task", "gain"), [("derain", 5.0), ("denoise", 9.0), ("deblur", 1.0)])
def test_a_shipped_model_restores_a_picture_it_has_not_seen(task, gain, clean):
    picture = degraded(task, clean)
    for model in glmha_hf.list_models(task=task):
        if model.ships:
            before, after = psnr(picture, clean), psnr(restored(model.name, picture), clean)
            assert after > before + gain, model.name


def test_shipped_models_reconstruct_the_example_s_spectra():
    for model in glmha_hf.list_models(task="rgb2hsi"):
        if model.ships:
            cube = glmha_hf.reconstruct(examples.SCENE_PICTURE, model=model.name)
            scores = compare(cube, examples.ntire_scene().values, "ntire2022")
            assert scores["mrae"] < 0.35, model.name
    system, truth = examples.cassi_system(), examples.cassi_scene().values
    snapshot = system.measure(torch.from_numpy(truth)).numpy()
    for model in glmha_hf.list_models(task="cassi"):
        if model.ships:
            cube = glmha_hf.reconstruct(snapshot, model=model.name, mask=system.mask.numpy())
            assert compare(cube, truth, "cassi")["psnr"] > 29, model.name


@pytest.mark.parametrize("name", [name for name in SHIPPED if "restormer" in name])
def test_bfloat16_keeps_the_score(name, clean):
    picture = degraded(SHIPPED[name].task, clean)
    full, half = (
        psnr(restored(name, picture, dtype), clean) for dtype in (torch.float32, torch.bfloat16)
    )
    assert half == pytest.approx(full, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHIPPED if "restormer" in name])
def test_the_exported_graph_keeps_the_score(name, clean, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = loaded(name)
    export_model(model, tmp_path / "graph")
    graph = ExportedNetwork.from_folder(tmp_path / "graph")
    picture = degraded(SHIPPED[name].task, clean)
    exported, own = (psnr(answer(one, picture), clean) for one in (graph, model))
    assert exported == pytest.approx(own, abs=0.05)


def test_clean_pictures_stay_clean(clean):
    for model in glmha_hf.list_models(task="derain"):
        if model.ships:
            assert psnr(restored(model.name, from_eight_bit(clean)), clean) > 38
