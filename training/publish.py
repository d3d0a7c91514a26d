"""Make a trained model part of the zoo: weights at half size, scores, a picture, and the card.

    python training/publish.py runs/restormer-derain/best restormer-derain --data photos/test

The scores are those of `glmha evaluate` on what no training saw; the command stands in the card.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from glmha_hf import cli
from glmha_hf.analysis.sheets import draw_sheet
from glmha_hf.evaluation.opening import open_sets
from glmha_hf.evaluation.restorers import load_restorer
from glmha_hf.evaluation.run import restore_sample
from glmha_hf.evaluation.worst import before_after
from glmha_hf.files import replaced_folder
from glmha_hf.hub.card import write_card
from glmha_hf.hub.facts import record_evaluation
from glmha_hf.hub.zoo import CONFIG, WEIGHT_FILE, ZooModel, find_model
from glmha_hf.metrics import PictureScores

# Slight shake, which the compact recipe trains for.
SHAKE = 'motion_blur:{"travel":[1,8],"rotation":0.4}'
# How a task's models are scored; `--data` is clean pictures, or scenes with their truth.
SCORED_BY = {
    # The training's rain leaves some pictures dry; those are a set of their own.
    "derain": 'input --protocol deraining --degrade rain:{"clean_fraction":0} validation_rain none',
    "deblur": f"input --protocol deblurring --degrade {SHAKE} motion_blur none",
    "denoise": "input --protocol denoising --sigma 15 25 50",
    "rgb2hsi": "--baseline linear polynomial",
    "cassi": "--baseline gap-tv",
}
SHOWN_BY = {
    "derain": {"degradations": ["validation_rain"]},
    "deblur": {"degradations": [SHAKE]},
    "denoise": {"protocol": "denoising", "sigmas": [25.0]},
    "rgb2hsi": {},
    "cassi": {},
}
KEPT = ("config.json", "preprocessor_config.json", "recipe.yaml", "training.json", "data.md")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("trained", type=Path, help="a run's best or last folder")
    parser.add_argument("name", help="the zoo's name for it")
    parser.add_argument("--data", type=Path, required=True, help="what to score on")
    parser.add_argument("--limit", type=int, help="score only so many pictures")
    parser.add_argument("--show", help="name of the picture for the card (the first)")
    return parser.parse_args(arguments)


@contextlib.contextmanager
def put_back_unless_done(folder: Path) -> Iterator[None]:
    """What the folder held comes back where anything goes wrong within."""
    with tempfile.TemporaryDirectory() as aside:
        before = Path(aside, folder.name)
        if folder.exists():
            shutil.copytree(folder, before)
        try:
            yield
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            if before.exists():
                shutil.copytree(before, folder)
            raise


def refuse_another_kind(trained: Path, model: ZooModel) -> None:
    """The zoo's name says which backbone and attention its weights have."""
    config = json.loads((trained / CONFIG).read_text(encoding="utf-8"))
    found = (config.get("model_type"), config.get("attention"))
    if found != (model.backbone, model.attention):
        raise ValueError(
            f"{model.name} is a {model.backbone} with {model.attention}; {trained} holds a "
            f"{found[0]} with {found[1]}"
        )


def store(trained: Path, model: ZooModel) -> None:
    """The folder of the zoo, its weights in float16; they are loaded as float32 all the same."""
    with replaced_folder(model.folder, overwrite=True) as unfinished:
        for name in KEPT:
            if (trained / name).is_file():
                shutil.copyfile(trained / name, unfinished / name)
        weights = load_file(trained / WEIGHT_FILE)
        halved = {name: weight.half() for name, weight in weights.items()}
        if not all(weight.isfinite().all() for weight in halved.values()):
            raise ValueError(f"{trained} has weights too large for float16")
        save_file(halved, unfinished / WEIGHT_FILE, metadata={"format": "pt"})
        (unfinished / WEIGHT_FILE).chmod(0o644)  # safetensors writes for the owner alone


def score(model: ZooModel, data: Path, limit: int | None) -> None:
    part = [] if limit is None else ["--limit", str(limit)]
    how = [*SCORED_BY[model.task].split(), "--worst", "0", *part]
    words = ["evaluate", model.name, *how, "--data", str(data.resolve())]
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # so that the command in the card names no folder of ours
        try:
            if cli.main(words):
                raise ValueError(f"{model.name} was not scored")
        finally:
            os.chdir(here)
        record_evaluation(model.folder, Path(folder, "evaluation", "results.json"))


def show(model: ZooModel, data: Path, name: str | None) -> None:
    """Input, output and truth of one picture, whole and enlarged."""
    test_set = open_sets(str(data), **SHOWN_BY[model.task])[0]
    names = [test_set.picture_name(index) for index in range(len(test_set))]
    if name not in (None, *names):
        raise ValueError(f"{data} has no picture {name}; the first is {names[0]}")
    number = names.index(name) if name else 0
    restorer = load_restorer(model.name)
    sample, prediction = restore_sample(restorer, test_set, number)
    scores = PictureScores(test_set.score(prediction, sample.target), number, sample.name)
    sheet = draw_sheet([row[:3] for row in before_after(sample, prediction, scores)])
    sheet.convert("RGB").save(model.folder / "before-after.jpg", quality=88)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        model = find_model(options.name)
        refuse_another_kind(options.trained, model)
        with put_back_unless_done(model.folder):
            store(options.trained, model)
            with torch.inference_mode():
                score(model, options.data, options.limit)
                show(model, options.data, options.show)
            card = write_card(model.folder)
    except (ValueError, OSError) as error:
        print(f"publish: {error}", file=sys.stderr)
        return 2
    print(card)
    return 0


if __name__ == "__main__":
    sys.exit(main())
