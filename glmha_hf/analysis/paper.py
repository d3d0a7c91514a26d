"""The paper's tables made again: its numbers beside ours, and why they differ."""

from __future__ import annotations

import functools
import json
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from ..registration import ZOO_CLASSES, zoo_class
from .complexity import Cost, Profile, profile
from .paper_numbers import ALPHA_PSNR, BENCHMARKS, TABLES, Benchmark, PaperRow, PaperTable
from .paper_reasons import INTRODUCTION, NOTES, REASONS
from .tables import markdown_table

NOT_MEASURED = "not measured"
PAPER_ALPHA = 0.6
BACKBONES = {"restormer": "Restormer", "mst": "MST-L", "mst_plus_plus": "MST++"}
Results = Sequence[dict[str, Any]]


def read_results(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The results of `glmha evaluate`, from its results.json files."""
    results: list[dict[str, Any]] = []
    for path in paths:
        try:
            results += json.loads(path.read_text(encoding="utf-8"))["results"]
        except (json.JSONDecodeError, KeyError, TypeError):
            raise ValueError(f"{path} is not a results.json of glmha evaluate") from None
    return results


@functools.cache
def counted(model_type: str, fields: str = "{}") -> Profile:
    """The profile of a full-size backbone; `fields` is JSON, so that it can be remembered."""
    return profile(zoo_class(ZOO_CLASSES[model_type][0])(**json.loads(fields)))


def cost_of(table: PaperTable, row: PaperRow) -> Cost:
    return counted(table.model_type, json.dumps(row.fields)).total


def cost_table(number: str, results: Results = ()) -> str:
    """One of Tables 1-4, 7 and 9."""
    table = TABLES[number]
    header = [
        "GLMHA in" if number == "9" else "attention",
        "GFLOPs, paper",
        "ours (conv + linear)",
        "deviation",
        "ours (every MAC)",
        "change, paper",
        "change, ours",
        "change, every MAC",
        "params (M), paper",
        "ours",
        "deviation",
        "paper's PSNR",
        "PSNR here",
    ]
    base = cost_of(table, table.rows[0])
    rows = [_cost_row(table, row, base, results) for row in table.rows]
    return _section(
        f"Table {number}: {table.title}",
        markdown_table(header, rows, left=1),
        REASONS[number],
    )


def _cost_row(table: PaperTable, row: PaperRow, base: Cost, results: Results) -> list[str]:
    cost, first = cost_of(table, row), table.rows[0]
    giga, every = cost.conv_linear_macs / 1e9, cost.macs / 1e9
    return [
        row.label,
        f"{row.gflops:.2f}",
        f"{giga:.2f}",
        signed(giga - row.gflops),
        f"{every:.2f}",
        signed(row.gflops - first.gflops),
        signed(giga - base.conv_linear_macs / 1e9),
        signed(every - base.macs / 1e9),
        f"{row.parameters:.2f}",
        f"{cost.parameters / 1e6:.3f}",
        signed(cost.parameters / 1e6 - row.parameters, 3),
        f"{row.psnr:.2f}",
        measured_psnr(table, row, cost.parameters, results),
    ]


def signed(value: float, digits: int = 2) -> str:
    """With its sign, a real minus, and no negative zero."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def measured_psnr(table: PaperTable, row: PaperRow, parameters: int, results: Results) -> str:
    """The mean PSNR of this very network over all the table's sets, where it was scored whole."""
    found: dict[str, float] = {}
    for each in results:
        same = (
            each.get("architecture") == table.model_type
            and each["protocol"] == table.protocol
            and each.get("parameters") == parameters
            and _same_attention(each, row)
            and "local_window" not in each
            and each["pictures"] >= table.sets.get(each["set"], math.inf)
        )
        if same:
            found[each["set"]] = float(each["means"]["psnr"])
    if set(found) != set(table.sets):
        return NOT_MEASURED
    return f"{math.fsum(found[name] for name in table.sets) / len(table.sets):.2f}"


def _same_attention(result: dict[str, Any], row: PaperRow) -> bool:
    wanted = row.fields["attention"]
    if isinstance(wanted, list) and len(set(wanted)) == 1:
        wanted = wanted[0]
    guided = "glmha" in (wanted if isinstance(wanted, list) else [wanted])
    same_alpha = result.get("alpha") == row.fields.get("alpha", PAPER_ALPHA)
    return result.get("attention") == wanted and (same_alpha or not guided)


def alpha_table(results: Results = ()) -> str:
    """Table 8: a matter of training alone, so all rows cost as much as Table 7's at 50%."""
    table = TABLES["7"]
    half = next(row for row in table.rows if row.fields.get("kv_reduction") == 0.5)
    parameters = cost_of(table, half).parameters
    rows = []
    for alpha, psnr in ALPHA_PSNR.items():
        row = replace(half, fields=half.fields | {"alpha": alpha})
        measured = measured_psnr(table, row, parameters, results)
        rows.append([f"{alpha:g}", f"{psnr:.2f}", measured])
    lines = markdown_table(["α", "paper's PSNR", "PSNR here"], rows, left=0)
    return _section("Table 8: The scaling factor α (Restormer, deraining)", lines, REASONS["8"])


def benchmark_table(number: str, results: Results = ()) -> str:
    """Table 5 or 6: the published methods, and every model that was scored here."""
    halves = [each for each in BENCHMARKS if each.number == number]
    parts = [f"**{half.title}**\n\n{_benchmark(half, results)}" for half in halves]
    title = {"5": "spectral reconstruction", "6": "deblurring and deraining"}[number]
    body = "\n\n".join(parts)
    return _section(f"Table {number}: The state of the art in {title}", body, REASONS[number])


def _benchmark(half: Benchmark, results: Results) -> str:
    header = ["model", "numbers from", "GFLOPs", "params (M)", "PSNR"]
    rows = [
        [each.name, each.source, f"{each.gflops:.2f}", f"{each.parameters:.2f}", f"{each.psnr:.2f}"]
        for each in half.methods
    ]
    ours = [
        each for each in results if each["protocol"] == half.protocol and "architecture" in each
    ]
    rows += [
        [
            f"{each['model']} (ours)",
            f"measured here: {each['set']}, {each['pictures']} pictures",
            "",
            f"{each['parameters'] / 1e6:.2f}",
            f"{float(each['means']['psnr']):.2f}",
        ]
        for each in ours
    ]
    if not ours:
        rows.append(["ours", "glmha evaluate … and --results", "", "", NOT_MEASURED])
    return markdown_table(header, rows)


def saved_by_equation(n: int, heads: int, rank: int, kernel: int) -> float:
    """Eq. (8)'s numerator over r: parameters that one layer's projections save; r = C/C'."""
    r = n / (heads * rank)
    return 2 * n**2 - 2 * n**2 / r - n**2 / heads**2 - n * kernel**2


def equation_table(results: Results = ()) -> str:
    """Eq. (8) against the parameters counted in the networks, a line a level."""
    header = [
        *("backbone", "level", "n", "h", "r"),
        *("Eq. (8) saves", "share of 3n²", "counted", "of that, depth-wise", "difference"),
    ]
    rows = [row for model_type in ZOO_CLASSES for row in _equation_rows(model_type)]
    title = "Equation (8): parameters saved in a layer, reduction 50%"
    return _section(title, markdown_table(header, rows), REASONS["eq8"])


def _equation_rows(model_type: str) -> list[list[str]]:
    """A row for each level and width: Restormer's first level is twice as wide on the way up."""
    full, low = (_attention_layers(model_type, name) for name in ("csa", "glmha"))
    rows: dict[tuple[int, int], list[str]] = {}
    for (level, before), (_, after) in zip(full, low, strict=True):
        mixer = after.mixer
        n, heads = mixer.heads * mixer.head_channels, mixer.heads
        kept = mixer.kv_channels
        depthwise = 18 * (n - kept) if model_type == "restormer" else 0
        formula = saved_by_equation(n, heads, kept // heads, mixer.kernel_size)
        counted_saving = _parameters(before) - _parameters(after)
        rows[level, n] = [
            BACKBONES[model_type],
            str(level + 1),
            str(n),
            str(heads),
            f"{n / kept:.3f}",
            f"{formula:,.0f}".replace("-", "−"),
            f"{formula / (3 * n**2):.1%}".replace("-", "−"),
            f"{counted_saving:,}".replace("-", "−"),
            f"{depthwise:,}",
            f"{round(counted_saving - depthwise - formula)}",
        ]
    return [rows[place] for place in sorted(rows)]


def _attention_layers(model_type: str, attention: str) -> list[tuple[int, Any]]:
    """The level and the attention layer of each block of a full-size network, without memory."""
    configuration, network, _ = ZOO_CLASSES[model_type]
    config = zoo_class(configuration)(attention=attention)
    with torch.device("meta"):
        model = zoo_class(network)(config)
    layers = [
        block.attention
        for block in model.modules()
        if isinstance(block, GradientCheckpointingLayer)
    ]
    return list(zip(config.block_levels, layers, strict=True))


def _parameters(layer: Any) -> int:
    return sum(parameter.numel() for parameter in layer.parameters())


SECTIONS: dict[str, Callable[[Results], str]] = {
    **{number: functools.partial(cost_table, number) for number in ("1", "2", "3", "4")},
    "5": functools.partial(benchmark_table, "5"),
    "6": functools.partial(benchmark_table, "6"),
    "7": functools.partial(cost_table, "7"),
    "8": alpha_table,
    "9": functools.partial(cost_table, "9"),
    "eq8": equation_table,
}


def paper_page(command: str, results: Results = ()) -> str:
    """Everything, with the command that makes it on top."""
    sections = [make(results) for make in SECTIONS.values()]
    return "\n\n".join([INTRODUCTION.format(command=command), *sections, NOTES]) + "\n"


def _section(title: str, body: str, reason: str) -> str:
    return f"## {title}\n\n{body}\n\n{textwrap.fill(reason, 100, break_on_hyphens=False)}"
