"""What compressing did: teacher and student on pictures that neither was fitted to."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..analysis.complexity import profile
from ..analysis.machine import timed
from ..analysis.sheets import Panel, draw_sheet, error_map
from ..analysis.spectra import cube_to_srgb, natural_exposure
from ..data.degradations.base import to_eight_bit
from ..evaluation.sets import degraded_input
from ..files import replaced_folder
from ..hub.card import model_card, stored_licence
from ..hub.compressed import SHEET, CompressionRecord, ModelFacts
from ..hub.facts import DATA
from ..inference.restoration import Restorer
from ..metrics import psnr
from ..models.modeling_base import ChannelAttentionModel
from ..training.recipe import plain
from .blocks import Inputs
from .compress import Compression
from .pictures import Source

SIDE, REPEATS = 256, 5
SHOWN = 3  # pictures on the sheet
HEAT = 0.1  # difference at the bright end of its map


@dataclass(frozen=True)
class Trial:
    """One picture to compare the models on; scored where the truth is known."""

    inputs: Inputs
    target: np.ndarray | None = None
    degraded: np.ndarray | None = None  # what may be scored as it is


@dataclass(frozen=True)
class Comparison:
    """The models' agreement in dB, their scores, and rows of pictures to look at."""

    psnr: float
    scores: dict[str, dict[str, float]]
    rows: list[list[Panel]]
    tested: int


def trials(test: Source, *, gray: bool) -> Iterator[Trial]:
    for number, place in enumerate(test.places):
        if test.scored is None:
            yield Trial(test.load(number))
            continue
        sample = test.scored.sample(place, gray=gray)
        alike = test.scored.input_kind == "picture"
        yield Trial(test.load(number), sample.target, degraded_input(sample) if alike else None)


def compare(
    done: Compression,
    test: Source,
    *,
    limit: int | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Means over the pictures; without a truth there is only the models' agreement."""
    restorers = {
        name: Restorer(network=model, processor=done.processor)
        for name, model in (("teacher", done.teacher), ("student", done.model))
    }
    config = done.teacher.config
    gray = config.in_channels == config.out_channels == 1
    found: dict[str, list[dict[str, float]]] = {"input": [], "teacher": [], "student": []}
    agreements, rows = [], []
    count = min(limit or len(test), len(test))
    for number, trial in enumerate(islice(trials(test, gray=gray), count)):
        report(f"comparing on picture {number + 1} of {count}")
        outputs = {
            name: each.reconstruct(trial.inputs)[0].numpy().clip(0, 1)
            for name, each in restorers.items()
        }
        agreements.append(float(psnr(outputs["student"], outputs["teacher"], peak=1.0)))
        if test.scored is not None and trial.target is not None:
            given = {} if trial.degraded is None else {"input": trial.degraded}
            for name, output in {**given, **outputs}.items():
                finished = test.scored.finish(output, trial.target)
                found[name].append(test.scored.score(finished, trial.target))
        if number < SHOWN:
            rows.append(_row(trial, outputs))
    scores = {
        name: {key: statistics.fmean(each[key] for each in kept) for key in kept[0]}
        for name, kept in found.items()
        if kept
    }
    return Comparison(statistics.fmean(agreements), scores, rows, count)


def _row(trial: Trial, outputs: dict[str, np.ndarray]) -> list[Panel]:
    difference = error_map(outputs["student"], outputs["teacher"], peak=HEAT, channel_axis=0)
    shown = {"input": trial.inputs["pixel_values"][0].numpy(), **outputs}
    exposure = natural_exposure(outputs["teacher"]) if len(outputs["teacher"]) > 3 else 1.0
    panels = [Panel(picture(values, exposure), title=name) for name, values in shown.items()]
    return [*panels, Panel(difference, title=f"difference, up to {HEAT:g}")]


def picture(values: np.ndarray, exposure: float) -> np.ndarray:
    """C×H×W as RGB; a cube in its colours, `exposure` times as bright."""
    if len(values) > 3:
        return cube_to_srgb(values, exposure=exposure)
    shown = to_eight_bit(values.transpose(1, 2, 0))
    return shown.repeat(3, axis=-1) if len(values) == 1 else shown


def times_in_turn(*models: ChannelAttentionModel) -> list[float]:
    """The median seconds of one 256×256 input, each model in turn, again and again."""
    seconds: list[list[float]] = [[] for _ in models]
    with torch.inference_mode():
        for repeat in range(REPEATS + 1):
            for model, kept in zip(models, seconds, strict=True):
                inputs = {
                    name: values.to(model.device)
                    for name, values in model.example_inputs(SIDE, SIDE).items()
                }
                spent = timed(partial(model, **inputs), model.device.type)
                if repeat:  # the first is to get warm
                    kept.append(spent)
    return [statistics.median(each) for each in seconds]


def record(
    done: Compression, comparison: Comparison, test: Source, *, source: str, command: str
) -> CompressionRecord:
    """What the new model's card tells."""
    seconds = times_in_turn(done.teacher, done.model)
    facts = []
    for name, model, spent in zip(
        ("teacher", "student"), (done.teacher, done.model), seconds, strict=True
    ):
        cost = profile(model, height=SIDE, width=SIDE).total
        facts.append(
            ModelFacts(**asdict(cost), seconds=spent, scores=comparison.scores.get(name, {}))
        )
    config = done.model.config
    settings = asdict(done.settings)
    return CompressionRecord(
        source=source,
        command=command,
        images=done.source.name,
        pictures=min(done.settings.pictures, len(done.source)),
        minutes=done.seconds / 60,
        settings={name: value for name, value in settings.items() if value is not None},
        attention=plain(config.attention),
        kv_reduction=plain(config.kv_reduction),
        teacher=facts[0],
        student=facts[1],
        psnr=comparison.psnr,
        test=test.name,
        tested=comparison.tested,
        protocol=None if test.scored is None else test.scored.protocol,
        input_scores=comparison.scores.get("input", {}),
        blocks=[asdict(each) for each in done.blocks],
    )


def save(
    done: Compression,
    told: CompressionRecord,
    rows: list[list[Panel]],
    folder: Path,
    *,
    teacher_folder: Path,
    overwrite: bool,
) -> None:
    """A zoo folder with weights, processor, record, sheet and card; it appears when complete."""
    with replaced_folder(folder, overwrite=overwrite) as unfinished:
        done.model.save_pretrained(unfinished)
        done.processor.save_pretrained(unfinished)
        told.write(unfinished)
        if rows:
            sheet(rows).save(unfinished / SHEET)
        if (teacher_folder / DATA).is_file():
            shutil.copyfile(teacher_folder / DATA, unfinished / DATA)
        place = folder.name if folder.is_absolute() else str(folder)
        licence = stored_licence(teacher_folder)
        card = model_card(unfinished, title=folder.name, name=place, licence=licence)
        (unfinished / "README.md").write_text(card, encoding="utf-8")


def sheet(rows: list[list[Panel]]) -> Image.Image:
    return draw_sheet(rows, title="Before and after compression", panel_width=240)
