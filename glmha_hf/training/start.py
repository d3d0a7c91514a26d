"""The model a recipe starts from: fresh, or another one's weights as far as they fit."""

from __future__ import annotations

import fnmatch
import inspect
import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForImageToImage

from ..hub.pull import model_folder
from ..models.configuration_attention import ChannelAttentionConfig
from ..models.modeling_base import ChannelAttentionModel
from ..registration import ZOO_CLASSES, model_class_of, zoo_class
from .losses import Objective
from .recipe import DataRecipe, OptimizerRecipe, Recipe
from .typed import RecipeError, require_known

logger = logging.getLogger(__name__)
PICTURES = ("benchmark", "clean", "hub", "pairs")
"""Kinds of data whose inputs and labels are pictures."""


def build_model(recipe: Recipe) -> ChannelAttentionModel:
    """From the seed, filled from `init_from` where tensors fit; frozen and compiled as told."""
    torch.manual_seed(recipe.seed)
    source = None
    if recipe.init_from is not None:
        folder = model_folder(recipe.init_from)
        source = AutoModelForImageToImage.from_pretrained(folder, dtype=torch.float32)
    config = build_config(recipe, None if source is None else source.config)
    _check_channels(recipe.data, config)
    model = model_class_of(config)(config)
    drawn = copy_what_fits(source, model) if source is not None else []
    freeze(model, recipe.freeze, but=drawn)
    if recipe.run.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    if recipe.run.compile:
        model.compile_blocks(dynamic=False)
    layout = torch.channels_last if recipe.run.channels_last else torch.preserve_format
    return model.to(dtype=torch.float32, memory_format=layout)


def _check_channels(data: DataRecipe, config: ChannelAttentionConfig) -> None:
    channels = 1 if data.grayscale else 3
    if data.kind in PICTURES and (config.in_channels, config.out_channels) != (channels, channels):
        raise RecipeError(
            f"the model maps {config.in_channels} channels to {config.out_channels}, the pictures "
            f"have {channels}: set data.grayscale, or the model's in_channels and out_channels"
        )


def build_objective(
    recipe: Recipe, model: ChannelAttentionModel, device: torch.device
) -> Objective:
    """The recipe's loss, with its teacher where it has one; `model` is the student."""
    told = recipe.distillation
    if told is None:
        return Objective(recipe.loss)
    teacher = AutoModelForImageToImage.from_pretrained(
        model_folder(told.teacher), dtype=torch.float32
    )
    theirs, ours = (
        f"{each.config.in_channels} channels to {each.config.out_channels}"
        for each in (teacher, model)
    )
    if theirs != ours:
        raise RecipeError(f"the teacher maps {theirs}, the student {ours}")
    return Objective(recipe.loss, teacher=teacher.to(device).eval(), weight=told.weight)


def build_config(recipe: Recipe, source: Any = None) -> Any:
    """From the recipe's `model`; without a type its fields change the source's configuration."""
    fields = dict(recipe.model)
    name = fields.pop("type", None)
    if name is None:
        values = source.to_dict()
        name = values.pop("model_type")
    else:
        require_known(name, ZOO_CLASSES, what="model type")
        values = {}
    config_class = zoo_class(ZOO_CLASSES[name][0])
    known = [
        key
        for kind in config_class.__mro__
        if kind.__module__.startswith("glmha_hf.")
        for key in inspect.get_annotations(kind)
    ]
    for key in fields:
        require_known(key, known, what="field", where=f"model ({name})")
    return config_class(**{**values, **fields})


def copy_what_fits(source: nn.Module, model: nn.Module) -> list[str]:
    """Copy tensors of the same name and shape; say and return which stay as they were drawn."""
    theirs, ours = source.state_dict(), model.state_dict()
    fitting = {
        name: value
        for name, value in theirs.items()
        if name in ours and value.shape == ours[name].shape
    }
    if not fitting:
        raise RecipeError("nothing of init_from fits the model: is it another architecture?")
    model.load_state_dict(fitting, strict=False)
    copied = sum(value.numel() for value in fitting.values())
    total = sum(value.numel() for value in ours.values())
    logger.info("copied %d of %d weights (%.1f%%)", copied, total, 100 * copied / total)
    drawn = sorted(ours.keys() - fitting.keys())
    _tell("drawn anew, nothing there fits", drawn)
    _tell("left behind, the model has no place for", sorted(theirs.keys() - fitting.keys()))
    return drawn


def _tell(what: str, names: Sequence[str]) -> None:
    if names:
        logger.info("%s: %d tensors: %s", what, len(names), ", ".join(names))


def freeze(model: nn.Module, patterns: Sequence[str], *, but: Sequence[str] = ()) -> None:
    """Stop training the parameters whose names match a shell pattern, such as `encoder.*`.

    Those of `but` are trained all the same: they have learnt nothing yet.
    """
    names = [name for name, _ in model.named_parameters()]
    frozen: set[str] = set()
    for pattern in patterns:
        matching = fnmatch.filter(names, pattern)
        if not matching:
            parts = sorted({name.split(".")[0] for name in names})
            raise RecipeError(
                f"freeze pattern {pattern!r} matches no parameter; they begin with "
                f"{', '.join(parts)}"
            )
        frozen.update(matching)
    _tell("trained although freeze names them, because drawn anew", sorted(frozen & set(but)))
    frozen -= set(but)
    if len(frozen) == len(names):
        raise RecipeError("freeze leaves nothing to train")
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    if frozen:
        logger.info("frozen: %d of %d tensors", len(frozen), len(names))


def build_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Over what is not frozen; the schedule sets the rate at every update."""
    settings = recipe.optimizer
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[settings.name]
    beta1, beta2 = settings.betas
    return kind(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=recipe.learning_rate.peak,
        betas=(beta1, beta2),
        weight_decay=settings.weight_decay,
        fused=True,
    )


def set_options(optimizer: torch.optim.Optimizer, settings: OptimizerRecipe) -> None:
    """As the recipe has them now: a checkpoint brings back those that it was saved with."""
    for group in optimizer.param_groups:
        group.update(betas=settings.betas, weight_decay=settings.weight_decay)
