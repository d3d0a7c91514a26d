"""What a group's results say, by rule: scores by seed, verdicts, and sentences made of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

from ..analysis.complexity import Cost
from ..analysis.paper import signed
from ..analysis.paper_numbers import ALPHA_PSNR, TABLES, PaperRow
from ..metrics import HIGHER_IS_BETTER, get_protocol
from ..metrics.names import DECIMALS
from .costs import recipe_cost
from .plan import Group, identity
from .results import Row
from .statistics import Difference, Summary, Verdict, difference, judge, summarise

PAPER_METRIC = "psnr"
UNDECIDED: tuple[Verdict, ...] = ("no difference beyond the spread", "unfinished")


@dataclass(frozen=True)
class Findings:
    """A group and its rows of results."""

    group: Group
    rows: Sequence[Row]

    @functools.cached_property
    def metrics(self) -> tuple[str, ...]:
        validation = self.group.recipe_with({}).validation
        assert validation is not None
        return get_protocol(validation.protocol).keys

    def scores(self, variant: str, metric: str) -> dict[int, float]:
        """By seed; of the variant that it is trained as."""
        trained = self.group.names[variant]
        return {
            row["seed"]: row[metric]
            for row in self.rows
            if row["variant"] == trained and row["seed"] in self.group.recipe.seeds
        }

    def summary(self, variant: str, metric: str) -> Summary | None:
        """None before all seeds are there."""
        scores = self.scores(variant, metric)
        return summarise(scores) if len(scores) == len(self.group.recipe.seeds) else None

    def finished(self, variant: str) -> int:
        return len(self.scores(variant, self.metrics[0]))

    def difference(self, variant: str, against: str, metric: str) -> Difference | None:
        return difference(self.scores(variant, metric), self.scores(against, metric))

    def verdict(self, variant: str, against: str, metric: str) -> Verdict:
        return judge(
            self.scores(variant, metric),
            self.scores(against, metric),
            seeds=len(self.group.recipe.seeds),
            higher_is_better=HIGHER_IS_BETTER[metric],
        )

    def cost(self, variant: str) -> Cost | None:
        """As its cells counted it; the mean over them where ranks gave each its own reductions."""
        trained = self.group.names[variant]
        rows = [row for row in self.rows if row["variant"] == trained]
        if rows:
            parameters, macs = (
                round(sum(row[name] for row in rows) / len(rows)) for name in ("parameters", "macs")
            )
            return Cost(parameters, macs)
        if self.group.waits_for_ranks(trained):
            return None
        return recipe_cost(self.group.recipe_with(self.group.recipe.variants[trained]))

    @functools.cached_property
    def identities(self) -> dict[str, str]:
        """The names of the trained variants, by what they train."""
        settings = self.group.recipe.variants
        return {
            identity(self.group.recipe_with(settings[each])): each
            for each in self.group.trained
            if not self.group.waits_for_ranks(each)
        }

    def paper(self, number: str | None) -> dict[str, PaperRow]:
        """The rows of the paper's table, by the variant of ours that is the same attention."""
        if number is None:
            return {}
        found = {}
        for row in _rows_of_alpha() if number == "8" else TABLES[number].rows:
            fields = {f"model.{key}": value for key, value in row.fields.items()}
            name = self.identities.get(identity(self.group.recipe_with(fields)))
            if name is not None:
                found[name] = row
        return found


def _rows_of_alpha() -> tuple[PaperRow, ...]:
    """Table 8 is at Table 7's reduction of 50%."""
    half = next(row for row in TABLES["7"].rows if row.fields.get("kv_reduction") == 0.5)
    return tuple(
        dataclasses.replace(half, fields={**half.fields, "alpha": alpha}, psnr=psnr)
        for alpha, psnr in ALPHA_PSNR.items()
    )


def sentences(
    findings: Findings, variants: Sequence[str], against: str, paper: dict[str, PaperRow]
) -> list[str]:
    """What the table says by the paper's metric, and whether the paper says so too."""
    names = findings.group.names
    others = [each for each in variants if names[each] != names[against]]
    verdicts = {each: findings.verdict(each, against, PAPER_METRIC) for each in others}
    told = [
        f"{verdict}: {', '.join(found)}"
        for verdict in ("better", "worse", *UNDECIDED)
        if (found := [each for each in others if verdicts[each] == verdict])
    ]
    lines = [f"Against {against}, by PSNR: {'; '.join(told)}."] if told else []
    if names[against] not in paper:
        return lines
    same: list[str] = []
    opposite: list[str] = []
    for each in others:
        if names[each] not in paper or verdicts[each] in UNDECIDED:
            continue
        theirs = paper[names[each]].psnr - paper[names[against]].psnr
        agrees = theirs != 0 and (theirs > 0) == (verdicts[each] == "better")
        (same if agrees else opposite).append(f"{each} (the paper: {signed(theirs)} dB)")
    if same:
        lines.append(f"As in the paper: {', '.join(same)}.")
    if opposite:
        lines.append(f"Other than in the paper: {', '.join(opposite)}.")
    return lines


def in_words(found: Difference | None, metric: str) -> str:
    """A difference with twice its standard error."""
    if found is None:
        return "-"
    mean = signed(found.mean, DECIMALS[metric])
    if found.error is None:
        return f"{mean} (one seed)"
    return f"{mean} ± {2 * found.error:.{DECIMALS[metric]}f}"
