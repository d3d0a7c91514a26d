"""What a run comes to: a table, JSON, CSV, and the entry of a model card."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..analysis.tables import markdown_table
from ..hub.facts import storable
from ..metrics.model_index import index_entries, slug
from ..metrics.names import DECIMALS, UNITS, format_score
from .files import write_text
from .run import Result


def as_table(results: Sequence[Result], *, baselines: Sequence[str] = ()) -> str:
    """One Markdown table a protocol; a model on several sets gets their mean as well.

    With baselines among the results a second one says how far the models are ahead of them.
    """
    blocks = []
    for protocol in dict.fromkeys(result.protocol for result in results):
        mine = [result for result in results if result.protocol == protocol]
        keys = mine[0].scores.protocol.keys
        header = ["model", "set", "pictures", *(UNITS[key] for key in keys)]
        rows = [_row(result, keys) for result in mine] + _mean_rows(mine, keys)
        blocks.append(f"{protocol}\n\n{markdown_table(header, rows)}")
        if ahead := _margins(mine, keys, baselines):
            header = ["ahead by", "set", *(UNITS[key] for key in keys)]
            blocks.append(markdown_table(header, ahead))
    return "\n\n".join(blocks)


def _margins(
    results: Sequence[Result], keys: Sequence[str], baselines: Sequence[str]
) -> list[list[str]]:
    """A row for each model and baseline on each set; positive is ahead.

    MRAE and RMSE as the share of the baseline's error that is gone.
    """
    return [
        [f"{model.model} over {baseline.model}", model.set, *_ahead(model, baseline, keys)]
        for model in results
        for baseline in results
        if model.model not in baselines
        and baseline.model in baselines
        and model.set == baseline.set
    ]


def _ahead(model: Result, baseline: Result, keys: Sequence[str]) -> list[str]:
    ours, theirs = model.scores.mean(), baseline.scores.mean()
    cells = []
    for key in keys:
        if key in ("mrae", "rmse"):
            cells.append(f"{100 * (1 - ours[key] / theirs[key]):+.1f}%")
        else:
            gain = ours[key] - theirs[key] if key in ("psnr", "ssim") else theirs[key] - ours[key]
            cells.append(f"{gain:+.{DECIMALS[key]}f}")
    return cells


def _row(result: Result, keys: Sequence[str]) -> list[str]:
    name = result.set + (" (a part)" if "limit" in result.settings else "")
    means = result.scores.mean()
    return [
        result.model,
        name,
        str(len(result.scores)),
        *(format_score(key, means[key]) for key in keys),
    ]


def _mean_rows(results: Sequence[Result], keys: Sequence[str]) -> list[list[str]]:
    rows = []
    for model in dict.fromkeys(result.model for result in results):
        mine = [result.scores.mean() for result in results if result.model == model]
        if len(mine) > 1:
            means = (math.fsum(each[key] for each in mine) / len(mine) for key in keys)
            scores = (format_score(key, mean) for key, mean in zip(keys, means, strict=True))
            rows.append([model, f"mean of {len(mine)} sets", "", *scores])
    return rows


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Every mean and every picture; an infinite PSNR is the string "inf", which JSON can hold."""
    return {
        "results": [
            {
                "model": result.model,
                "fingerprint": result.fingerprint,
                **result.facts,
                "set": result.set,
                "protocol": result.protocol,
                "settings": result.settings,
                "pictures": len(result.scores),
                "means": storable(result.scores.mean()),
                "per_picture": [
                    {"index": each.index, "name": each.name, **storable(each.scores)}
                    for each in result.scores.pictures
                ],
            }
            for result in results
        ]
    }


def as_csv(results: Sequence[Result]) -> str:
    """One line a picture, every score with all its digits."""
    keys = list(dict.fromkeys(key for each in results for key in each.scores.protocol.keys))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "set", "protocol", "index", "name", *keys])
    for result in results:
        for each in result.scores.pictures:
            scores = [repr(each.scores[key]) if key in each.scores else "" for key in keys]
            writer.writerow(
                [result.model, result.set, result.protocol, each.index, each.name, *scores]
            )
    return text.getvalue()


def eval_results(results: Sequence[Result]) -> list[Any]:
    """One model's results as `huggingface_hub.EvalResult`s, for `ModelCardData(eval_results=…)`."""
    return [
        entry
        for result in results
        for entry in index_entries(
            result.protocol, result.set, result.settings, result.scores.mean()
        )
    ]


def model_index(results: Sequence[Result]) -> str:
    """The `model-index` of a model card, as YAML, for the results of one model."""
    import yaml
    from huggingface_hub.repocard_data import eval_results_to_model_index

    index = eval_results_to_model_index(results[0].model, eval_results(results))
    return yaml.safe_dump({"model-index": index}, sort_keys=False, allow_unicode=True)


def write_reports(
    results: Sequence[Result], folder: Path, *, json_text: str, baselines: Sequence[str] = ()
) -> list[Path]:
    """results.json, pictures.csv, table.md and a model-index for every model."""
    files = {
        folder / "results.json": json_text + "\n",
        folder / "pictures.csv": as_csv(results),
        folder / "table.md": as_table(results, baselines=baselines) + "\n",
    }
    for model in dict.fromkeys(result.model for result in results if result.facts):
        mine = [result for result in results if result.model == model]
        files[folder / f"model-index-{slug(model)}.yaml"] = model_index(mine)
    for path, text in files.items():
        write_text(path, text)
    return list(files)
