"""The small parts: average, losses, starting weights, sources, sheets."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from glmha_hf import RestormerConfig, RestormerForImageRestoration
from glmha_hf.data.patches import PatchRequest
from glmha_hf.training.ema import MovingAverage
from glmha_hf.training.examples import folder_of
from glmha_hf.training.folder import portable
from glmha_hf.training.losses import LOSS_TERMS, Loss
from glmha_hf.training.recipe import (
    DataRecipe,
    LearningRateRecipe,
    OptimizerRecipe,
    Recipe,
    Stage,
    ValidationRecipe,
    load_recipe,
)
from glmha_hf.training.sources import (
    build_degradation,
    open_training,
    open_validation,
)
from glmha_hf.training.start import build_model, copy_what_fits, freeze, set_options
from glmha_hf.training.typed import RecipeError
from glmha_hf.training.validation import save_sheet


def tiny(attention: str = "csa", **fields: object) -> RestormerForImageRestoration:
    config = RestormerConfig(
        dim=4,
        num_blocks=[1, 1],
        num_heads=[1, 2],
        num_refinement_blocks=1,
        attention=attention,
        **fields,
    )
    return RestormerForImageRestoration(config)


def test_the_moving_average_is_the_recurrence() -> None:
    layer = nn.Linear(3, 2)
    average = MovingAverage(layer, decay=0.5)
    expected = layer.weight.detach().clone()
    for step in range(1, 20):
        with torch.no_grad():
            layer.weight.add_(1.0)
        average.update()
        decay = min(0.5, step / (step + 10))
        expected = decay * expected + (1 - decay) * layer.weight.detach()
    torch.testing.assert_close(average.average[0], expected)


def test_the_moving_average_is_applied_and_taken_back() -> None:
    layer = nn.Linear(3, 2)
    before = layer.weight.detach().clone()
    average = MovingAverage(layer, decay=0.9)
    with torch.no_grad():
        layer.weight.zero_()
    with average.applied():
        torch.testing.assert_close(layer.weight, before)
    assert not layer.weight.any()


def test_the_moving_average_is_resumed() -> None:
    layer = nn.Linear(3, 2)
    average = MovingAverage(layer, decay=0.9)
    with torch.no_grad():
        layer.weight.add_(1)
    average.update()
    again = MovingAverage(layer, decay=0.9)
    again.load_state_dict(average.state_dict())
    assert again.updates == 1
    torch.testing.assert_close(again.average, average.average)


def test_losses_against_their_formulas() -> None:
    x, y = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8) + 0.1
    difference = (x - y).numpy()
    spectrum = np.fft.rfft2(difference, norm="ortho")
    expected = {
        "l1": np.abs(difference).mean(),
        "mrae": (np.abs(difference) / y.numpy()).mean(),
        "rmse": np.sqrt((difference**2).mean()),
        "charbonnier": np.sqrt(difference**2 + 1e-6).mean(),
        "frequency": (np.abs(spectrum.real) + np.abs(spectrum.imag)).mean() / 2,
        "psnr": 10 * np.log10((difference**2).mean(axis=(1, 2, 3)) + 1e-6).mean(),
    }
    assert expected.keys() == LOSS_TERMS.keys()
    for name, value in expected.items():
        assert Loss({name: 2})(x, y).item() == pytest.approx(2 * value, rel=1e-4)
    both = Loss({"l1": 1, "frequency": 0.1})(x, y).item()
    assert both == pytest.approx(expected["l1"] + 0.1 * expected["frequency"], rel=1e-4)


def test_the_loss_is_taken_in_float32() -> None:
    value = Loss({"l1": 1})(torch.zeros(4, dtype=torch.bfloat16), torch.full((4,), 1.001))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(1.001)


def test_changing_attention_copies_what_fits_and_tells_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, model = tiny("csa"), tiny("glmha")
    with caplog.at_level(logging.INFO):
        copy_what_fits(source, model)
    ours, theirs = model.state_dict(), source.state_dict()
    same = [name for name in ours if name in theirs and ours[name].shape == theirs[name].shape]
    assert all(torch.equal(ours[name], theirs[name]) for name in same)
    assert "encoder.0.0.attention.key.pointwise.weight" not in same
    for told in ("key.pointwise.weight", "calibration_linear.weight", "copied"):
        assert told in caplog.text


def test_nothing_that_fits_is_refused() -> None:
    with pytest.raises(RecipeError, match="nothing of init_from fits"):
        copy_what_fits(nn.Linear(2, 2), tiny())


def test_freezing_by_pattern() -> None:
    model = tiny()
    freeze(model, ["encoder.*", "*.temperature"])
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert "output.weight" in trained
    assert not any(name.startswith("encoder.") or "temperature" in name for name in trained)
    with pytest.raises(RecipeError, match=r"'encodr\.\*' matches no parameter"):
        freeze(model, ["encodr.*"])
    with pytest.raises(RecipeError, match="nothing to train"):
        freeze(model, ["*"])


def test_a_resumed_optimizer_has_the_recipes_options() -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(1))], betas=(0.5, 0.6), weight_decay=1)
    set_options(optimizer, OptimizerRecipe(betas=(0.9, 0.99), weight_decay=0.0))
    group = optimizer.param_groups[0]
    assert (group["betas"], group["weight_decay"]) == ((0.9, 0.99), 0.0)


def test_what_was_drawn_anew_is_not_frozen() -> None:
    model = tiny()
    drawn = [name for name, _ in model.named_parameters() if ".key." in name]
    freeze(model, ["encoder.*"], but=drawn)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    inside = [name for name in trained if name.startswith("encoder.")]
    assert inside
    assert inside == [name for name in drawn if name.startswith("encoder.")]


def test_the_seed_decides_the_starting_weights(tiny_recipe: Path) -> None:
    first, second = (build_model(load_recipe(tiny_recipe)).state_dict() for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    other = build_model(load_recipe(tiny_recipe, ["seed=1"])).state_dict()
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])


def recipe_with(tiny_recipe: Path, *overrides: str) -> Recipe:
    return load_recipe(tiny_recipe, overrides)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.kind=pair", "unknown kind of dataset 'pair'; did you mean pairs"),
        ("data.root=''", "set data.root=FOLDER"),
        ("data.degradation.name=gausian_noise", "did you mean gaussian_noise"),
        ("data.degradation.sigmas=5", "unknown parameter 'sigmas' in gaussian_noise"),
    ],
)
def test_a_dataset_that_cannot_be_opened_says_why(
    tiny_recipe: Path, override: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        open_training(recipe_with(tiny_recipe, override), check=True)


def test_pairs_benchmarks_and_hub_datasets_give_the_same_patches(
    photographs: Path, tmp_path: Path
) -> None:
    import datasets

    folder = tmp_path / "train" / "Rain13K"
    rows = []
    for role in ("input", "target"):
        (folder / role).mkdir(parents=True)
    for path in sorted((photographs / "train").iterdir()):
        with Image.open(path) as clean:
            clean.save(folder / "target" / path.name)
            clean.transpose(Image.Transpose.ROTATE_180).save(folder / "input" / path.name)
        rows.append({role: str(folder / role / path.name) for role in ("input", "target")})
    features = datasets.Features({role: datasets.Image() for role in ("input", "target")})
    datasets.Dataset.from_list(rows, features=features).save_to_disk(tmp_path / "hub")
    recipes = [
        DataRecipe(kind="pairs", root=str(folder)),
        DataRecipe(kind="benchmark", root=str(tmp_path), set="Rain13K"),
        DataRecipe(kind="hub", root=str(tmp_path / "hub")),
    ]
    stages = (Stage(iterations=1, patch=16, batch=1),)
    rate = LearningRateRecipe(name="constant", peak=1.0)
    first, *others = (
        open_training(
            Recipe(
                name="x",
                data=data,
                stages=stages,
                learning_rate=rate,
                loss={"l1": 1},
                init_from="x",
            ),
            check=True,
        )
        for data in recipes
    )
    request = PatchRequest(epoch=2, number=3, patch_size=16)
    for other in others:
        torch.testing.assert_close(other[request], first[request])


def test_validation_is_the_same_every_time_and_never_on_training_pictures(
    photographs: Path,
) -> None:
    data = DataRecipe(kind="clean", root=str(photographs), degradation={"name": "rain"})
    validation = ValidationRecipe(
        protocol="deraining",
        kind="clean",
        every=1,
        degradation={"name": "rain"},
        limit=2,
        crop=20,
    )
    examples = open_validation(validation, data)
    assert len(examples) == 2
    assert examples[1].target.shape == (20, 20, 3)
    torch.testing.assert_close(examples[1].inputs, examples[1].inputs)
    with pytest.raises(RecipeError, match="training pictures"):
        open_validation(dataclasses.replace(validation, split="train"), data)
    with pytest.raises(RecipeError, match="no folder"):
        open_validation(dataclasses.replace(validation, split="val"), data)
    with pytest.raises(RecipeError, match=r"give a validation\.degradation"):
        open_validation(dataclasses.replace(validation, degradation=None), data)
    itself = dataclasses.replace(validation, root=str(photographs / "train"))
    with pytest.raises(RecipeError, match="training pictures"):
        open_validation(itself, data)


def test_a_misspelt_split_is_not_the_whole_folder(photographs: Path) -> None:
    data = DataRecipe(kind="clean", root=str(photographs), split="trian")
    with pytest.raises(RecipeError, match=r"there is no .*trian, but train/ and test/: name one"):
        folder_of(data)
    whole = DataRecipe(kind="clean", root=str(photographs / "train"), split="trian")
    assert folder_of(whole) == photographs / "train"


def test_a_saved_dataset_without_splits_is_not_validated_on(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"input": [1], "target": [2]}).save_to_disk(tmp_path)
    data = DataRecipe(kind="hub", root=str(tmp_path))
    validation = ValidationRecipe(protocol="deraining", kind="hub", split="test", every=1)
    with pytest.raises(RecipeError, match="training pictures"):
        open_validation(validation, data)


def test_benchmark_noise_is_the_protocols() -> None:
    clean = np.full((4, 4, 3), 0.5, np.float32)
    degradation = build_degradation({"name": "benchmark_noise", "sigma": 25})
    first = degradation(clean, np.random.default_rng(1))
    expected = np.random.RandomState(0).normal(0, 25 / 255, clean.shape)
    np.testing.assert_allclose(first - 128 / 255, expected, atol=1e-6)
    assert degradation.margin == 0


def test_a_sheet_shows_cubes_and_gray_pictures(tmp_path: Path) -> None:
    cube = np.random.default_rng(0).random((31, 9, 10), np.float32)
    gray = np.zeros((5, 6, 1), np.uint8)
    save_sheet([[cube] * 3, [gray] * 3], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (30, 14)


def test_a_published_recipe_names_no_folder_of_this_machine(tiny_recipe: Path) -> None:
    recipe = recipe_with(tiny_recipe, "init_from=/home/me/models/mine")
    text = portable(recipe).to_yaml()
    assert "/home/me" not in text
    assert str(tiny_recipe.parent) not in text
    assert recipe.data.root not in text
