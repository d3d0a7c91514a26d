"""Where a recipe's pairs come from: one entry a kind of dataset, open for more.

A kind gives a training dataset that answers `PatchRequest`s with `pixel_values` and `labels` (and
whatever else the model takes), and validation examples. To add one, write the two functions and
`DATASET_KINDS["my_kind"] = DatasetKind(...)`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from ..data.checks import check_pairs, find_problems, report
from ..data.degradations import DEGRADATIONS, benchmark_noise
from ..data.degradations.base import from_eight_bit, tried
from ..data.layouts import open_set
from ..data.pairs import CleanFolder, ColumnPairs, FolderPairs, PairSource, open_dataset_on_disk
from ..data.patches import PatchDataset, StreamingPatches
from .examples import DatasetKind, Example, Examples, Where, centre, chosen, folder_of, root_of
from .recipe import UNLABELLED, DataRecipe, Recipe, ValidationRecipe
from .spectral_sources import train_on_cassi, train_on_ntire, validate_on_cassi, validate_on_ntire
from .typed import RecipeError, require_known
from .unlabelled import train_on_inputs, validate_on_inputs

BENCHMARK_NOISE = "benchmark_noise"
SPLIT_BY_FOLDER, SPLIT_BY_NAME = ("clean", "pairs", UNLABELLED), ("benchmark", "hub", "ntire2022")


def open_training(recipe: Recipe, *, check: bool) -> Any:
    """The training set of a recipe, looked through beforehand where `check` says so."""
    data = dataclasses.replace(
        recipe.data, check=recipe.data.check and check, mask_form=recipe.mask_form
    )
    largest_patch = max(stage.patch for stage in recipe.stages)
    return _kind(data.kind).training(data, largest_patch, recipe.seed)


def open_validation(recipe: ValidationRecipe, data: DataRecipe) -> Examples:
    """The validation set; without a root of its own it is another split of the training data."""
    if not recipe.root:
        recipe = dataclasses.replace(recipe, root=data.root)
        if recipe.kind in ("clean", "pairs") and not (Path(recipe.root) / recipe.split).is_dir():
            raise RecipeError(
                f"no folder {Path(recipe.root) / recipe.split} to validate with: set "
                "validation.root, or validation=null to do without"
            )
    if data.root and _are_the_same(recipe, data):
        raise RecipeError(
            f"validation would use the training pictures of {data.root}: set validation.root, or "
            "another validation.split"
        )
    return _kind(recipe.kind).validation(recipe, data)


def _are_the_same(recipe: ValidationRecipe, data: DataRecipe) -> bool:
    """Whether training and validation would read the same pictures."""
    if (recipe.kind, recipe.set) != (data.kind, data.set):
        return False
    if recipe.kind in SPLIT_BY_FOLDER:
        return folder_of(recipe).resolve() == folder_of(data).resolve()
    if recipe.kind not in SPLIT_BY_NAME:
        return False
    roots = [root_of(each).resolve() for each in (recipe, data)]
    is_one_split = (roots[0] / "dataset_info.json").exists()
    return roots[0] == roots[1] and (is_one_split or recipe.split == data.split)


def _kind(name: str) -> DatasetKind:
    require_known(name, DATASET_KINDS, what="kind of dataset")
    return DATASET_KINDS[name]


def build_degradation(settings: dict[str, Any] | None) -> Any:
    """A degradation from `name` and parameters; lists become ranges."""
    if settings is None:
        return None
    parameters: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    name = str(parameters.pop("name", None))
    require_known(name, [*DEGRADATIONS, BENCHMARK_NOISE], what="degradation")
    if name == BENCHMARK_NOISE:
        kind: Any = BenchmarkNoise
    else:
        kind = DEGRADATIONS[name]
    known = [field.name for field in dataclasses.fields(kind)]
    for key in parameters:
        require_known(key, known, what="parameter", where=name)
    try:
        return tried(lambda: kind(**parameters))
    except ValueError as error:
        raise RecipeError(f"cannot degrade by {settings} ({error})") from None


@dataclass(frozen=True)
class BenchmarkNoise:
    """Gaussian noise as the denoising benchmarks draw it: the same for every picture."""

    sigma: float
    margin = 0

    def __call__(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return benchmark_noise(np.rint(clean * 255).astype(np.uint8), sigma=self.sigma)


def open_clean(recipe: Where) -> PairSource:
    return CleanFolder(folder_of(recipe))


def open_pairs(recipe: Where) -> PairSource:
    folder = folder_of(recipe)
    return FolderPairs(folder / recipe.input, folder / recipe.target)


def open_benchmark(recipe: Where) -> PairSource:
    if recipe.set is None:
        raise RecipeError("a benchmark needs the name of its set, such as set: Rain13K")
    return open_set(root_of(recipe), recipe.set, split=recipe.split)


def open_hub(recipe: Where) -> PairSource:
    """A saved dataset's folder, or the name of one on the Hub."""
    root = root_of(recipe)
    if root.is_dir():
        dataset = open_dataset_on_disk(root, split=recipe.split)
    else:
        import datasets

        dataset = datasets.load_dataset(recipe.root, split=recipe.split)
    column = None if recipe.degradation else recipe.input
    return ColumnPairs(dataset, target_column=recipe.target, input_column=column)


def stream_hub(recipe: DataRecipe, seed: int) -> StreamingPatches:
    """Rows as they come, a buffer of them mixed; nothing can be looked through beforehand."""
    import datasets

    root = root_of(recipe)
    if (root / "dataset_info.json").exists() or (root / "dataset_dict.json").exists():
        stream = open_dataset_on_disk(root, split=recipe.split).to_iterable_dataset()
    else:
        stream = datasets.load_dataset(recipe.root, split=recipe.split, streaming=True)
    if recipe.shuffle_buffer > 1:
        stream = stream.shuffle(seed=seed, buffer_size=recipe.shuffle_buffer)
    return StreamingPatches(
        stream,
        degradation=build_degradation(recipe.degradation),
        target_column=recipe.target,
        input_column=recipe.input,
        augment=recipe.augment,
        grayscale=recipe.grayscale,
        seed=seed,
    )


def picture_kind(description: str, opener: Callable[[Where], PairSource]) -> DatasetKind:
    """A kind of which only the way to its pairs of pictures is its own."""

    def training(recipe: DataRecipe, largest_patch: int, seed: int) -> Dataset[Any]:
        if recipe.streaming:
            return stream_hub(recipe, seed)
        source = opener(recipe)
        if recipe.check:
            check_pairs(source, patch_size=largest_patch)
        return PatchDataset(
            source,
            degradation=build_degradation(recipe.degradation),
            augment=recipe.augment,
            grayscale=recipe.grayscale,
            cache_mb=recipe.cache_mb,
            seed=seed,
        )

    def validation(recipe: ValidationRecipe, data: DataRecipe) -> Examples:
        examples = PictureExamples(opener(recipe), recipe)
        if data.check:
            report(find_problems(examples.source, places=examples.chosen))
        return examples

    return DatasetKind(description, training, validation)


class PictureExamples:
    """Whole pictures or their centres, degraded the same way every time."""

    def __init__(self, source: PairSource, recipe: ValidationRecipe) -> None:
        if not len(source):
            raise RecipeError(f"there are no pictures to validate with in {recipe.root}")
        self.source = source
        self.recipe = recipe
        self.degradation = build_degradation(recipe.degradation)
        if source.paired == (self.degradation is not None):
            has = "has degraded pictures already" if source.paired else "has only clean pictures"
            give = "no" if source.paired else "a"
            raise RecipeError(f"{recipe.root} {has}: give {give} validation.degradation")
        self.chosen = chosen(len(source), recipe.limit)

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, place: int) -> Example:
        index = self.chosen[place]
        pair = self.source.load(index)
        target = self._gray(pair.target)
        if pair.input is not None:
            degraded = from_eight_bit(self._gray(pair.input))
        else:
            rng = np.random.default_rng([2022, index])
            degraded = self.degradation(from_eight_bit(target), rng)
        degraded, target = (centre(each, self.recipe.crop) for each in (degraded, target))
        tensor = torch.from_numpy(np.ascontiguousarray(degraded.transpose(2, 0, 1), np.float32))
        return Example(self.source.name(index), {"pixel_values": tensor[None]}, target)

    def _gray(self, picture: np.ndarray) -> np.ndarray:
        if not self.recipe.grayscale:
            return picture
        return np.asarray(Image.fromarray(picture).convert("L"))[..., None]


DATASET_KINDS: dict[str, DatasetKind] = {
    "clean": picture_kind("a folder of clean pictures, degraded on the fly", open_clean),
    "pairs": picture_kind("two folders of pictures that match by name", open_pairs),
    "benchmark": picture_kind(
        "a set in its usual layout, ROOT/train/Rain13K/input", open_benchmark
    ),
    UNLABELLED: DatasetKind(
        "a folder of a model's inputs, to learn from a teacher", train_on_inputs, validate_on_inputs
    ),
    "hub": picture_kind("image columns of a Hugging Face dataset", open_hub),
    "ntire2022": DatasetKind(
        "ARAD-1K, RGB pictures and 31-band cubes", train_on_ntire, validate_on_ntire
    ),
    "cassi": DatasetKind(
        "CAVE-1024 scenes behind a coded aperture", train_on_cassi, validate_on_cassi
    ),
}
