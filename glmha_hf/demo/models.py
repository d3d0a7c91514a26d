"""The models that the page offers: what ships, loaded when first asked for, the last few kept."""

from __future__ import annotations

from functools import lru_cache

from ..analysis.complexity import Profile, profile
from ..hub.zoo import BACKBONES, ZooModel, list_models
from ..inference.restoration import Restorer

PICTURE_TASKS = {"derain": "Rain", "deblur": "Motion blur", "denoise": "Noise"}
LOADED_AT_ONCE = 3
PROFILES_KEPT = 64


def shipped(*tasks: str) -> list[ZooModel]:
    """The models of these tasks whose weights are here, the GLMHA ones first."""
    models = [model for task in tasks for model in list_models(task=task) if model.ships]
    return sorted(models, key=lambda model: (tasks.index(model.task), model.attention != "glmha"))


def find_shipped(name: object, *tasks: str) -> ZooModel:
    """A model by its name. Nothing else is ever opened: names come from strangers."""
    models = {model.name: model for model in shipped(*tasks)}
    if not isinstance(name, str) or name not in models:
        known = ", ".join(models) or "none yet"
        raise ValueError(f"there is no model {name!r} here for that; there are: {known}")
    return models[name]


def label(model: ZooModel) -> str:
    """What a model is called on the page."""
    return f"{BACKBONES[model.backbone]}, {model.attention.upper()}"


def task_label(model: ZooModel) -> str:
    """What it is called where models of several tasks stand side by side."""
    return f"{PICTURE_TASKS.get(model.task, model.task)}: {label(model)}"


@lru_cache(LOADED_AT_ONCE)
def restorer(name: str) -> Restorer:
    """A shipped model and its processor, ready to run."""
    return Restorer.load(name)


@lru_cache(PROFILES_KEPT)
def cost(name: str, height: int, width: int) -> Profile:
    """What a picture of this size costs whole."""
    return profile(restorer(name).network.config, height=height, width=width)
