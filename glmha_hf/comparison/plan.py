"""A comparison: groups of variants that differ in one thing, each trained with several seeds.

One YAML file names a recipe for each group, what all of the group's cells change in it, and what
each variant changes besides. A cell is one variant with one seed: one run of `training/train.py`.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..training.recipe import Recipe, load_recipe, load_yaml, plain
from ..training.start import build_config
from ..training.typed import RecipeError, build, require_known

FROM_RANKS = "from_ranks"
"""As a variant's `model.kv_reduction`: as the ranks of the trained reference suggest."""

OF_THE_BUDGET = {
    "": ("stages", "learning_rate", "optimizer", "loss", "model"),
    "data": ("kind", "set", "split", "degradation", "augment", "grayscale", "mixup", "mixup_beta"),
    "validation": ("protocol", "kind", "set", "split", "degradation", "grayscale", "limit", "crop"),
    "run": ("precision", "ema"),
}
"""Keys of a recipe that decide how much is learnt from what, and how it is scored."""


@dataclass(frozen=True, kw_only=True)
class TableRecipe:
    """A table of the report; each variant is set against each of `against`."""

    title: str
    variants: tuple[str, ...]
    paper: str | None = None  # the number of the paper's table
    against: tuple[str, ...] = ()  # by default the group's reference


@dataclass(frozen=True, kw_only=True)
class GroupRecipe:
    """One recipe, what all cells change in it, and the variants; the first is the reference."""

    title: str
    recipe: str
    variants: dict[str, dict[str, Any]]
    tables: tuple[TableRecipe, ...]
    seeds: tuple[int, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)  # recipe key -> name for --data
    curve_points: int = 4  # validations while training, evenly spaced


@dataclass(frozen=True, kw_only=True)
class ComparisonRecipe:
    groups: dict[str, GroupRecipe]


@dataclass(frozen=True)
class Budget:
    """How much a group's cells learn from: what results must share to stand in one table."""

    iterations: int
    patches: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.iterations:,} updates, {self.patches:,} patches, settings {self.fingerprint}"


@dataclass(frozen=True)
class Group:
    name: str
    title: str
    recipe_path: Path
    recipe: GroupRecipe
    overrides: tuple[str, ...]  # of the recipe, for every cell alike
    names: Mapping[str, str]  # every variant's name, and the name it is trained under

    @property
    def reference(self) -> str:
        """The variant whose fresh weights all start from, and that all are set against."""
        return next(iter(self.recipe.variants))

    @property
    def trained(self) -> list[str]:
        """The variants that differ from each other."""
        return [name for name, same in self.names.items() if name == same]

    def called(self, variant: str) -> list[str]:
        """All names of a trained variant."""
        return [name for name, trained in self.names.items() if trained == variant]

    def recipe_with(self, settings: Mapping[str, Any]) -> Recipe:
        """The group's recipe with other settings."""
        return _load(self, as_overrides(settings))

    def waits_for_ranks(self, variant: str) -> bool:
        return self.recipe.variants[variant].get("model.kv_reduction") == FROM_RANKS

    @functools.cached_property
    def budget(self) -> Budget:
        recipe = _load(self, [])
        values = plain(dataclasses.asdict(recipe))
        chosen = [
            [(values[part] if part else values)[key] for key in keys]
            for part, keys in OF_THE_BUDGET.items()
        ]
        text = json.dumps(chosen, sort_keys=True)
        return Budget(
            recipe.iterations,
            sum(stage.iterations * stage.batch for stage in recipe.stages),
            hashlib.sha256(text.encode()).hexdigest()[:8],
        )


@dataclass(frozen=True)
class Cell:
    group: Group
    variant: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.group.name}/{self.variant}/{self.seed}"

    @property
    def key(self) -> tuple[str, str, int]:
        return self.group.name, self.variant, self.seed

    @property
    def other_names(self) -> list[str]:
        """Variants that are the same training."""
        return [name for name in self.group.called(self.variant) if name != self.variant]

    @property
    def reference(self) -> Cell:
        return dataclasses.replace(self, variant=self.group.reference)

    @property
    def waits_for_ranks(self) -> bool:
        return self.group.waits_for_ranks(self.variant)

    @property
    def settings(self) -> dict[str, Any]:
        """What makes this cell of the group's recipe."""
        return {**self.group.recipe.variants[self.variant], "seed": self.seed}

    def recipe(self) -> Recipe:
        """What it trains by; `from_ranks` still stands where it is."""
        return self.group.recipe_with(self.settings)


@dataclass(frozen=True)
class Comparison:
    path: Path
    groups: tuple[Group, ...]

    def cells(self, only: Sequence[str] = ()) -> list[Cell]:
        """Every cell once, the first seed of all groups and variants before the second.

        `only` are shell patterns of names, such as `derain/*/0`; names of variants that are
        trained under another name find that one.
        """
        found = [
            (cell, [f"{group.name}/{each}/{cell.seed}" for each in group.called(cell.variant)])
            for place in range(max(len(group.recipe.seeds) for group in self.groups))
            for group in self.groups
            for cell in group_cells(group, place)
        ]
        for pattern in only:
            if not any(fnmatch.fnmatch(name, pattern) for _, names in found for name in names):
                raise RecipeError(
                    f"--only {pattern} matches no cell; they are called GROUP/VARIANT/SEED, such "
                    f"as {found[0][0].name}"
                )
        return [
            cell
            for cell, names in found
            if not only or any(fnmatch.fnmatch(n, pattern) for n in names for pattern in only)
        ]


def group_cells(group: Group, place: int) -> list[Cell]:
    """All variants with the seed at this place, if there is one."""
    return [
        Cell(group, variant, seed)
        for seed in group.recipe.seeds[place : place + 1]
        for variant in group.trained
    ]


def load_comparison(
    path: Path | str, *, places: Mapping[str, str] | None = None, overrides: Sequence[str] = ()
) -> Comparison:
    """Read and check a comparison; `overrides` change every group's recipe.

    `places` are folders and files by the names that the groups know them by; what is not given
    stays open, and matters only to training.
    """
    path, places = Path(path), places or {}
    recipe = build(ComparisonRecipe, load_yaml(path))
    known = {name for group in recipe.groups.values() for name in group.places.values()}
    for name in places:
        require_known(name, known, what="name for --data")
    groups = (_group(path, name, group, places, overrides) for name, group in recipe.groups.items())
    return Comparison(path, tuple(groups))


def _group(
    path: Path,
    name: str,
    recipe: GroupRecipe,
    places: Mapping[str, str],
    overrides: Sequence[str],
) -> Group:
    if not (recipe.variants and recipe.seeds):
        raise RecipeError(f"{name} needs at least one variant and one seed")
    for table in recipe.tables:
        for variant in (*table.variants, *table.against):
            require_known(variant, recipe.variants, what="variant", where=f"{name}.tables")
    given = {key: places[place] for key, place in recipe.places.items() if place in places}
    common = (*as_overrides(recipe.settings), *as_overrides(given), *overrides)
    group = Group(name, recipe.title, path.parent / recipe.recipe, recipe, common, {})
    return dataclasses.replace(group, names=_trained_names(group))


def _trained_names(group: Group) -> dict[str, str]:
    """Each variant under the name of the first one that is the same training."""
    first: dict[str, str] = {}
    names = {}
    for variant, settings in group.recipe.variants.items():
        ranks = group.waits_for_ranks(variant)
        key = variant if ranks else identity(group.recipe_with(settings))
        names[variant] = first.setdefault(key, variant)
    return names


def identity(recipe: Recipe) -> str:
    """Equal for recipes that train the same function in the same way, however they say it."""
    config = build_config(recipe)
    model = config.to_dict()
    for key in ("attention", "kv_reduction", "alpha"):
        model.pop(key)
    blocks = [dataclasses.asdict(settings) for settings in config.block_settings()]
    for block in blocks:  # what an attention does not look at
        if block["name"] != "glmha":
            block.pop("alpha")
        if block["name"] not in ("glmha", "linformer"):
            block.pop("kv_reduction")
    values = dataclasses.asdict(recipe)
    del values["model"]
    return json.dumps(plain([values, model, blocks]), sort_keys=True, default=str)


def missing_places(group: Group, places: Mapping[str, str]) -> list[str]:
    return [place for place in group.recipe.places.values() if place not in places]


def as_overrides(settings: Mapping[str, Any]) -> list[str]:
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]


def _load(group: Group, overrides: Sequence[str]) -> Recipe:
    """With the validations spread evenly, and none of the trainer's sheets and trackers."""
    recipe = load_recipe(group.recipe_path, [*group.overrides, *overrides, "run.trackers=[]"])
    if recipe.validation is None:
        raise RecipeError(f"{group.name}: a comparison needs a recipe with a validation")
    every = math.ceil(recipe.iterations / group.recipe.curve_points)
    validation = dataclasses.replace(recipe.validation, every=every, sheets=0)
    return dataclasses.replace(recipe, validation=validation)
