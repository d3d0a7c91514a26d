"""What a model's folder tells about itself beside its weights. Imports no torch.

`evaluation.json` has what `glmha evaluate` measured, `training.json` how the weights came to be,
`recipe.yaml` every setting of that, and `data.md` what the training data are, in words.
"""

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..files import replaced_file

EVALUATION, TRAINING, RECIPE, DATA = "evaluation.json", "training.json", "recipe.yaml", "data.md"
INPUT = "input"
KEPT = ("set", "protocol", "settings", "pictures", "dtype", "fingerprint", "means")


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """How a model was trained and what its validation gave.

    `earlier` are the runs whose weights it started from, first to last.
    """

    name: str
    description: str
    command: str
    data: str
    iteration: int
    iterations: int
    weights: str
    hours: float
    processes: int = 1
    protocol: str | None = None
    validation: str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    input_scores: dict[str, float] = field(default_factory=dict)
    earlier: list["TrainingRecord"] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        _write(folder / TRAINING, self._storable())

    def _storable(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "scores": storable(self.scores),
            "input_scores": storable(self.input_scores),
            "earlier": [one._storable() for one in self.earlier],
        }

    @classmethod
    def read(cls, folder: Path) -> "TrainingRecord | None":
        if not (folder / TRAINING).is_file():
            return None
        try:
            return cls._of(_read(folder / TRAINING))
        except (TypeError, AttributeError):
            raise ValueError(f"{folder / TRAINING} is not a training record") from None

    @classmethod
    def _of(cls, stored: dict[str, Any]) -> "TrainingRecord":
        earlier = [cls._of(one) for one in stored.get("earlier", [])]
        scores = {key: finite(stored.get(key, {})) for key in ("scores", "input_scores")}
        return cls(**{**stored, **scores, "earlier": earlier})

    @property
    def runs(self) -> list["TrainingRecord"]:
        """All that led to the weights, this one last."""
        return [*self.earlier, replace(self, earlier=[])]


def read_evaluation(folder: str | Path) -> list[dict[str, Any]]:
    """A folder's scores, each with set, protocol, settings, pictures, means and command."""
    path = Path(folder) / EVALUATION
    if not path.is_file():
        return []
    stored = _read(path)
    if not isinstance(stored, dict) or not isinstance(stored.get("results"), list):
        raise ValueError(f"{path} has no list of results; `glmha card --results` writes it")
    for row in stored["results"]:
        if not isinstance(row, dict) or not {"set", "protocol", "settings", "means"} <= row.keys():
            raise ValueError(f"{path} has a result without set, protocol, settings and means")
    return stored["results"]


def record_evaluation(folder: Path, results: Path) -> list[dict[str, Any]]:
    """Take a model's scores from what `glmha evaluate` wrote, with the command that made them.

    They replace the folder's scores of the same set, protocol and settings.
    """
    stored = _read(results)
    rows = stored.get("results", []) if isinstance(stored, dict) else []
    name = folder.resolve().name
    mine = [row for row in rows if row["model"] in (name, folder.name, str(folder))]
    if not mine:
        models = ", ".join(sorted({row["model"] for row in rows})) or "none"
        raise ValueError(f"{results} has no scores of {name}; it has {models}")
    inputs = {_case(row): row["means"] for row in rows if row["model"] == INPUT}
    others: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["model"] in stored.get("baselines", ()):
            others.setdefault(_case(row), {})[row["model"]] = row["means"]
    taken = {
        _case(row): {
            **{key: row[key] for key in KEPT if key in row},
            "input_means": inputs.get(_case(row)),
            "baseline_means": others.get(_case(row), {}),
            "command": stored.get("command"),
        }
        for row in mine
    }
    kept = {_case(row): row for row in read_evaluation(folder)}
    merged = list({**kept, **taken}.values())
    _write(folder / EVALUATION, {"results": merged})
    return merged


def portable_command(program: str, arguments: Sequence[str]) -> str:
    """A command line for others to repeat: the paths of this machine are shortened."""
    return " ".join([program, *map(_portable, arguments)])


def _portable(argument: str) -> str:
    key, equals, value = argument.rpartition("=")
    if Path(value).is_absolute() or ".." in Path(value).parts:
        value = f"path/to/{Path(value).name}"
    return shlex.quote(f"{key}{equals}{value}")


def _case(row: dict[str, Any]) -> str:
    return json.dumps([row["set"], row["protocol"], row["settings"]], sort_keys=True)


def finite(means: dict[str, Any]) -> dict[str, float]:
    """The scores as numbers; JSON holds an infinite one as a string."""
    return {
        key: math.inf if value == "inf" else float(value) for key, value in (means or {}).items()
    }


def storable(means: dict[str, float]) -> dict[str, float | str]:
    """The other way round."""
    return {key: "inf" if math.isinf(value) else value for key, value in means.items()}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None


def _write(path: Path, contents: Any) -> None:
    text = json.dumps(contents, indent=2, ensure_ascii=False)
    with replaced_file(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")
