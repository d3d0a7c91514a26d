"""A model's folder by any of its names: a folder, a zoo name, or a Hub id. Imports no torch."""

import contextlib
import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .zoo import CONFIG, ZOO, resolve

# Weights as pickles are left on the Hub, and so is code.
PULLED = ("*.json", "*.safetensors", "*.onnx", "*.onnx.data", "*.yaml", "README.md")


def model_folder(name: str | os.PathLike[str]) -> Path:
    """A folder with a configuration; from the Hub by owner/name or owner/name@revision.

    What the Hub has is fetched once and kept in the usual cache.
    """
    place = resolve(name)
    if Path(place).exists() or not _is_hub_id(place):
        return _checked(Path(place))
    from huggingface_hub import snapshot_download

    repository, _, revision = place.partition("@")
    with told_for(os.fspath(name), repository):
        snapshot = snapshot_download(
            repository, revision=revision or None, allow_patterns=list(PULLED)
        )
    if not (Path(snapshot) / CONFIG).is_file():
        raise FileNotFoundError(f"{place} is on the Hub, but holds no model: it has no {CONFIG}")
    return _checked(Path(snapshot))


def _is_hub_id(place: str) -> bool:
    """owner/name or owner/name@revision, unless it is a path by its looks."""
    name = place.partition("@")[0]
    return name.count("/") == 1 and not place.startswith((".", "/", "~")) and place[-1] != "/"


def _checked(folder: Path) -> Path:
    if folder.is_file():
        raise NotADirectoryError(
            f"{folder} is no model folder; a published .pth file is turned into one by "
            "glmha convert"
        )
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no model folder {folder}")
    config = folder / CONFIG
    if not config.is_file():
        raise FileNotFoundError(f"{folder} is no model folder: it has no {CONFIG}")
    try:
        stored = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{config} is not JSON: {error}") from None
    if not isinstance(stored, dict):
        raise ValueError(f"{config} holds no configuration, which is a JSON object")
    return folder


@contextlib.contextmanager
def told_for(name: str, repository: str) -> Iterator[None]:
    """Errors of the Hub in one line; a zoo model that has no weights yet says how to make them."""
    from .errors import plainly_told

    advice = f"there is no folder {name} either" if name == repository else ""
    for model in ZOO.values():
        if repository == model.hub_id and not model.ships:
            advice = f"{model.name} has no weights yet: train it with `{model.training_command}`"
    with plainly_told(repository, advice=advice):
        yield


def accept_zoo_names(loadable: Any) -> None:
    """Lets `from_pretrained` of a class and its subclasses take the zoo's names too.

    It is done from outside, because the models' files also run where this package is not
    installed, and there no names are known.
    """
    usual = loadable.from_pretrained.__func__

    @functools.wraps(usual)
    def from_pretrained(
        cls: Any, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any
    ) -> Any:
        name = pretrained_model_name_or_path
        if not isinstance(name, str):
            return usual(cls, name, *args, **kwargs)
        place = resolve(name)
        with told_for(name, place):
            return usual(cls, place, *args, **kwargs)

    loadable.from_pretrained = classmethod(from_pretrained)
