"""A cell's folder: who works on it, how far it is, where it starts from, and its score."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from filelock import FileLock, Timeout
from torch import Tensor

from ..files import replaced_file, replaced_folder
from ..hub.facts import TrainingRecord
from ..inference.network import load_network
from ..models.configuration_attention import ChannelAttentionConfig
from ..models.modeling_base import ChannelAttentionModel
from ..training.recipe import Recipe, plain
from ..training.signals import StopRequest
from ..training.sources import open_training
from ..training.start import build_config, build_model
from ..training.streaming import open_batches
from ..training.validation import Validation
from .costs import cost_of, reductions_from_ranks
from .plan import Cell
from .results import METRICS, Row, require_budget

RANK_BATCHES = 4
PATIENCE = 1.0  # seconds for a lock: longer than anyone needs to look whether it is taken


@dataclasses.dataclass(frozen=True)
class CellFolder:
    """`OUTPUT/GROUP/VARIANT/SEED`, which one process at a time may work in."""

    cell: Cell
    output: Path

    @property
    def path(self) -> Path:
        return self.output / self.cell.name

    @property
    def trained(self) -> Path:
        """The zoo folder with the averaged weights of the run's end."""
        return self.path / "last"

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Whether the cell is ours meanwhile; a process that dies leaves it free."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    @property
    def is_taken(self) -> bool:
        if not self.path.is_dir():
            return False
        try:
            with FileLock(self.path / ".lock").acquire(blocking=False):
                return False
        except Timeout:
            return True

    def result(self) -> tuple[Row, list[Row]] | None:
        """The rows of a cell that was trained and scored here."""
        path = self.path / "result.json"
        if not path.is_file():
            return None
        written = json.loads(path.read_text(encoding="utf-8"))
        require_budget(self.cell.group, [written["result"]], where=str(path))
        return written["result"], written["curve"]

    def write_result(self, result: Row, curve: list[Row]) -> None:
        """With this the cell is done: what only training needs can go."""
        with replaced_file(self.path / "result.json") as unfinished:
            text = json.dumps({"result": result, "curve": curve}, indent=1)
            unfinished.write_text(text, encoding="utf-8")
        for name in ("best", "checkpoints", "samples", "start"):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def progress(self) -> int:
        """How many updates the log tells of (a run that was killed may go back some)."""
        return max((line["iteration"] for line in self.log()), default=0)

    def log(self) -> list[dict[str, Any]]:
        path = self.path / "log.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        read = []
        for line in lines:
            with contextlib.suppress(json.JSONDecodeError):  # cut short by a kill
                read.append(json.loads(line))
        return read

    def state(self, *, done: bool) -> str:
        """In words, for `--list`."""
        if done:
            return "done"
        now, all_of_it = self.progress(), self.cell.group.budget.iterations
        if self.is_taken:
            return f"running, {now:,} of {all_of_it:,} updates"
        return f"stopped at {now:,} of {all_of_it:,} updates" if now else "not begun"

    def reductions(self, recipe: Recipe) -> list[float]:
        """By the reference's ranks on patches of the training data; worked out once."""
        path = self.path / "reductions.json"
        if not path.is_file():
            model = load_trained(CellFolder(self.cell.reference, self.output).trained)
            uniform = build_config(
                dataclasses.replace(recipe, model={**recipe.model, "kv_reduction": 0.5})
            )
            found = reductions_from_ranks(model, training_inputs(recipe), uniform)
            with replaced_file(path) as unfinished:
                unfinished.write_text(json.dumps(found))
        return json.loads(path.read_text())

    def prepare(self) -> Recipe:
        """The recipe to train by: with its start, its folder, and the reductions of ranks.

        It is refused where the folder holds a run of another budget.
        """
        cell, recipe = self.cell, self.cell.recipe()
        path = self.path / "budget.json"
        if path.is_file():
            began = json.loads(path.read_text(encoding="utf-8"))
            require_budget(cell.group, [began], where=str(self.path))
        with replaced_file(path) as unfinished:
            text = json.dumps(dataclasses.asdict(cell.group.budget))
            unfinished.write_text(text, encoding="utf-8")
        if cell.waits_for_ranks:
            reductions = self.reductions(recipe)
            recipe = dataclasses.replace(recipe, model={**recipe.model, "kv_reduction": reductions})
        start = recipe.init_from or str(self.path / "start")
        if recipe.init_from is None:
            write_start(cell.reference.recipe(), Path(start))
        return dataclasses.replace(recipe, output=str(self.path), init_from=start)


def write_start(reference: Recipe, folder: Path) -> None:
    """The reference's fresh weights, drawn from its seed, as what every variant starts from."""
    if folder.exists():
        return
    run = dataclasses.replace(reference.run, compile=False)
    model = build_model(dataclasses.replace(reference, run=run))
    with replaced_folder(folder, overwrite=True) as unfinished:
        model.save_pretrained(unfinished)


def load_trained(folder: Path) -> ChannelAttentionModel:
    """In float32, to score and to measure."""
    return cast(ChannelAttentionModel, load_network(folder, dtype=torch.float32, device="cpu"))


def training_inputs(recipe: Recipe) -> Iterable[dict[str, Tensor]]:
    """What the model sees in its first few batches."""
    accelerator = Accelerator(cpu=True)
    batches = open_batches(open_training(recipe, check=False), recipe, accelerator, start=0)
    for batch in islice(batches, RANK_BATCHES):
        for piece in batch.pieces:
            yield {key: value for key, value in piece.items() if key != "labels"}


def score(recipe: Recipe, accelerator: Accelerator, stop: StopRequest) -> dict[str, float] | None:
    """The last weights by the recipe's protocol, in float32, and how many examples it took.

    None if stopped meanwhile.
    """
    validation = Validation.of(recipe)
    assert validation is not None
    folder = recipe.folder
    model = load_trained(folder / "last").to(accelerator.device)
    scores = validation(model, accelerator, sheet=folder / "samples" / "last.png", stop=stop)
    return None if scores is None else {**scores, "examples": len(validation.examples)}


def rows_of(
    folder: CellFolder, recipe: Recipe, scored: dict[str, float], device: torch.device
) -> tuple[Row, list[Row]]:
    """A cell's row for the table of results, and its validations' for the table of curves."""
    cell, budget = folder.cell, folder.cell.group.budget
    config = cast(ChannelAttentionConfig, build_config(recipe))
    cost = cost_of(config)
    record = TrainingRecord.read(folder.trained)
    assert record is not None
    assert recipe.validation is not None
    key = {
        "group": cell.group.name,
        "variant": cell.variant,
        "seed": cell.seed,
        "fingerprint": budget.fingerprint,
    }
    result = {
        **key,
        "iterations": budget.iterations,
        "patches": budget.patches,
        "parameters": cost.parameters,
        "macs": cost.macs,
        **scored,
        **{f"input_{name}": value for name, value in record.input_scores.items()},
        "seconds": round(record.hours * 3600),
        "kv_reduction": json.dumps(plain(config.kv_reduction)),
        "device": device_name(device),
        "torch": torch.__version__,
        "commit": revision(),
    }
    curve = [
        {**key, "iteration": line["iteration"], **{name: line.get(name) for name in METRICS}}
        for line in folder.log()
        if line["event"] == "validation"
    ]
    return result, curve


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def revision() -> str | None:
    """The commit of the code, with `-changed` where it is not that any more; None outside git."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", "glmha_hf", "training", "configs")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-changed" if changed else commit


def _git(*words: str) -> str:
    root = Path(__file__).parents[2]
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()
