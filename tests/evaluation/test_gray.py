"""Files without colour are scored as gray, whatever the model takes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glmha_hf.data.pairs import ColumnPairs
from glmha_hf.data.pictures import is_gray
from glmha_hf.evaluation.opening import open_sets
from glmha_hf.evaluation.restorers import InputRestorer, ModelRestorer
from glmha_hf.evaluation.run import evaluate, restore_sample
from glmha_hf.evaluation.sets import PicturePairs
from glmha_hf.metrics import compare, psnr
from glmha_hf.models.image_processing_picture import PictureProcessor
from tests.models.small import small_model


@pytest.fixture
def gray_pair(tmp_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of tmp_path/set/{input,target}/a.png."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 40, 48), dtype=np.uint8)
    for values, folder in zip(pixels, ("input", "target"), strict=True):
        (tmp_path / "set" / folder).mkdir(parents=True)
        Image.fromarray(values).save(tmp_path / "set" / folder / "a.png")
    return pixels[0], pixels[1]


def test_gray_pairs_score_as_compare_scores_them(tmp_path: Path, gray_pair) -> None:
    sets = open_sets(tmp_path / "set", protocol="deraining")
    (result,) = evaluate([InputRestorer()], sets, output=tmp_path / "out", quiet=True)
    assert result.scores.pictures[0].scores == compare(*gray_pair, "deraining")


def test_a_colour_model_sees_one_noise_and_answers_in_gray(tmp_path: Path, gray_pair) -> None:
    (test_set,) = open_sets(tmp_path / "set" / "target", protocol="denoising", sigmas=(25,))
    model = ModelRestorer(small_model("restormer"), PictureProcessor(), name="small")
    sample, prediction = restore_sample(model, test_set, 0)
    noise = np.random.RandomState(0).normal(0, 25 / 255, (40, 48, 1))
    np.testing.assert_allclose(sample.picture, gray_pair[1][..., None] / 255 + noise, atol=1e-6)
    colours = model.inputs(sample)["pixel_values"][0]
    assert (colours == colours[:1]).all()
    assert prediction.shape == (40, 48, 1)
    expected = model.restore(sample).mean(0).clip(0, 1) * 255
    assert psnr(prediction[..., 0], expected.round().astype(np.uint8)) == np.inf


@pytest.mark.parametrize(
    ("mode", "gray"),
    [("L", True), ("1", True), ("I;16", True), ("LA", True), ("RGB", False), ("P", False)],
)
def test_the_header_tells_what_is_gray(tmp_path: Path, mode: str, gray: bool) -> None:
    Image.new(mode, (5, 4)).save(tmp_path / "a.png")
    assert is_gray(tmp_path / "a.png") is gray
    assert is_gray((tmp_path / "a.png").read_bytes()) is gray


def test_columns_of_a_dataset_tell_it_too(gray_pair) -> None:
    datasets = pytest.importorskip("datasets")
    colour = Image.new("RGB", (48, 40))
    rows = {"input": [Image.fromarray(gray_pair[0]), colour], "target": [colour.convert("L")] * 2}
    features = datasets.Features({name: datasets.Image() for name in rows})
    source = ColumnPairs(datasets.Dataset.from_dict(rows, features=features))
    test_set = PicturePairs(source, "columns", "deraining")
    assert [test_set.sample(index).target.shape[-1] for index in (0, 1)] == [1, 3]
