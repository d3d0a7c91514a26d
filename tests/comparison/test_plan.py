"""What a comparison's YAML expands to, and that the shipped one holds what it says."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

import pytest

from glmha_hf.comparison.costs import recipe_cost
from glmha_hf.comparison.findings import Findings
from glmha_hf.comparison.plan import Comparison, Group, load_comparison
from glmha_hf.training.typed import RecipeError

from .conftest import GROUP, SHIPPED

Load = Callable[..., Comparison]


def names(comparison: Comparison, *only: str) -> list[str]:
    return [cell.name for cell in comparison.cells(only)]


def test_cells_are_variants_times_seeds_the_first_seed_first(tiny: Load) -> None:
    assert names(tiny()) == ["noise/csa/0", "noise/glmha/0", "noise/csa/1", "noise/glmha/1"]


def test_variants_that_are_the_same_training_share_a_cell(tiny: Load) -> None:
    same = {
        "one per level": {"model.attention": ["glmha", "glmha"]},
        "usual alpha": {"model.attention": "glmha", "model.alpha": 0.6},
        "csa has no alpha": {"model.alpha": 0.3, "model.kv_reduction": 0.25},
        "another rate": {"learning_rate.peak": 1e-4},
        "another alpha": {"model.attention": "glmha", "model.alpha": 0.3},
    }
    [group] = tiny(variants={**GROUP["variants"], **same}).groups
    assert group.names == {
        "csa": "csa",
        "glmha": "glmha",
        "kv-0.5": "glmha",
        "one per level": "glmha",
        "usual alpha": "glmha",
        "csa has no alpha": "csa",
        "another rate": "another rate",
        "another alpha": "another alpha",
    }


def test_only_takes_patterns_and_the_names_of_shared_cells(tiny: Load) -> None:
    comparison = tiny()
    assert names(comparison, "*/csa/*") == ["noise/csa/0", "noise/csa/1"]
    assert names(comparison, "noise/kv-0.5/1", "*/csa/0") == ["noise/csa/0", "noise/glmha/1"]
    with pytest.raises(RecipeError, match=r"--only derain/\* matches no cell.*such as noise/csa/0"):
        comparison.cells(["derain/*"])


def test_a_cells_recipe_is_the_groups_with_the_variants_changes_and_its_seed(tiny: Load) -> None:
    comparison = tiny("stages.0.batch=3", settings={"learning_rate.peak": 5e-4})
    cell = comparison.cells(["noise/glmha/1"])[0]
    recipe = cell.recipe()
    assert (recipe.seed, recipe.model["attention"]) == (1, "glmha")
    assert (recipe.learning_rate.peak, recipe.stages[0].batch) == (5e-4, 3)
    assert recipe.validation is not None
    assert (recipe.validation.every, recipe.validation.sheets) == (2, 0)


def test_a_budget_is_what_is_learnt_from_and_scored_not_where_it_runs(tiny: Load) -> None:
    [group] = tiny().groups
    assert (group.budget.iterations, group.budget.patches) == (4, 8)
    for same in ("run.device=auto", "data.root=elsewhere", "run.compile=true", "name=other"):
        assert tiny(same).groups[0].budget == group.budget
    for other in ("length_scale=2", "learning_rate.peak=1", "validation.limit=1", "run.ema=0.5"):
        assert tiny(other).groups[0].budget.fingerprint != group.budget.fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tables": [{"title": "T", "variants": ["cas"]}]}, "unknown variant 'cas'.*csa"),
        ({"seed": [0]}, "unknown key 'seed' in groups.noise; did you mean seeds"),
        ({"seeds": []}, "noise needs at least one variant and one seed"),
        ({"settings": {"model.dims": 3}}, "unknown field 'dims'"),
        ({"settings": {"validation": None}}, "noise: a comparison needs a recipe with a valid"),
    ],
)
def test_mistakes_are_told(tiny: Load, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


def test_places_must_be_known() -> None:
    with pytest.raises(RecipeError, match=r"unknown name for --data 'photo'.*did you mean photos"):
        load_comparison(SHIPPED, places={"photo": "."})


@pytest.fixture(scope="module")
def shipped() -> dict[str, Group]:
    return {group.name: group for group in load_comparison(SHIPPED).groups}


def test_the_shipped_comparison_has_the_papers_experiments(shipped: dict[str, Group]) -> None:
    attentions = ["csa", "glmha", "linformer", "performer", "reformer"]
    papers = {}
    for group in shipped.values():
        assert group.trained[:5] == attentions
        findings = Findings(group, [])
        for table in group.recipe.tables:
            if table.paper:
                papers[table.paper] = findings.paper(table.paper)
                expected = {group.names[variant] for variant in table.variants}
                assert expected - {"alpha-0"} == set(papers[table.paper])
    assert sorted(papers) == ["1", "2", "3", "4", "7", "8", "9"]
    assert papers["4"]["glmha"].psnr == 33.86
    assert papers["7"]["kv-0.9"].psnr == 29.45
    assert papers["8"]["alpha-0.7"].psnr == 33.74
    assert papers["9"]["levels-1"].psnr == 33.90
    assert [len(group.recipe.seeds) for group in shipped.values()] == [3, 2, 2, 2]


def test_the_smaller_csa_match_glmha(shipped: dict[str, Group]) -> None:
    group = shipped["derain"]
    glmha, parameters, macs = (
        recipe_cost(group.recipe_with(group.recipe.variants[each]))
        for each in ("glmha", "csa-parameters", "csa-macs")
    )
    assert parameters.parameters == pytest.approx(glmha.parameters, rel=0.002)
    assert macs.macs == pytest.approx(glmha.macs, rel=0.002)


def test_without_guidance_the_calibration_network_is_not_counted(tiny: Load) -> None:
    [group] = tiny().groups
    guided, unguided = (
        recipe_cost(group.recipe_with({"model.attention": "glmha", "model.alpha": alpha}))
        for alpha in (0.6, 0)
    )
    # Blocks of 4, 8 (bottleneck), 8 and 8 channels, one head: a 3×3 kernel a channel, a C×C map.
    counted = sum(9 * channels + channels**2 for channels in (4, 8, 8, 8))
    difference = guided - unguided
    assert dataclasses.astuple(difference) == (counted, counted, counted)


def test_the_header_of_the_shipped_file_names_its_places(shipped: dict[str, Group]) -> None:
    header = SHIPPED.read_text().partition("groups:")[0]
    places = {place for group in shipped.values() for place in group.recipe.places.values()}
    assert set(re.findall(r"--data (\w+)=", header)) == places
