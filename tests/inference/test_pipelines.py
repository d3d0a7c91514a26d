"""transformers pipelines over the zoo's models."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset

from glmha_hf import PictureProcessor, restore
from glmha_hf.convert.conversion import processor_for
from tests.models.small import small_model

RESTORE, RECONSTRUCT = "image-restoration", "spectral-reconstruction"


def pipe(form: str, task: str = RESTORE, **fields):
    model = small_model(form, **fields)
    return pipeline(task, model=model, image_processor=processor_for(model.config), device="cpu")


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def restorer():
    return pipe("restormer")


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    model = small_model("restormer")
    return restore(pixels(20, 28), model=model, processor=PictureProcessor(), tile=None)


def test_one_picture_in_each_of_its_forms(restorer, expected: np.ndarray, tmp_path: Path) -> None:
    array = pixels(20, 28)
    path = tmp_path / "picture.png"
    Image.fromarray(array).save(path)
    np.testing.assert_array_equal(restorer(array), expected)
    for form in (str(path), path, Image.fromarray(array), {"image": Image.fromarray(array)}):
        restored = restorer(form)
        assert isinstance(restored, Image.Image)
        np.testing.assert_array_equal(np.asarray(restored), expected)
    tensor = restorer(torch.from_numpy(array).movedim(-1, 0))
    np.testing.assert_array_equal(tensor.movedim(0, -1).numpy(), expected)


def test_a_url(restorer, expected: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(pixels(20, 28)).save(path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/picture.png"
            self.send_response(200 if found else 404)
            self.end_headers()
            if found:
                self.wfile.write(path.read_bytes())

        def log_message(self, *_) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        np.testing.assert_array_equal(np.asarray(restorer(f"{address}/picture.png")), expected)
        with pytest.raises(ValueError, match="the server answered 404"):
            restorer(f"{address}/other.png")
        server.shutdown()


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_lists_of_any_sizes_in_batches(restorer, batch_size: int) -> None:
    pictures = [pixels(20, 28), pixels(17, 9, 1), pixels(20, 28, 2), pixels(8, 8, 3)]
    restored = restorer(pictures, batch_size=batch_size)
    assert [picture.shape for picture in restored] == [picture.shape for picture in pictures]
    for picture, single in zip(restored, map(restorer, pictures), strict=True):
        np.testing.assert_allclose(picture.astype(int), single.astype(int), atol=1)
    assert restorer([]) == []


def test_data_sets_stream(restorer, expected: np.ndarray) -> None:
    rows = Dataset.from_dict(
        {"image": [Image.fromarray(pixels(20, 28)), Image.fromarray(pixels(8, 12, 1))]}
    )
    for given in (KeyDataset(rows, "image"), rows, (row for row in rows)):
        restored = list(restorer(given, batch_size=2))
        assert [picture.size for picture in restored] == [(28, 20), (12, 8)]
        np.testing.assert_allclose(np.asarray(restored[0], int), expected.astype(int), atol=1)


def test_depth_and_alpha_are_kept(restorer) -> None:
    rgba = np.dstack([pixels(8, 12), np.arange(96, dtype=np.uint8).reshape(8, 12)])
    restored = restorer(Image.fromarray(rgba))
    assert restored.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(restored)[..., 3], rgba[..., 3])
    assert restorer(pixels(8, 12).astype(np.uint16) * 257).dtype == np.uint16


def test_cubes_from_pictures() -> None:
    cubes = pipe("mst_plus_plus", RECONSTRUCT)([pixels(16, 24), pixels(8, 8)], batch_size=2)
    assert [cube.shape for cube in cubes] == [(7, 16, 24), (7, 8, 8)]
    assert all(cube.dtype == np.float32 for cube in cubes)


@pytest.mark.parametrize("form", ["mst", "mst_plus_plus_cassi"])
def test_cubes_from_snapshots(form: str) -> None:
    rng = np.random.default_rng(0)
    snapshots, mask = [rng.random((16, 24 + 10)) for _ in range(3)], rng.random((16, 24))
    run = pipe(form, RECONSTRUCT)
    cubes = run(snapshots, mask=mask, batch_size=3)
    rows = run([{"image": snapshot, "mask": mask} for snapshot in snapshots])
    assert [cube.shape for cube in cubes] == [(6, 16, 24)] * 3
    for cube, row in zip(cubes, rows, strict=True):
        np.testing.assert_allclose(cube, row, atol=1e-5)
    with pytest.raises(ValueError, match="a snapshot needs the mask"):
        run(snapshots[0])


def test_half_precision() -> None:
    model = small_model("restormer").to(torch.bfloat16)
    run = pipeline(RESTORE, model=model, image_processor=PictureProcessor(), device="cpu")
    assert run(pixels(8, 12)).shape == (8, 12, 3)


def test_saving_takes_the_pipeline_along(restorer, tmp_path: Path, expected: np.ndarray) -> None:
    restorer.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())["custom_pipelines"]
    assert stored[RESTORE]["impl"] == "pipelines.ImageRestorationPipeline"
    assert "glmha_hf" not in (tmp_path / "pipelines.py").read_text()
    loaded = pipeline(RESTORE, model=str(tmp_path), device="cpu", trust_remote_code=True)
    np.testing.assert_array_equal(loaded(pixels(20, 28)), expected)


def test_mistakes_are_told(restorer) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file missing.png"):
        restorer("missing.png")
    with pytest.raises(ValueError, match="image-restoration has no parameter 'size'"):
        restorer(pixels(8, 8), size=3)
    with pytest.raises(ValueError, match="give a list of its pictures"):
        restorer(np.stack([pixels(8, 8), pixels(8, 8)]))
