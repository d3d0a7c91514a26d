"""Pictures as a model is given them, without the truth: for learning from a teacher."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from ..data.checks import check_pairs
from ..data.pairs import CleanFolder, Pair
from ..data.patches import PatchDataset, PatchRequest
from .examples import Examples, folder_of
from .recipe import DataRecipe, ValidationRecipe
from .typed import RecipeError


class InputFolder(CleanFolder):
    """A folder of inputs; each stands in for its own target, so that patches are cut as ever."""

    paired = True

    def load(self, index: int) -> Pair:
        picture = super().load(index).target
        return Pair(target=picture, input=picture)


class InputPatches(Dataset[dict[str, Tensor]]):
    """Patches without labels."""

    def __init__(self, patches: PatchDataset) -> None:
        self.patches = patches

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, request: int | PatchRequest) -> dict[str, Tensor]:
        return {"pixel_values": self.patches[request]["pixel_values"]}


def train_on_inputs(recipe: DataRecipe, largest_patch: int, seed: int) -> Dataset[Any]:
    if recipe.degradation is not None:
        raise RecipeError("unlabelled pictures are inputs already: give no degradation")
    source = InputFolder(folder_of(recipe))
    if recipe.check:
        check_pairs(source, patch_size=largest_patch)
    return InputPatches(
        PatchDataset(
            source,
            augment=recipe.augment,
            grayscale=recipe.grayscale,
            cache_mb=recipe.cache_mb,
            seed=seed,
        )
    )


def validate_on_inputs(recipe: ValidationRecipe, data: DataRecipe) -> Examples:
    raise RecipeError("unlabelled pictures cannot be scored: validate on another kind, or not")
