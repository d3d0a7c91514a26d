"""The zoo's models by name: what each is, and where its weights are. Imports no torch."""

import difflib
import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .facts import read_evaluation

WEIGHTS = Path(__file__).parents[1] / "weights"
NAMESPACE = "glmha-hf"
CONFIG, WEIGHT_FILE, CARD = "config.json", "model.safetensors", "README.md"

Task = Literal["derain", "deblur", "denoise", "rgb2hsi", "cassi"]
PURPOSES: dict[Task, str] = {
    "derain": "removes rain from pictures",
    "deblur": "removes motion blur from pictures",
    "denoise": "removes Gaussian noise of any level up to 50 from pictures",
    "rgb2hsi": "turns RGB pictures into cubes of 31 bands, 400 to 700 nm",
    "cassi": "turns CASSI snapshots into cubes of 28 bands",
}

BACKBONES = {"restormer": "Restormer", "mst": "MST", "mst_plus_plus": "MST++"}


@dataclass(frozen=True, kw_only=True)
class ZooModel:
    """One model of the zoo; what was measured on it is read from the folder of its weights."""

    name: str
    task: Task
    backbone: str
    attention: str
    recipe: str
    size: Literal["compact", "full"] = "compact"
    licence: str = "cc-by-nc-4.0"  # part of the training photographs is for research only

    @property
    def hub_id(self) -> str:
        return f"{NAMESPACE}/{self.name}"

    @property
    def folder(self) -> Path:
        """Where the weights are if they ship."""
        return WEIGHTS / self.name

    @property
    def ships(self) -> bool:
        return (self.folder / WEIGHT_FILE).is_file() and (self.folder / CONFIG).is_file()

    @property
    def description(self) -> str:
        size = "A compact" if self.size == "compact" else "The full-size"
        backbone, attention = BACKBONES[self.backbone], self.attention.upper()
        return f"{size} {backbone} with {attention} attention that {PURPOSES[self.task]}."

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """What `glmha evaluate` measured, each with its command; nothing where nothing was."""
        return read_evaluation(self.folder)

    @property
    def parameters(self) -> int | None:
        """Counted in the weights' header; nothing where they do not ship."""
        return count_parameters(self.folder / WEIGHT_FILE) if self.ships else None

    @property
    def training_command(self) -> str:
        return f"accelerate launch training/train.py {self.recipe}"


def _entry(name: str, task: Task, backbone: str, attention: str, recipe: str) -> ZooModel:
    return ZooModel(
        name=name,
        task=task,
        backbone=backbone,
        attention=attention,
        recipe=f"configs/compact/{recipe}.yaml model.attention={attention}",
    )


ZOO: dict[str, ZooModel] = {
    model.name: model
    for model in (
        _entry("glmha-restormer-derain", "derain", "restormer", "glmha", "restormer_derain"),
        _entry("restormer-derain", "derain", "restormer", "csa", "restormer_derain"),
        _entry("glmha-restormer-deblur", "deblur", "restormer", "glmha", "restormer_deblur"),
        _entry("glmha-restormer-denoise", "denoise", "restormer", "glmha", "restormer_denoise"),
        _entry(
            "glmha-mst-plus-plus-rgb2hsi",
            "rgb2hsi",
            "mst_plus_plus",
            "glmha",
            "mst_plus_plus_rgb2hsi",
        ),
        _entry("mst-plus-plus-rgb2hsi", "rgb2hsi", "mst_plus_plus", "csa", "mst_plus_plus_rgb2hsi"),
        _entry("glmha-mst-cassi", "cassi", "mst", "glmha", "mst_cassi"),
        _entry("mst-cassi", "cassi", "mst", "csa", "mst_cassi"),
    )
}


def list_models(task: str | None = None, attention: str | None = None) -> list[ZooModel]:
    """The zoo, or its models of one task and with one attention."""
    _check(task, PURPOSES, "task")
    _check(attention, {model.attention for model in ZOO.values()}, "attention")
    return [
        model
        for model in ZOO.values()
        if task in (None, model.task) and attention in (None, model.attention)
    ]


def _check(value: str | None, known: Iterable[str], what: str) -> None:
    known = sorted(known)
    if value is not None and value not in known:
        raise ValueError(f"no zoo model has the {what} {value!r}; there are {', '.join(known)}")


def find_model(name: str) -> ZooModel:
    """The zoo's model of this name; near matches are told where there is none."""
    if name not in ZOO:
        near = difflib.get_close_matches(name, ZOO, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(ZOO)}"
        raise ValueError(f"{name!r} is neither a folder nor a model of the zoo; {hint}")
    return ZOO[name]


def resolve(name: str | os.PathLike[str]) -> str:
    """Where `from_pretrained` finds a model: its folder where the weights ship, else its Hub id.

    A path that exists comes before a zoo name. Paths and Hub ids (owner/name) are returned as
    they are.
    """
    place = os.fspath(name)
    if Path(place).exists() or "/" in place or os.sep in place:
        return place
    model = find_model(place)
    return str(model.folder) if model.ships else model.hub_id


def count_parameters(path: Path) -> int:
    """The numbers in a safetensors file, by its header alone."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(entry["shape"]) for key, entry in header.items() if key != "__metadata__")
