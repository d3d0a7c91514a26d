"""The page about a comparison, made of its tables alone: no number in it is written by hand."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..analysis.paper import signed
from ..analysis.paper_numbers import PaperRow
from ..analysis.tables import markdown_table
from ..files import replaced_file
from ..metrics.names import UNITS, format_score
from .figures import plot_costs, plot_curves
from .findings import PAPER_METRIC, Findings, in_words, sentences
from .method import INTRODUCTION, LIMITS, METHOD, RANKS, TIMES
from .plan import Comparison, Group, TableRecipe
from .ranks import SHARES, first_table
from .results import Results, Row, read_rows
from .statistics import Summary
from .timing import read_times


def write_report(comparison: Comparison, results: Results, page: Path, *, command: str) -> None:
    """The page and its figures, which lie in the results' folder."""
    rows = results.cells()
    found = [
        Findings(group, [row for row in rows if row["group"] == group.name])
        for group in comparison.groups
    ]
    sections = [
        INTRODUCTION.format(command=f"{command} --report", folder=results.folder.name),
        "## What was done\n\n" + budget_table(found) + "\n\n" + METHOD,
        LIMITS,
        "## In short\n\n" + in_short(found),
        *(group_section(each, results, page, command=command) for each in found),
    ]
    with replaced_file(page) as unfinished:
        unfinished.write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def budget_table(found: Sequence[Findings]) -> str:
    """What each group's cells learn from, and how many of them are done."""
    header = ["group", "updates", "patches a batch", "side", "loss", "peak rate", "scored on",
              "protocol", "seeds", "cells done"]  # fmt: skip
    rows = []
    for each in found:
        recipe = each.group.recipe_with({})
        assert recipe.validation is not None
        wanted = len(each.group.trained) * len(each.group.recipe.seeds)
        done = sum(each.finished(variant) for variant in each.group.trained)
        scored = {str(row["examples"]) for row in each.rows}
        rows.append(
            [
                each.group.name,
                f"{recipe.iterations:,}",
                ", ".join(str(stage.batch) for stage in recipe.stages),
                ", ".join(str(stage.patch) for stage in recipe.stages),
                " + ".join(f"{weight:g} {name}" for name, weight in recipe.loss.items()),
                f"{recipe.learning_rate.peak:g}",
                ", ".join(sorted(scored)) or "-",
                recipe.validation.protocol,
                str(len(each.group.recipe.seeds)),
                f"{done} of {wanted}",
            ]
        )
    return markdown_table(header, rows, left=1)


def in_short(found: Sequence[Findings]) -> str:
    """The sentences of each group's first table."""
    lines = []
    for each in found:
        table = each.group.recipe.tables[0]
        told = " ".join(table_sentences(each, table))
        lines.append(_wrap(f"- **{each.group.title}**: {told or 'nothing is finished yet.'}", "  "))
    return "\n".join(lines)


def table_sentences(findings: Findings, table: TableRecipe) -> list[str]:
    paper = findings.paper(table.paper)
    against = table.against or (findings.group.reference,)
    return [line for each in against for line in sentences(findings, table.variants, each, paper)]


def group_section(findings: Findings, results: Results, page: Path, *, command: str) -> str:
    group = findings.group
    data = " ".join(f"--data {name}=PATH" for name in group.recipe.places.values())
    parts = [
        f"## {group.title}",
        f"```bash\n{command} {data} --only '{group.name}/*'\n```",
        _provenance(findings),
    ]
    for table in group.recipe.tables:
        parts.append(f"### {table.title}" + (f" (Table {table.paper})" if table.paper else ""))
        parts.append(score_table(findings, table))
        parts += [reductions_by_seed(findings, variant) for variant in table.variants]
        parts += [
            difference_table(findings, table, against)
            for against in table.against or (group.reference,)
        ]
        parts += [_wrap(line) for line in table_sentences(findings, table)]
    parts += figures(findings, results, page)
    parts += _section(read_times(results.folder / "times.csv"), group, TIMES, time_table, command)
    parts += _section(read_rows(results.folder / "ranks.csv"), group, RANKS, rank_table, command)
    figure = results.folder / f"{group.name}-ranks.png"
    if figure.is_file():
        parts.append(_picture("Eigenvalues of the trained models' attention maps", figure, page))
    return "\n\n".join(part for part in parts if part)


def _provenance(findings: Findings) -> str:
    """Where and with what the cells ran, and what their inputs score by themselves."""
    rows = findings.rows
    if not rows:
        return "No cell is done yet."
    inputs = [
        f"{UNITS[metric]} {format_score(metric, rows[0][f'input_{metric}'])}"
        for metric in findings.metrics
        if rows[0].get(f"input_{metric}") is not None
    ]
    told = [
        f"Trained on {_all(rows, 'device')} with torch {_all(rows, 'torch')}, "
        f"at commits {_all(rows, 'commit')}; the median cell took "
        f"{statistics.median(row['seconds'] for row in rows):.0f} s, other programs running beside."
    ]
    if inputs:
        told.append(f"The degraded inputs themselves: {', '.join(inputs)}.")
    return _wrap(" ".join(told))


def _all(rows: Iterable[Row], column: str) -> str:
    return ", ".join(sorted({str(row[column]) for row in rows}))


def score_table(findings: Findings, table: TableRecipe) -> str:
    """Costs and scores here, and the paper's changes of cost and PSNR beside them."""
    group, names = findings.group, findings.group.names
    paper = findings.paper(table.paper)
    first = paper.get(names[table.variants[0]])
    header = ["variant", "parameters", "change", "MACs (G)", "change"]
    header += [UNITS[metric] for metric in findings.metrics]
    if paper:
        header += ["paper: parameters", "paper: GFLOPs", "paper: PSNR (dB)"]
    base = findings.cost(group.reference)
    assert base is not None
    rows = []
    for variant in table.variants:
        cost = findings.cost(variant)
        row = [variant, *["-"] * 4]
        if cost is not None:
            row[1:] = [
                f"{cost.parameters:,}",
                _percent(cost.parameters, base.parameters),
                f"{cost.macs / 1e9:.3f}",
                _percent(cost.macs, base.macs),
            ]
        row += [score_cell(findings, variant, metric) for metric in findings.metrics]
        if paper:
            row += _paper_cells(paper.get(names[variant]), first)
        rows.append(row)
    return markdown_table(header, rows, left=1)


def score_cell(findings: Findings, variant: str, metric: str) -> str:
    """Mean ± standard deviation, or how many seeds are there."""
    summary = findings.summary(variant, metric)
    if summary is None:
        return f"-, {findings.finished(variant)} of {len(findings.group.recipe.seeds)} seeds"
    mean = format_score(metric, summary.mean)
    deviation = summary.deviation
    return mean if deviation is None else f"{mean} ± {format_score(metric, deviation)}"


def reductions_by_seed(findings: Findings, variant: str) -> str:
    """Which reductions the ranks suggested, where a variant takes them from there."""
    if not findings.group.waits_for_ranks(findings.group.names[variant]):
        return ""
    told = [
        f"seed {row['seed']}: {row['kv_reduction'].strip('[]')}"
        for row in findings.rows
        if row["variant"] == findings.group.names[variant]
    ]
    return _wrap(f"The reductions of {variant}, level by level: {'; '.join(told) or '-'}.")


def _paper_cells(row: PaperRow | None, first: PaperRow | None) -> list[str]:
    if row is None:
        return ["", "", ""]
    costs = ["", ""]
    if first is not None:
        costs = [_percent(row.parameters, first.parameters), _percent(row.gflops, first.gflops)]
    return [*costs, f"{row.psnr:.2f}"]


def _percent(value: float, base: float) -> str:
    return f"{signed(100 * (value / base - 1), 1)}%"


def difference_table(findings: Findings, table: TableRecipe, against: str) -> str:
    """Each variant less `against`, seed by seed: the mean with twice its standard error."""
    names = findings.group.names
    paper = findings.paper(table.paper)
    base = paper.get(names[against])
    header = [f"less {against}"]
    for metric in findings.metrics:
        header += [UNITS[metric], "verdict"]
    if base is not None:
        header.append("paper: PSNR (dB)")
    rows = []
    for variant in table.variants:
        if names[variant] == names[against]:
            continue
        row = [variant]
        for metric in findings.metrics:
            found = findings.difference(variant, against, metric)
            row += [in_words(found, metric), findings.verdict(variant, against, metric)]
        if base is not None:
            theirs = paper.get(names[variant])
            row.append("" if theirs is None else signed(theirs.psnr - base.psnr))
        rows.append(row)
    return markdown_table(header, rows, left=1)


def figures(findings: Findings, results: Results, page: Path) -> list[str]:
    """Learning curves of the first table's variants, and scores by cost where there are two."""
    group = findings.group
    panels = {table.title: _points(findings, table) for table in group.recipe.tables}
    panels = {title: points for title, points in panels.items() if len(points) > 1}
    if not panels:
        return []
    curves, costs = (results.folder / f"{group.name}-{what}.png" for what in ("curves", "costs"))
    rows = [row for row in results.curves() if row["group"] == group.name]
    plot_curves(rows, first_table(group), PAPER_METRIC, curves, title=group.title)
    plot_costs(panels, PAPER_METRIC, costs)
    return [
        _picture("Learning curves, mean and standard deviation over seeds", curves, page),
        _picture("PSNR against multiply-accumulates, with standard deviations", costs, page),
    ]


def _points(findings: Findings, table: TableRecipe) -> dict[str, tuple[float, Summary]]:
    """MACs and score of the table's finished variants."""
    points: dict[str, tuple[float, Summary]] = {}
    for variant in table.variants:
        summary = findings.summary(variant, PAPER_METRIC)
        cost = findings.cost(variant)
        if summary is not None and cost is not None:
            points[variant] = (cost.macs, summary)
    return points


def _picture(title: str, path: Path, page: Path) -> str:
    return f"![{title}]({path.relative_to(page.parent).as_posix()})"


def _section(
    rows: Sequence[Row],
    group: Group,
    text: str,
    table: Callable[[Sequence[Row]], str],
    command: str,
) -> list[str]:
    """A text with its command and a table, where there is something to put into it."""
    chosen = [row for row in rows if row["group"] == group.name]
    filled = text.format(command=command, group=group.name)
    return [filled, table(chosen)] if chosen else []


def time_table(rows: Sequence[Row]) -> str:
    header = ["attention", "form", "dtype", "ms", "ratio"]
    return markdown_table(
        header,
        [
            [row["attention"], row["form"], row["dtype"], f"{row['milliseconds']:.0f}",
             f"{row['ratio']:.2f}"]
            for row in rows
        ],
        left=3,
    )  # fmt: skip


def rank_table(rows: Sequence[Row]) -> str:
    """Means over the seeds, a row a variant and level."""
    places = dict.fromkeys((row["variant"], row["level"]) for row in rows)
    lines = []
    for variant, level in places:
        own = [row for row in rows if (row["variant"], row["level"]) == (variant, level)]
        shares = [statistics.fmean(row[name] for row in own) for name in SHARES]
        lines.append([variant, str(level), *(f"{share:.0%}" for share in shares), str(len(own))])
    header = ["variant", "level", *(f"{energy:.0%} of energy" for energy in SHARES.values()),
              "seeds"]  # fmt: skip
    return markdown_table(header, lines, left=1)


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, 100, break_on_hyphens=False, break_long_words=False, subsequent_indent=indent
    )
