"""Whole runs on small cubes: RGB pictures to 31 bands, and snapshots to 28."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageToImage

from glmha_hf.data.cassi import CassiSystem
from glmha_hf.data.checks import DatasetError
from glmha_hf.metrics import compare
from glmha_hf.training.batches import Batches
from glmha_hf.training.folder import portable
from glmha_hf.training.recipe import Recipe, load_recipe
from glmha_hf.training.sources import open_training, open_validation
from glmha_hf.training.typed import RecipeError
from glmha_hf.training.validation import Validation

from ..data.spectral_scenes import save_cassi, save_ntire
from .conftest import ROOT, Train, log, losses

COMMON = {
    "stages": [
        {"iterations": 4, "patch": 16, "batch": 2},
        {"iterations": 2, "patch": 32, "batch": 2},
    ],
    "optimizer": {"name": "adam", "weight_decay": 0, "clip_norm": None},
    "learning_rate": {"name": "constant", "peak": 1e-3},
    "run": {"device": "cpu", "log_every": 1, "save_every": 3, "trackers": []},
}
MODELS = {
    "mst": {"type": "mst", "num_blocks": [1, 1]},
    "mst_plus_plus": {
        "type": "mst_plus_plus", "in_channels": 28, "out_channels": 28, "dim": 28,
        "num_stages": 1, "num_blocks": [1, 1], "mask_input": True,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def ntire_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ntire")
    save_ntire(folder / "arad")
    model = {
        "type": "mst_plus_plus", "num_stages": 1, "num_blocks": [1, 1], "attention": "glmha",
    }  # fmt: skip
    recipe = {
        **COMMON,
        "model": model,
        "data": {"kind": "ntire2022", "root": str(folder / "arad"), "workers": 0},
        "validation": {
            "protocol": "ntire2022", "kind": "ntire2022", "split": "valid", "every": 2
        },
        "loss": {"mrae": 1},
    }  # fmt: skip
    (folder / "rgb.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "rgb.yaml"


@pytest.fixture(scope="module")
def cassi_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cassi")
    save_cassi(folder / "scenes")
    recipe = {
        **COMMON,
        "model": MODELS["mst"],
        "data": {"kind": "cassi", "root": str(folder / "scenes"), "workers": 0},
        "validation": {"protocol": "cassi", "kind": "cassi", "split": "test", "every": 3},
        "loss": {"rmse": 1},
    }
    (folder / "snapshots.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "snapshots.yaml"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "last" / "model.safetensors")


def validations(folder: Path) -> list[dict]:
    return [line for line in log(folder) if line["event"] == "validation"]


def validation_of(recipe: Recipe) -> Validation:
    validation = Validation.of(recipe)
    assert validation is not None
    return validation


def assert_resumes_equal(
    recipe: Path, folder: Path, train: Train, script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that stops after three updates and is started again is as one that did not."""
    assert train(recipe, f"output={folder / 'unbroken'}") == 0
    with monkeypatch.context() as patched:
        patched.setattr(
            script.Clock, "is_over", property(lambda _: len(log(folder / "broken")) >= 2)
        )
        (folder / "broken").mkdir()
        (folder / "broken" / "log.jsonl").touch()
        assert train(recipe, f"output={folder / 'broken'}") == 0
    assert (folder / "broken" / "log.jsonl").read_text().count('"training"') < 6
    assert train(recipe, f"output={folder / 'broken'}", "resume=true") == 0
    assert losses(folder / "broken") == losses(folder / "unbroken")
    assert validations(folder / "broken") == validations(folder / "unbroken")
    torch.testing.assert_close(
        weights(folder / "broken"), weights(folder / "unbroken"), rtol=0, atol=0
    )


def test_rgb_to_bands_trains_resumes_and_keeps_the_lowest_mrae(
    ntire_recipe: Path, tmp_path: Path, train: Train, script, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_resumes_equal(ntire_recipe, tmp_path, train, script, monkeypatch)
    folder = tmp_path / "unbroken"
    lines = validations(folder)
    assert [line["iteration"] for line in lines] == [2, 4, 6]
    best = min(lines, key=lambda line: line["mrae"])
    processor = AutoImageProcessor.from_pretrained(folder / "best")
    model = AutoModelForImageToImage.from_pretrained(folder / "best").eval()
    recipe = load_recipe(ntire_recipe)
    scores = []
    for example in validation_of(recipe).examples:
        picture = Path(recipe.data.root) / "Train_RGB" / f"{example.name}.jpg"
        inputs = processor(picture)
        torch.testing.assert_close(inputs["pixel_values"], example.inputs["pixel_values"])
        with torch.no_grad():
            cube = model(**inputs).reconstruction[0].numpy()
        scores.append(compare(cube, example.target, "ntire2022"))
    for key in ("mrae", "rmse", "psnr"):
        mean = np.mean([score[key] for score in scores])
        assert best[key] == pytest.approx(mean, rel=1e-4)
    assert (folder / "samples" / "step-00000006.png").is_file()


@pytest.mark.parametrize("name", MODELS)
def test_snapshots_to_bands_train_and_resume(
    name: str, cassi_recipe: Path, tmp_path: Path, train: Train, script,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    recipe = tmp_path / "recipe.yaml"
    values = yaml.safe_load(cassi_recipe.read_text())
    recipe.write_text(yaml.safe_dump({**values, "model": MODELS[name]}))
    card = Path(values["data"]["root"], "README.md")
    card.write_text("---\nlicense: other\n---\n\n# Made-up cubes\n\nOf chance.\n")
    assert_resumes_equal(recipe, tmp_path, train, script, monkeypatch)
    folder = tmp_path / "unbroken"
    assert validations(folder)[-1].keys() >= {"psnr", "ssim", "sam"}
    assert "## Data\n\n### Made-up cubes\n\nOf chance." in (folder / "last/README.md").read_text()
    processor = AutoImageProcessor.from_pretrained(folder / "last")
    model = AutoModelForImageToImage.from_pretrained(folder / "last").eval()
    example = validation_of(load_recipe(recipe)).examples[1]
    system = CassiSystem.from_file(Path(values["data"]["root"]) / "mask.mat")
    snapshot = system.measure(torch.from_numpy(example.target))
    inputs = processor(snapshot, mask=system.mask)
    for key in ("pixel_values", "mask"):
        torch.testing.assert_close(inputs[key], example.inputs[key])
    assert model(**inputs).reconstruction.shape == (1, 28, 32, 32)


def test_pieces_and_windows_of_the_mask_give_the_losses_of_the_whole(
    cassi_recipe: Path, tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[torch.Tensor] = []
    iterate = Batches.__iter__

    def watched(self):
        for batch in iterate(self):
            masks.extend(piece["mask"] for piece in batch.pieces)
            yield batch

    monkeypatch.setattr(Batches, "__iter__", watched)
    common = ("loss={l1: 1}", "validation=null")
    assert train(cassi_recipe, f"output={tmp_path / 'whole'}", *common) == 0
    assert [tuple(mask.shape) for mask in masks] == [(2, 28, 16, 70)] * 4 + [(1, 28, 32, 86)] * 2
    assert masks[4] is masks[5]
    assert train(cassi_recipe, f"output={tmp_path / 'cut'}", "run.largest_batch=1", *common) == 0
    assert losses(tmp_path / "cut") == pytest.approx(losses(tmp_path / "whole"), abs=1e-5)


def test_the_root_of_a_mean_is_not_cut(
    cassi_recipe: Path, tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(cassi_recipe, f"output={tmp_path}", "run.largest_batch=1") == 2
    told = capsys.readouterr().err
    assert "rmse loss is a root over a whole batch, which run.largest_batch cuts" in told
    assert "run.gradient_checkpointing=true" in told
    whole = ("run.largest_batch=2", "stages=[{iterations: 1, patch: 16, batch: 2}]")
    assert train(cassi_recipe, f"output={tmp_path}", *whole) == 0


def test_validation_never_sees_training_scenes(ntire_recipe: Path, tmp_path: Path) -> None:
    root = tmp_path / "arad"
    save_ntire(root)
    recipe = load_recipe(ntire_recipe, [f"data.root={root}"])
    assert [each.name for each in validation_of(recipe).examples] == [
        "ARAD_1K_0004", "ARAD_1K_0005"
    ]  # fmt: skip
    (root / "split_txt" / "train_list.txt").unlink()
    with pytest.raises(RecipeError, match="2 validation scenes would be training scenes as well"):
        Validation.of(recipe)


@pytest.mark.parametrize(
    ("override", "count", "shape"),
    [
        ("validation.limit=1", 1, (40, 52)),
        ("validation.limit=9", 2, (40, 52)),
        ("validation.crop=20", 2, (20, 20)),
    ],
)
def test_validation_takes_part_of_a_set(
    ntire_recipe: Path, override: str, count: int, shape: tuple[int, int]
) -> None:
    examples = validation_of(load_recipe(ntire_recipe, [override])).examples
    assert len(examples) == count
    assert examples[0].target.shape == (31, *shape)
    assert examples[0].inputs["pixel_values"].shape == (1, 3, *shape)


def test_cassi_validation_crops_scene_and_mask_together(cassi_recipe: Path) -> None:
    example = validation_of(load_recipe(cassi_recipe, ["validation.crop=24"])).examples[0]
    assert example.target.shape == (28, 24, 24)
    assert example.inputs["pixel_values"].shape == (1, 28, 24, 24)
    assert example.inputs["mask"].shape == (1, 28, 24, 78)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.degradation.name=rain", "degradation means nothing to cubes"),
        ("data.grayscale=true", "grayscale means nothing to cubes"),
        ("data.root=nowhere", r"nowhere/(scene\*|Train_RGB)"),
        ("data.root=''", "set data.root=FOLDER"),
        ("stages.1.patch=64", "smaller than the 64×64 patch|mask is 32×32, too small"),
    ],
)
@pytest.mark.parametrize("kind", ["ntire_recipe", "cassi_recipe"])
def test_what_cannot_be_trained_on_says_why(
    kind: str, override: str, message: str, request: pytest.FixtureRequest
) -> None:
    recipe = load_recipe(request.getfixturevalue(kind), [override])
    with pytest.raises(ValueError, match=message):
        open_training(recipe, check=True)


def test_a_split_that_is_none_and_a_missing_mask_are_told(
    ntire_recipe: Path, cassi_recipe: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="splits train and valid, not 'test'"):
        open_training(load_recipe(ntire_recipe, ["data.split=test"]), check=True)
    scenes = Path(load_recipe(cassi_recipe).data.root) / "cave_1024_28"
    shutil.copytree(scenes, tmp_path / "moved")
    moved = load_recipe(cassi_recipe, [f"data.root={tmp_path / 'moved'}"])
    with pytest.raises(RecipeError, match=r"no mask .*mask\.mat: set data\.mask=FILE"):
        open_training(moved, check=True)
    (tmp_path / "mask.mat").write_bytes((scenes.parent / "mask.mat").read_bytes())
    assert len(open_training(moved, check=True)) == 3
    with pytest.raises(RecipeError, match="validation would use the training scenes"):
        Validation.of(moved)
    with pytest.raises(DatasetError, match=r"there is no .*elsewhere/scene\*\.mat"):
        Validation.of(load_recipe(cassi_recipe, ["validation.root=elsewhere"]))


def test_validation_takes_the_trainings_mask_unless_told(
    cassi_recipe: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(cassi_recipe)
    np.save(tmp_path / "open.npy", np.ones((32, 32), np.float32))
    recipe = load_recipe(cassi_recipe, [f"data.mask={tmp_path / 'open.npy'}"])
    assert validation_of(recipe).examples[0].inputs["mask"].sum() == 28 * 32 * 32
    assert recipe.validation is not None
    own = load_recipe(
        cassi_recipe, [f"validation.mask={tmp_path / 'open.npy'}", "data.mask=elsewhere.mat"]
    )
    assert own.validation is not None
    assert open_validation(own.validation, own.data)[0].inputs["mask"].shape == (1, 28, 32, 86)


def test_a_published_recipe_names_no_mask_of_this_machine(cassi_recipe: Path) -> None:
    overrides = [f"{key}=/home/me/{key}" for key in ("data.mask", "data.unpacked")]
    text = portable(load_recipe(cassi_recipe, [*overrides, "validation.mask=/home/me/m"])).to_yaml()
    assert "/home/me" not in text
    assert "path/to/data.mask" in text


@pytest.mark.parametrize(
    ("path", "form"),
    [("mst/cassi_s.yaml", "shifted"), ("mst_plus_plus/cassi.yaml", "plain")],
)
def test_the_model_decides_how_it_takes_the_mask(path: str, form: str) -> None:
    assert load_recipe(ROOT / "configs" / path).mask_form == form
    assert load_recipe(ROOT / "configs" / path, ["data.mask_form=plain"]).mask_form == "plain"


@pytest.mark.parametrize("damaged", ["Train_Spec/ARAD_1K_0005.mat", "Train_RGB/ARAD_1K_0005.jpg"])
def test_cubes_to_validate_with_are_looked_through(
    ntire_recipe: Path, tmp_path: Path, damaged: str
) -> None:
    save_ntire(tmp_path)
    (tmp_path / damaged).write_bytes((tmp_path / damaged).read_bytes()[:-900])
    recipe = load_recipe(ntire_recipe, [f"data.root={tmp_path}"])
    with pytest.raises(DatasetError, match=Path(damaged).name):
        Validation.of(recipe)
    assert len(Validation.of(recipe, check=False).examples) == 2
