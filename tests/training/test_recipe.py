from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from glmha_hf.metrics import get_protocol
from glmha_hf.training.recipe import Recipe, load_recipe
from glmha_hf.training.schedules import LearningRate
from glmha_hf.training.sources import DATASET_KINDS, build_degradation
from glmha_hf.training.start import build_config
from glmha_hf.training.typed import RecipeError

from .conftest import ROOT, TINY

RECIPES = sorted(
    path
    for path in (ROOT / "configs").rglob("*.yaml")
    if path.parent.name not in ("accelerate", "compare")
)
FRESH = [path for path in RECIPES if path.name != "fine_tune.yaml"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT / "configs"))


@pytest.fixture
def write(tmp_path: Path):
    def write_recipe(**changes: object) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({**TINY, **changes}))
        return path

    return write_recipe


@pytest.mark.parametrize("path", FRESH, ids=name)
@pytest.mark.parametrize("attention", ["csa", "glmha", "linformer", "performer", "reformer"])
def test_every_recipe_loads_with_every_attention(path: Path, attention: str) -> None:
    recipe = load_recipe(path, [f"model.attention={attention}"])
    assert build_config(recipe).attention == attention


@pytest.mark.parametrize("path", FRESH, ids=name)
def test_what_recipes_name_exists(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.validation is not None
    assert get_protocol(recipe.validation.protocol)
    for part in (recipe.data, recipe.validation):
        assert part.kind in DATASET_KINDS
        build_degradation(part.degradation)
    LearningRate(recipe.learning_rate, iterations=recipe.iterations)


def test_fine_tuning_needs_something_to_start_from() -> None:
    path = ROOT / "configs" / "fine_tune.yaml"
    assert load_recipe(path, ["init_from=somewhere"]).init_from == "somewhere"
    with pytest.raises(RecipeError, match=r"model\.type, or init_from"):
        load_recipe(path)


def test_every_paper_recipe_is_as_long_as_the_papers() -> None:
    for path in FRESH:
        if path.parent.name in ("restormer", "mst", "mst_plus_plus"):
            assert load_recipe(path).iterations == 300_000, path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lerning_rate": {}}, "unknown key 'lerning_rate'; did you mean learning_rate"),
        ({"run": {"precison": "no"}}, "unknown key 'precison' in run; did you mean precision"),
        (
            {"run": {"precision": "bf61"}},
            "unknown value 'bf61' in run.precision; did you mean bf16",
        ),
        ({"loss": {"l12": 1}}, "unknown loss 'l12'; did you mean l1"),
        ({"loss": {"l1": "much"}}, "loss.l1 must be a number, not 'much'"),
        ({"seed": 1.5}, "seed must be a whole number, not 1.5"),
        ({"stages": []}, "at least one stage"),
        ({"stages": [{"iterations": 3, "patch": 8}]}, r"stages\[0\] lacks 'batch'"),
        ({"stages": [{"iterations": 0, "patch": 8, "batch": 1}]}, "positive iterations"),
        ({"data": "photos"}, "data must be a mapping"),
        ({"run": {"ema": 1.0}}, "run.ema is a decay"),
        ({"run": {"largest_batch": -1}}, "run.largest_batch must be at least 1, not -1"),
        ({"run": {"save_every": 0}}, "run.save_every must be at least 1, not 0"),
        ({"optimizer": {"clip_norm": -1}}, "optimizer.clip_norm must be at least 0"),
        ({"optimizer": {"betas": [0.9, 1]}}, "optimizer.betas are two numbers"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_a_wrong_recipe_is_refused_with_what_would_be_right(
    write, change: dict, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(**change))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"type": "restorer"}, "did you mean restormer"),
        ({"type": "restormer", "kv_reducton": 0.5}, "did you mean kv_reduction"),
    ],
)
def test_model_fields_are_those_of_the_configuration(write, model: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_config(load_recipe(write(model=model)))


def test_overrides_reach_into_mappings_and_lists(write) -> None:
    recipe = load_recipe(
        write(),
        [
            "model.kv_reduction=[0.5, 0.25]",
            "stages.1.patch=32",
            "learning_rate.peak=3e-4",
            "data.degradation.sigma=[0, 50]",
            "validation=null",
            "resume=false",
        ],
    )
    assert recipe.model["kv_reduction"] == [0.5, 0.25]
    assert recipe.stages[1].patch == 32
    assert recipe.learning_rate.peak == 3e-4
    assert build_degradation(recipe.data.degradation).sigma == (0, 50)
    assert recipe.resume is False


def test_a_date_is_a_name_like_any_other(write) -> None:
    assert load_recipe(write(), ["output=2024-01-01"]).folder == Path("2024-01-01")


@pytest.mark.parametrize("name", ["2024_01", "007", "1.10", "12:30", "1e5", "true"])
def test_text_stays_as_it_is_written(write, name: str) -> None:
    recipe = load_recipe(write(), [f"output={name}", f"data.root={name}"])
    assert (recipe.output, recipe.data.root) == (name, name)


def test_a_number_for_text_in_a_file_is_refused(write) -> None:
    with pytest.raises(RecipeError, match="output is text, which YAML reads as the number 7: quo"):
        load_recipe(write(output=7))


def test_no_is_text(write) -> None:
    assert load_recipe(write(), ["run.precision=no"]).run.precision == "no"


@pytest.mark.parametrize("key", ["length_scale", "learning_rate.peak", "data.mixup_beta"])
@pytest.mark.parametrize("value", [".inf", ".nan"])
def test_numbers_are_finite(write, key: str, value: str) -> None:
    with pytest.raises(RecipeError, match=f"{key} must be a finite number"):
        load_recipe(write(), [f"{key}={value}"])


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "motion_blur", "travel": 5},
        {"name": "gaussian_noise", "sigma": "much"},
        {"name": "jpeg", "quality": 50},
        {"name": "rain", "renderers": ["snow"]},
        {"name": "benchmark_noise"},
    ],
)
def test_a_degradation_is_tried_before_it_is_used(settings: dict) -> None:
    with pytest.raises(RecipeError, match="cannot degrade by"):
        build_degradation(settings)


@pytest.mark.parametrize("override", ["seed", "=3", "stages.7.patch=1", "name.first=x"])
def test_overrides_that_mean_nothing_are_refused(write, override: str) -> None:
    with pytest.raises(RecipeError):
        load_recipe(write(), [override])


def test_scaling_shortens_the_schedule_and_shrinks_the_batches() -> None:
    path = ROOT / "configs" / "restormer" / "derain.yaml"
    recipe = load_recipe(path, ["length_scale=0.1", "batch_scale=0.125"])
    assert [stage.iterations for stage in recipe.stages] == [9200, 6400, 4800, 3600, 3600, 2400]
    assert [stage.batch for stage in recipe.stages] == [8, 5, 4, 2, 1, 1]
    assert recipe.learning_rate.constant_iterations == 9200


def test_a_written_recipe_is_read_back_the_same(write, tmp_path: Path) -> None:
    recipe = load_recipe(write())
    again = tmp_path / "again.yaml"
    again.write_text(recipe.to_yaml())
    assert load_recipe(again) == recipe


def test_the_run_folder_follows_the_name(write) -> None:
    assert load_recipe(write()).folder == Path("runs/tiny")
    assert load_recipe(write(), ["output=elsewhere"]).folder == Path("elsewhere")
    assert isinstance(load_recipe(write()), Recipe)
