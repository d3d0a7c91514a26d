"""A recipe: model, data and schedule of one training run, checked when it is loaded."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from .typed import RecipeError, build, hint_of, require_range

UNLABELLED = "unlabelled"
"""The kind of data that has inputs only."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """So many iterations with patches of this size; `batch` counts all processes together."""

    iterations: int
    patch: int
    batch: int

    def __post_init__(self) -> None:
        if min(self.iterations, self.patch, self.batch) < 1:
            raise RecipeError(f"a stage needs positive iterations, patch and batch, not {self}")


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """Training pairs; which fields count depends on `kind` (see `sources.DATASET_KINDS`)."""

    kind: str
    root: str = ""
    set: str | None = None  # benchmark: the set's name
    split: str = "train"
    input: str = "input"  # folder or column of the degraded pictures
    target: str = "target"
    degradation: dict[str, Any] | None = None  # name and parameters
    augment: bool = True
    grayscale: bool = False
    mixup: float = 0.0  # share of the batches that are blended with themselves
    mixup_beta: float = 1.2
    workers: int = 2
    cache_mb: float = 512
    check: bool = True  # look at every pair before the first step
    streaming: bool = False  # hub: read rows as they come, keep nothing on disk
    shuffle_buffer: int = 256  # streaming: so many rows are mixed
    mask: str | None = None  # cassi: the coded aperture; by default mask.mat beside the scenes
    mask_form: Literal["shifted", "plain"] | None = None  # cassi: by default as the model takes it
    unpacked: str | None = None  # cassi, ntire2022: folder for cubes to be read from in parts

    def __post_init__(self) -> None:
        require_range(self, "data", 0, "workers", "cache_mb", "mixup")
        require_range(self, "data", 1, "shuffle_buffer")
        if self.mixup > 1 or self.mixup_beta <= 0:
            raise RecipeError("data.mixup is a share within 0 and 1, data.mixup_beta above 0")


@dataclass(frozen=True, kw_only=True)
class ValidationRecipe:
    """What to score while training, how, and how often."""

    protocol: str
    kind: str
    every: int
    root: str = ""
    set: str | None = None
    split: str = "test"
    input: str = "input"
    target: str = "target"
    degradation: dict[str, Any] | None = None
    grayscale: bool = False
    limit: int | None = None  # so many pictures, evenly spaced over the set
    crop: int | None = None  # the centre only
    best: str | None = None  # the score that decides; by default the protocol's first
    sheets: int = 4  # pictures on the sample sheet
    mask: str | None = None  # cassi: by default the training's

    def __post_init__(self) -> None:
        require_range(self, "validation", 1, "every", "limit", "crop")
        require_range(self, "validation", 0, "sheets")


@dataclass(frozen=True, kw_only=True)
class OptimizerRecipe:
    name: Literal["adamw", "adam"] = "adamw"
    betas: tuple[float, ...] = (0.9, 0.999)
    weight_decay: float = 1e-4
    clip_norm: float | None = 0.01

    def __post_init__(self) -> None:
        require_range(self, "optimizer", 0, "weight_decay", "clip_norm")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise RecipeError("optimizer.betas are two numbers from 0 up to 1")


@dataclass(frozen=True, kw_only=True)
class DistillationRecipe:
    """A model whose outputs are learnt by L1, beside the labels where there are any."""

    teacher: str  # zoo folder, zoo name or Hub id
    weight: float = 1.0

    def __post_init__(self) -> None:
        require_range(self, "distillation", 0, "weight")


@dataclass(frozen=True, kw_only=True)
class LearningRateRecipe:
    """The rate at every iteration; formulas in `schedules.py`."""

    name: Literal["constant_then_cosine", "cosine", "halving", "constant"]
    peak: float
    floor: float = 0.0
    constant_iterations: int = 0
    halve_at: tuple[int, ...] = ()
    warmup_iterations: int = 0

    def __post_init__(self) -> None:
        require_range(
            self, "learning_rate", 0, "peak", "floor", "constant_iterations", "warmup_iterations"
        )


@dataclass(frozen=True, kw_only=True)
class RunRecipe:
    """How to run it: nothing here changes what is learnt, but for `precision` and `ema`."""

    precision: Literal["no", "bf16", "fp16"] = "no"
    ema: float | None = None
    largest_batch: int | None = None  # per process at once, of the first stage's patches
    device: Literal["auto", "cpu"] = "auto"
    channels_last: bool = False
    compile: bool = False  # the repeated blocks, once for every size of patch
    gradient_checkpointing: bool = False
    log_every: int = 50
    save_every: int = 5000
    save_minutes: float | None = 20
    stop_minutes: float | None = None  # save and leave after so long, to be resumed
    trackers: tuple[str, ...] = ("tensorboard",)

    def __post_init__(self) -> None:
        require_range(self, "run", 1, "largest_batch", "log_every", "save_every")
        require_range(self, "run", 0, "save_minutes", "stop_minutes")
        if self.ema is not None and not 0 < self.ema < 1:
            raise RecipeError(f"run.ema is a decay within 0 and 1, not {self.ema}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    name: str
    data: DataRecipe
    stages: tuple[Stage, ...]
    learning_rate: LearningRateRecipe
    loss: dict[str, float]  # against the labels; may be empty where there is a teacher
    model: dict[str, Any] = field(default_factory=dict)  # `type` and configuration fields
    init_from: str | None = None  # zoo folder, zoo name or Hub id to start from
    freeze: tuple[str, ...] = ()  # patterns of parameter names
    distillation: DistillationRecipe | None = None
    validation: ValidationRecipe | None = None
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    run: RunRecipe = field(default_factory=RunRecipe)
    seed: int = 0
    output: str | None = None  # runs/NAME by default
    resume: Literal["auto", True, False] = "auto"
    push_to_hub: bool = False
    hub_id: str | None = None
    length_scale: float = 1.0  # multiplies every count of iterations that shapes the schedule
    batch_scale: float = 1.0  # multiplies every batch
    description: str = ""

    def __post_init__(self) -> None:
        from .losses import LOSS_TERMS
        from .typed import require_known

        if not self.stages:
            raise RecipeError("a recipe needs at least one stage")
        if not self.loss and self.distillation is None:
            raise RecipeError("a recipe needs at least one loss")
        if self.loss and self.data.kind == UNLABELLED:
            raise RecipeError("there are no labels to take a loss against: set loss={}")
        for name in self.loss:
            require_known(name, LOSS_TERMS, what="loss")
        if self.length_scale <= 0 or self.batch_scale <= 0:
            raise RecipeError("length_scale and batch_scale must be positive")
        require_range(self, "", 0, "seed")
        if self.data.streaming and (self.data.kind != "hub" or self.data.mixup):
            raise RecipeError("streaming is for data of kind hub, and does without mixup")
        if "type" not in self.model and self.init_from is None:
            raise RecipeError("say which model to train: model.type, or init_from")

    @property
    def folder(self) -> Path:
        return Path(self.output or f"runs/{self.name}")

    @property
    def mask_form(self) -> Literal["shifted", "plain"]:
        """How the model takes a coded aperture."""
        return self.data.mask_form or ("plain" if self._type == "mst_plus_plus" else "shifted")

    @property
    def _type(self) -> str | None:
        """The model's, which may be that of the one it starts from."""
        if "type" in self.model or self.init_from is None or self.data.kind != "cassi":
            return self.model.get("type")
        from ..hub.pull import model_folder

        config = json.loads((model_folder(self.init_from) / "config.json").read_text())
        return config.get("model_type")

    @property
    def iterations(self) -> int:
        return sum(stage.iterations for stage in self.stages)

    def scaled(self) -> Recipe:
        """The recipe with `length_scale` and `batch_scale` worked in."""
        if self.length_scale == self.batch_scale == 1:
            return self

        def length(iterations: int) -> int:
            return max(1, round(iterations * self.length_scale)) if iterations else 0

        rate = self.learning_rate
        return dataclasses.replace(
            self,
            length_scale=1.0,
            batch_scale=1.0,
            stages=tuple(
                Stage(
                    iterations=length(stage.iterations),
                    patch=stage.patch,
                    batch=max(1, round(stage.batch * self.batch_scale)),
                )
                for stage in self.stages
            ),
            learning_rate=dataclasses.replace(
                rate,
                constant_iterations=length(rate.constant_iterations),
                halve_at=tuple(map(length, rate.halve_at)),
                warmup_iterations=length(rate.warmup_iterations),
            ),
        )

    def to_yaml(self) -> str:
        return yaml.safe_dump(plain(dataclasses.asdict(self)), sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """YAML in which 3e-4 is a number, as in YAML 1.2 and in Python; a date and `no` are text."""


_TEXT = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")
_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] not in _TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def load_recipe(path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a YAML file, change it by `dotted.key=value` overrides, and check all of it."""
    path = Path(path)
    values = load_yaml(path)
    values.setdefault("name", path.stem.replace("_", "-"))
    for override in overrides:
        apply_override(values, override)
    return build(Recipe, values).scaled()


def load_yaml(path: Path) -> dict[str, Any]:
    """The keys of a YAML file."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, Mapping):
        raise RecipeError(f"{path} holds no recipe: it must be a mapping of keys")
    return dict(values)


def apply_override(values: dict[str, Any], override: str) -> None:
    """Set `dotted.key=value` in nested mappings; the value is YAML; lists take an index."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"an override is key=value, not {override!r}")
    *parents, last = key.split(".")
    here: Any = values
    for parent in parents:
        here = _step_into(here, parent, key)
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError:
        raise RecipeError(f"{override!r}: the value is not YAML") from None
    if isinstance(value, (int, float)) and hint_of(Recipe, [*parents, last]) is str:
        value = text  # a name such as 2024_01 or 007
    if isinstance(here, list):
        here[_index(here, last, key)] = value
    else:
        here[last] = value


def _step_into(here: Any, name: str, key: str) -> Any:
    if isinstance(here, list):
        return here[_index(here, name, key)]
    if here.get(name) is None:
        here[name] = {}
    if not isinstance(here[name], (dict, list)):
        raise RecipeError(f"{key}: {name} is {here[name]!r} and has no parts")
    return here[name]


def _index(here: list, name: str, key: str) -> int:
    if not name.isdigit() or int(name) >= len(here):
        raise RecipeError(f"{key}: {name} is no place in a list of {len(here)} (count from 0)")
    return int(name)


def plain(value: Any) -> Any:
    """Tuples as lists, for YAML and JSON."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value
