"""The spectral kinds of dataset: ARAD-1K for RGB pictures, CAVE and KAIST for snapshots."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from ..data.checks import report
from ..data.cube_files import UnpackedScenes
from ..data.spectral_patches import (
    CassiPatches,
    MaskForm,
    NtirePatches,
    model_mask,
    published_scenes,
)
from ..data.spectral_sets import CassiScenes, NtirePairs, read_ntire_cube
from ..models.image_processing_picture import PictureProcessor
from .examples import Example, Examples, Where, centre, chosen, folder_of, root_of
from .recipe import DataRecipe, ValidationRecipe
from .typed import RecipeError

logger = logging.getLogger(__name__)
CAVE_FOLDER = "cave_1024_28"


def train_on_ntire(recipe: DataRecipe, largest_patch: int, seed: int) -> NtirePatches:
    _refuse_degradation(recipe)
    pairs = _ntire_pairs(recipe)
    cubes = [cube for _, cube in pairs.files]
    patches = NtirePatches(
        pairs,
        unpacked=UnpackedScenes(cubes, recipe.unpacked, read=read_ntire_cube)
        if recipe.unpacked
        else None,
        augment=recipe.augment,
        seed=seed,
        cache_mb=recipe.cache_mb,
    )
    if recipe.check:
        _look_through(patches, largest_patch, recipe.unpacked)
    return patches


def _look_through(
    patches: NtirePatches | CassiPatches, largest_patch: int, unpacked: str | Path | None
) -> None:
    if unpacked:
        logger.info("unpacking the scenes to %s where they are not there yet", unpacked)
    patches.check(patch_size=largest_patch)


def validate_on_ntire(recipe: ValidationRecipe, data: DataRecipe) -> NtireExamples:
    _refuse_degradation(recipe)
    examples = NtireExamples(_ntire_pairs(recipe), recipe)
    if data.check:
        _read_all(examples)
    return examples


def _read_all(examples: Examples) -> None:
    """A cube that cannot be read is told now, and not by the first validation."""
    problems = []
    for place in range(len(examples)):
        try:
            examples[place]
        except (ValueError, OSError) as error:
            problems.append(str(error))
    report(problems)


def _ntire_pairs(recipe: Where) -> NtirePairs:
    root = root_of(recipe)
    pairs = NtirePairs(root, split=recipe.split)
    if not len(pairs):
        folders = f"{root}/Train_RGB/*.jpg and {root}/Train_Spec/*.mat"
        report(
            pairs.unmatched or [f"no scenes of the split {recipe.split}: there are no {folders}"]
        )
    return pairs


class NtireExamples:
    """Whole RGB pictures, stretched as the processor of a finished run stretches them."""

    def __init__(self, pairs: NtirePairs, recipe: ValidationRecipe) -> None:
        report(pairs.unmatched)
        training = {cube for _, cube in NtirePairs(root_of(recipe), split="train").files}
        shared = [cube.stem for _, cube in pairs.files if cube in training]
        if shared and recipe.split != "train":
            raise RecipeError(
                f"{len(shared)} validation scenes would be training scenes as well, such as "
                f"{shared[0]}: name each split's scenes in {recipe.root}/split_txt/"
                f"{{train,{recipe.split}}}_list.txt"
            )
        self.pairs = pairs
        self.recipe = recipe
        self.chosen = chosen(len(pairs), recipe.limit)
        self.processor = PictureProcessor(value_range="min_max")

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, place: int) -> Example:
        pair = self.pairs.load(self.chosen[place])
        picture = self.processor.to_tensor(pair.picture).movedim(0, -1).numpy()
        inputs = _channels_first(centre(picture, self.recipe.crop))
        cube = centre(pair.cube.transpose(1, 2, 0), self.recipe.crop)
        return Example(
            self.pairs.name(self.chosen[place]),
            {"pixel_values": torch.from_numpy(inputs)[None]},
            _channels_first(cube),
        )


def _channels_first(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


def train_on_cassi(recipe: DataRecipe, largest_patch: int, seed: int) -> CassiPatches:
    _refuse_degradation(recipe)
    folder = _training_folder(recipe)
    scenes = _cassi_scenes(folder, recipe.mask)
    unpacked = Path(recipe.unpacked) if recipe.unpacked else folder / "unpacked"
    files = published_scenes(scenes.files) if folder.name == CAVE_FOLDER else scenes.files
    patches = CassiPatches(
        UnpackedScenes(files, unpacked),
        scenes.system,
        mask_form=recipe.mask_form or "shifted",
        augment=recipe.augment,
        seed=seed,
    )
    if recipe.check:
        _look_through(patches, largest_patch, unpacked)
    return patches


def validate_on_cassi(recipe: ValidationRecipe, data: DataRecipe) -> CassiExamples:
    _refuse_degradation(recipe)
    scenes = _cassi_scenes(folder_of(recipe), recipe.mask or data.mask)
    if data.root and scenes.files[0].parent == _training_folder(data):
        raise RecipeError(
            f"validation would use the training scenes of {scenes.files[0].parent}: set "
            "validation.root=FOLDER, or put the test scenes in test/"
        )
    examples = CassiExamples(scenes, recipe, mask_form=data.mask_form or "shifted")
    if data.check:
        _read_all(examples)
    return examples


def _training_folder(recipe: DataRecipe) -> Path:
    folder = root_of(recipe) / CAVE_FOLDER
    return folder if folder.is_dir() else folder_of(recipe)


def _cassi_scenes(folder: Path, mask: str | None) -> CassiScenes:
    scenes = CassiScenes(folder, mask=mask)
    if not len(scenes):
        report([f"there is no {folder}/scene*.mat"])
    if not scenes.mask_file.is_file():
        raise RecipeError(f"there is no mask {scenes.mask_file}: set data.mask=FILE")
    return scenes


class CassiExamples:
    """Whole scenes as the imager measures them, without noise."""

    def __init__(
        self, scenes: CassiScenes, recipe: ValidationRecipe, *, mask_form: MaskForm
    ) -> None:
        self.scenes = scenes
        self.crop = recipe.crop
        self.chosen = chosen(len(scenes), recipe.limit)
        self.mask_form = mask_form

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, place: int) -> Example:
        index = self.chosen[place]
        cube = _channels_first(centre(self.scenes.load(index).transpose(1, 2, 0), self.crop))
        system = self.scenes.system.crop(*cube.shape[1:])
        snapshot = system.measure(torch.from_numpy(cube))
        inputs = {
            "pixel_values": system.model_input(snapshot)[None],
            "mask": model_mask(system, self.mask_form),
        }
        return Example(self.scenes.name(index), inputs, cube)


def _refuse_degradation(recipe: Where) -> None:
    for key in ("degradation", "grayscale"):
        if getattr(recipe, key):
            raise RecipeError(f"{key} means nothing to cubes: leave it out")
