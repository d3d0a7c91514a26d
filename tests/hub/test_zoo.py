"""The zoo's names: what they resolve to, and how they are found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import glmha_hf
from glmha_hf.convert.conversion import processor_for
from glmha_hf.hub import zoo
from glmha_hf.hub.errors import HubError
from glmha_hf.hub.pull import model_folder
from glmha_hf.hub.zoo import ZOO
from glmha_hf.inference.network import load_network, load_processor
from glmha_hf.training.recipe import load_recipe
from glmha_hf.training.start import build_model
from tests.models.small import small_model

ROOT = Path(__file__).parents[2]
NAMES = {
    "glmha-restormer-derain",
    "restormer-derain",
    "glmha-restormer-deblur",
    "glmha-restormer-denoise",
    "glmha-mst-plus-plus-rgb2hsi",
    "mst-plus-plus-rgb2hsi",
    "glmha-mst-cassi",
    "mst-cassi",
}
SHIPPED = [model for model in ZOO.values() if model.ships]


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo whose one set of weights is a small model's."""
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    model = small_model("restormer", attention="glmha")
    folder = tmp_path / "weights" / "glmha-restormer-derain"
    model.save_pretrained(folder)
    processor_for(model.config).save_pretrained(folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_every_name_is_listed_once() -> None:
    assert [model.name for model in glmha_hf.list_models()] == list(ZOO)
    assert set(ZOO) == NAMES


def test_lists_by_task_and_attention() -> None:
    derainers = glmha_hf.list_models(task="derain")
    assert {model.name for model in derainers} == {"glmha-restormer-derain", "restormer-derain"}
    (found,) = glmha_hf.list_models(task="cassi", attention="csa")
    assert found.name == "mst-cassi"
    with pytest.raises(ValueError, match="no zoo model has the task 'dehaze'; there are cassi, "):
        glmha_hf.list_models(task="dehaze")
    with pytest.raises(ValueError, match="there are csa, glmha"):
        glmha_hf.list_models(attention="flash")


def test_shipped_weights_resolve_to_their_folder(shipped: Path) -> None:
    assert glmha_hf.resolve("glmha-restormer-derain") == str(shipped)
    assert glmha_hf.resolve("restormer-derain") == "glmha-hf/restormer-derain"
    model = ZOO["glmha-restormer-derain"]
    assert model.ships
    assert model.parameters == small_model("restormer", attention="glmha").num_parameters()
    assert model.metrics == []
    assert not ZOO["restormer-derain"].ships
    assert ZOO["restormer-derain"].parameters is None


def test_folders_and_hub_ids_pass_through(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "restormer-derain").mkdir()
    assert glmha_hf.resolve("restormer-derain") == "restormer-derain"
    assert glmha_hf.resolve(tmp_path) == str(tmp_path)
    assert glmha_hf.resolve("owner/name") == "owner/name"
    assert glmha_hf.resolve("./not-there") == "./not-there"


@pytest.mark.parametrize("resolve", [glmha_hf.resolve, model_folder])
def test_a_typo_is_told_the_near_matches(resolve) -> None:
    with pytest.raises(
        ValueError, match=r"'glmha-restormer-deran' is neither .* glmha-restormer-d"
    ):
        resolve("glmha-restormer-deran")
    with pytest.raises(ValueError, match="there are glmha-restormer-derain, restormer-derain, "):
        resolve("xyzzy")


def test_everything_that_loads_takes_a_zoo_name(shipped: Path) -> None:
    name = "glmha-restormer-derain"
    expected = small_model("restormer", attention="glmha").state_dict()
    config = glmha_hf.RestormerConfig.from_pretrained(name)
    processor = glmha_hf.PictureProcessor.from_pretrained(name)
    models = [
        glmha_hf.RestormerForImageRestoration.from_pretrained(name),
        glmha_hf.RestormerForImageRestoration.from_pretrained(
            pretrained_model_name_or_path=name, dtype=torch.float32
        ),
        load_network(name),
    ]
    assert config.attention == "glmha"
    assert isinstance(processor, glmha_hf.PictureProcessor)
    assert isinstance(load_processor(name, models[0]), glmha_hf.PictureProcessor)
    for model in models:
        found = model.state_dict()
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    pixels = torch.rand(3, 16, 16)
    assert glmha_hf.restore(pixels, model=name, device="cpu").shape == (3, 16, 16)
    with pytest.raises(ValueError, match="did you mean"):
        glmha_hf.RestormerForImageRestoration.from_pretrained("glmha-restormer-deran")


def test_recipes_start_from_a_zoo_name(shipped: Path) -> None:
    changes = ["data.root=photos", "init_from=glmha-restormer-derain"]
    recipe = load_recipe(ROOT / "configs" / "fine_tune.yaml", changes)
    weights = build_model(recipe).state_dict()
    expected = small_model("restormer", attention="glmha").state_dict()
    assert all(torch.equal(weights[key], expected[key]) for key in expected)


def test_a_model_without_weights_says_how_to_make_them(shipped: Path, no_hub: None) -> None:
    with pytest.raises(HubError) as raised:
        model_folder("restormer-derain")
    line = str(raised.value)
    assert line.startswith("glmha-hf/restormer-derain: the Hub (http://127.0.0.1:9) cannot be")
    assert "restormer-derain has no weights yet: train it with `accelerate launch " in line
    assert "\n" not in line


@pytest.mark.parametrize("model", ZOO.values(), ids=ZOO)
def test_the_table_tells_the_truth(model: zoo.ZooModel) -> None:
    recipe, attention = model.recipe.split()
    assert (ROOT / recipe).is_file()
    assert attention == f"model.attention={model.attention}"


@pytest.mark.parametrize("model", SHIPPED, ids=[model.name for model in SHIPPED])
def test_shipped_weights_are_what_the_table_says(model: zoo.ZooModel) -> None:
    config = json.loads((model.folder / "config.json").read_text())
    assert (config["model_type"], config["attention"]) == (model.backbone, model.attention)
    assert (model.folder / "preprocessor_config.json").is_file()
    assert (model.folder / "README.md").is_file()
    loaded = load_network(model.name, device="cpu")
    assert loaded.num_parameters() == model.parameters
    size = sum(path.stat().st_size for path in model.folder.iterdir())
    assert size < 8e6, "a package should stay small"
    assert all(row["command"] for row in model.metrics)


def test_the_table_needs_no_torch() -> None:
    script = (
        "import sys, glmha_hf\n"
        "glmha_hf.list_models()[0].metrics, glmha_hf.resolve('mst-cassi')\n"
        "assert not {'torch', 'transformers', 'numpy', 'huggingface_hub'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
