"""The page of made-up results: what it says, and what it leaves unsaid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glmha_hf.analysis.benchmark import Measurement
from glmha_hf.analysis.benchmark_cases import Case
from glmha_hf.analysis.benchmark_subjects import RandomWeights
from glmha_hf.comparison import timing
from glmha_hf.comparison.findings import Findings, sentences
from glmha_hf.comparison.plan import Comparison
from glmha_hf.comparison.report import reductions_by_seed, write_report
from glmha_hf.comparison.results import Results

Load = Callable[..., Comparison]
SCORES = {
    "csa": (30.0, 30.1, 30.2),
    "glmha": (30.02, 30.08, 30.2),  # no different
    "linformer": (31.0, 31.1, 31.2),  # better; the paper has it worse
    "performer": (25.0, 25.1, 25.3),  # worse, as in the paper
    "reformer": (30.0, 30.1),  # a seed is missing
}


@pytest.fixture
def comparison(tiny: Load) -> Comparison:
    variants = {name: {"model.attention": name} for name in SCORES}
    table = {"title": "Five attentions", "paper": "4", "variants": list(SCORES)}
    return tiny(
        seeds=[0, 1, 2],
        variants={**variants, "low rank": {"model.attention": "glmha", "model.kv_reduction": 0.5}},
        tables=[table, {"title": "Shared", "variants": ["csa", "low rank"]}],
    )


@pytest.fixture
def results(comparison: Comparison, tmp_path: Path) -> Results:
    results = Results(tmp_path / "docs" / "comparison")
    [group] = comparison.groups
    for variant, scores in SCORES.items():
        for seed, psnr in enumerate(scores):
            key = {
                "group": "noise",
                "variant": variant,
                "seed": seed,
                "fingerprint": group.budget.fingerprint,
            }
            result = {
                **key,
                "iterations": 4,
                "patches": 8,
                "parameters": 1000 if variant == "csa" else 900,
                "macs": 2_000_000_000,
                "examples": 2,
                "psnr": psnr,
                "ssim": 0.9,
                "input_psnr": 20.0,
                "seconds": 60,
                "device": "cpu, 1 threads",
                "torch": "2.13.0",
                "commit": "abc",
            }
            curve = [{**key, "iteration": i, "psnr": psnr - 4 + i, "ssim": 0.5} for i in (2, 4)]
            results.add(result, curve)
    return results


@pytest.fixture
def page(comparison: Comparison, results: Results, tmp_path: Path) -> str:
    path = tmp_path / "docs" / "comparison.md"
    write_report(comparison, results, path, command="python training/compare.py tiny.yaml")
    return path.read_text()


def cells(page: str, start: str, table: int = 0) -> list[str]:
    lines = [line for line in page.splitlines() if line.startswith(f"| {start} ")]
    return [cell.strip() for cell in lines[table].strip("| ").split("|")]


def test_scores_have_their_spread_and_the_papers_numbers_beside_them(page: str) -> None:
    assert cells(page, "csa")[1:6] == ["1,000", "0.0%", "2.000", "0.0%", "30.10 ± 0.10"]
    assert cells(page, "glmha")[1:3] == ["900", "−10.0%"]
    assert cells(page, "csa")[-1] == "33.94"
    assert cells(page, "performer")[-3:] == ["0.0%", "−1.0%", "29.55"]


def test_unfinished_cells_are_shown_as_unfinished(page: str) -> None:
    assert cells(page, "reformer")[5] == "-, 2 of 3 seeds"
    assert "unfinished" in cells(page, "reformer", table=1)
    assert cells(page, "noise")[-1] == "14 of 15"


def test_verdicts_follow_from_the_numbers(comparison: Comparison, page: str) -> None:
    assert cells(page, "linformer", table=1)[1:3] == ["+1.00 ± 0.00", "better"]
    assert cells(page, "performer", table=1)[-1] == "−4.39"
    text = " ".join(page.split())
    assert (
        "Against csa, by PSNR: better: linformer; worse: performer; no difference beyond the "
        "spread: glmha; unfinished: reformer." in text
    )
    assert "As in the paper: performer (the paper: −4.39 dB)." in text
    assert "Other than in the paper: linformer (the paper: −0.25 dB)." in text


def test_a_shared_cell_counts_in_every_table(page: str) -> None:
    assert cells(page, "low rank")[5] == cells(page, "glmha")[5] == "30.10 ± 0.09"


def test_reductions_from_ranks_are_told(tiny: Load) -> None:
    ranks = {"model.attention": "glmha", "model.kv_reduction": "from_ranks"}
    [group] = tiny(variants={"csa": {}, "ranks": ranks}, tables=[]).groups
    row = {"variant": "ranks", "seed": 1, "kv_reduction": "[0.4, 0.6]"}
    assert reductions_by_seed(Findings(group, [row]), "csa") == ""
    assert reductions_by_seed(Findings(group, [row]), "ranks") == (
        "The reductions of ranks, level by level: seed 1: 0.4, 0.6."
    )


def test_nothing_is_said_of_nothing(comparison: Comparison) -> None:
    findings = Findings(comparison.groups[0], [])
    assert sentences(findings, ["csa"], "csa", {}) == []
    assert sentences(findings, ["csa", "glmha"], "csa", {}) == [
        "Against csa, by PSNR: unfinished: glmha."
    ]
    assert findings.cost("glmha") is not None


def test_commands_and_pictures_stand_with_what_they_make(page: str, results: Results) -> None:
    assert "```bash\npython training/compare.py tiny.yaml --report\n```" in page
    assert "tiny.yaml --data photos=PATH --only 'noise/*'\n" in page
    for name in ("noise-curves.png", "noise-costs.png"):
        assert f"](comparison/{name})" in page
        assert (results.folder / name).stat().st_size > 1000


def test_times_are_ratios_to_the_reference_in_the_same_form(
    comparison: Comparison, results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(subject: RandomWeights, **_: Any) -> list[Measurement]:
        seconds = {"csa": 0.2, "glmha": 0.15}
        unread = dict.fromkeys(
            ("fastest", "first", "microseconds_per_pixel", "ratio", "gmacs", "share_of_peak"), 0.0
        )
        return [
            Measurement(
                case=Case(name, form, "float32", *size),
                seconds=seconds.get(name, 0.3) / (2 if form == "fused" else 1),
                **unread,
            )
            for size in subject.sizes
            for name in subject.attentions
            for form in ("published", "fused")
        ]

    monkeypatch.setattr(timing, "benchmark", measure)
    [group] = comparison.groups
    rows = timing.time_group(group, repeats=1, device="cpu", report=print)
    for _ in range(2):  # what was measured before is replaced
        timing.store_times(results.folder / "times.csv", rows)
    assert len(timing.read_times(results.folder / "times.csv")) == 10
    path = tmp_path / "docs" / "comparison.md"
    write_report(comparison, results, path, command="compare")
    page = path.read_text()
    assert "compare --only 'noise/*' --time" in page
    assert "| glmha     | published | float32 | 150 |  0.75 |" in page
    assert "| performer | fused     | float32 | 150 |  1.50 |" in page
