"""What a kind of dataset gives: patches to train with, and whole examples to validate with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from .recipe import DataRecipe, ValidationRecipe
from .typed import RecipeError

Where = DataRecipe | ValidationRecipe
USUAL_SPLITS = ("train", "val", "valid", "validation", "test")


@dataclass(frozen=True)
class Example:
    """One whole picture or cube to validate with."""

    name: str
    inputs: dict[str, Tensor]  # B = 1
    target: np.ndarray  # as `metrics.compare` takes it


class Examples(Protocol):
    """Examples that are read when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> Example: ...


@dataclass(frozen=True)
class DatasetKind:
    """How to open one kind of dataset.

    Training takes the largest patch and the seed as well; validation is told of the training data.
    """

    description: str
    training: Callable[[DataRecipe, int, int], Dataset[Any]]
    validation: Callable[[ValidationRecipe, DataRecipe], Examples]


def folder_of(recipe: Where) -> Path:
    """`root/split` where there is such a folder, else `root`, unless that has other splits."""
    root = root_of(recipe)
    folder = root / recipe.split
    if not recipe.split or folder.is_dir():
        return folder
    others = [f"{name}/" for name in USUAL_SPLITS if (root / name).is_dir()]
    if others:
        raise RecipeError(f"there is no {folder}, but {' and '.join(others)}: name one as split")
    return root


def root_of(recipe: Where) -> Path:
    if not recipe.root:
        raise RecipeError("the recipe does not know where your data is: set data.root=FOLDER")
    return Path(recipe.root)


def chosen(count: int, limit: int | None) -> list[int]:
    """As many places as the limit allows, evenly spaced."""
    kept = min(limit or count, count)
    return [count * place // kept for place in range(kept)]


def centre(picture: np.ndarray, crop: int | None) -> np.ndarray:
    """The middle of an H×W×C picture."""
    if crop is None:
        return picture
    top, left = (max(0, (side - crop) // 2) for side in picture.shape[:2])
    return picture[top : top + crop, left : left + crop]
