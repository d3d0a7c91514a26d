import argparse
import json
import re
from pathlib import Path

import pytest

from glmha_hf.analysis.paper import (
    SECTIONS,
    cost_of,
    measured_psnr,
    paper_page,
    read_results,
    saved_by_equation,
    signed,
)
from glmha_hf.analysis.paper_numbers import ALPHA_PSNR, BENCHMARKS, TABLES
from glmha_hf.cli import paper
from tests.evaluation.conftest import save_arad, save_cassi, save_network, save_pairs

PAGE = Path(__file__).parents[2] / "docs" / "paper.md"


def run(*arguments):
    parser = argparse.ArgumentParser()
    paper.add_arguments(parser)
    paper.run(parser.parse_args([str(argument) for argument in arguments]))


def rain_results(**changes):
    """Results of the full-size deraining Restormer on the five sets, 30, 31, ... 34 dB."""
    table = TABLES["4"]
    return [
        {
            "model": "mine",
            "architecture": "restormer",
            "attention": "csa",
            "parameters": 26126644,
            "set": name,
            "protocol": "deraining",
            "settings": {},
            "pictures": count,
            "means": {"psnr": 30.0 + number},
            **changes,
        }
        for number, (name, count) in enumerate(table.sets.items())
    ]


@pytest.mark.parametrize(
    ("number", "row", "parameters", "conv_linear", "every"),
    [
        ("1", 0, 1_619_625, 20.963, 22.191),
        ("1", 4, 1_569_870, 20.049, 20.683),
        ("2", 0, 2_018_156, 25.666, 27.336),
        ("2", 4, 1_940_540, 24.279, 25.113),
        ("4", 0, 26_126_644, 140.990, 154.882),
        ("7", 1, 25_409_236, 135.433, 145.851),
        ("7", 2, 24_467_764, 129.874, 136.820),
        ("7", 3, 23_526_292, 124.316, 127.788),
        ("7", 4, 22_977_100, 121.073, 122.520),
        ("9", 1, 26_126_644, 134.989, None),
        ("9", 2, 26_043_700, 133.007, None),
        ("9", 3, 25_628_980, 131.110, None),
        ("9", 4, 24_467_764, 129.874, None),
    ],
)
def test_the_counts_of_the_full_size_networks(number, row, parameters, conv_linear, every):
    table = TABLES[number]
    cost = cost_of(table, table.rows[row])
    assert cost.parameters == parameters
    assert cost.conv_linear_macs / 1e9 == pytest.approx(conv_linear, abs=5e-4)
    assert every is None or cost.macs / 1e9 == pytest.approx(every, abs=5e-4)


def test_the_paper_s_numbers_as_printed():
    assert [len(TABLES[n].rows) for n in ("1", "2", "3", "4", "7", "9")] == [5] * 6
    assert TABLES["3"].rows[-1].gflops == 133.27
    assert TABLES["4"].rows[-1].psnr == TABLES["7"].rows[2].psnr == ALPHA_PSNR[0.6] == 33.86
    assert [half.number for half in BENCHMARKS] == ["5", "5", "6", "6"]
    assert all(len(half.methods) == 6 for half in BENCHMARKS)


@pytest.mark.parametrize(("n", "heads", "rank"), [(48, 1, 24), (96, 2, 12), (62, 2, 16)])
def test_equation_8_is_the_difference_of_the_projections(n, heads, rank):
    full = 3 * n * n
    low = n * n + 2 * n * heads * rank + (n // heads) ** 2 + n * 9
    assert saved_by_equation(n, heads, rank, 3) == pytest.approx(full - low)


def test_equation_8_agrees_with_every_counted_layer():
    rows = [line for line in SECTIONS["eq8"](()).splitlines() if re.match(r"\| (Rest|MST)", line)]
    assert len(rows) == 11
    assert all(row.split("|")[-2].strip() == "0" for row in rows)


def test_the_page_has_everything_and_invents_nothing():
    page = paper_page("glmha paper")
    assert page.startswith("# The paper's tables, made again\n\n```bash\nglmha paper\n```")
    titles = re.findall(r"^## (Table \d|Equation|Figures)", page, re.MULTILINE)
    assert titles == [*(f"Table {n}" for n in range(1, 10)), "Equation", "Figures"]
    assert page.count("not measured") >= 30 + 5 + 4


def test_the_committed_page_is_what_the_command_writes():
    assert PAGE.read_text(encoding="utf-8") == paper_page("glmha paper")


def test_a_measured_psnr_needs_the_very_network_on_all_sets():
    table = TABLES["4"]
    csa, glmha = table.rows[0], table.rows[-1]
    assert measured_psnr(table, csa, 26126644, rain_results()) == "32.00"
    for results in (
        rain_results()[:4],
        rain_results(pictures=9),
        rain_results(parameters=1_000_000),
        rain_results(protocol="denoising"),
        rain_results(local_window=256),
    ):
        assert measured_psnr(table, csa, 26126644, results) == "not measured"
    assert measured_psnr(table, glmha, 24467764, rain_results()) == "not measured"


def test_table_8_tells_one_alpha_from_another():
    glmha = {"attention": "glmha", "parameters": 24467764}
    results = [each | glmha | {"alpha": 0.4} for each in rain_results()]
    lines = [line for line in SECTIONS["8"](results).splitlines() if line.startswith("| 0.")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {alpha: here for alpha, _, here in rows} == {
        "0.3": "not measured",
        "0.4": "32.00",
        "0.5": "not measured",
        "0.6": "not measured",
        "0.7": "not measured",
    }
    assert "32.00" not in SECTIONS["7"](results)


def test_results_show_in_the_tables(tmp_path, capsys):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"results": rain_results()}))
    run("4", "6", "--results", path)
    printed = capsys.readouterr().out
    assert re.search(r"\| CSA .* 33\.94 \| +32\.00 \|", printed)
    assert "mine (ours)" in printed
    assert "measured here: Rain100H, 100 pictures" in printed


def test_the_page_is_written_to_a_file(tmp_path, capsys):
    run("8", "--output", tmp_path / "table8.md")
    assert (tmp_path / "table8.md").read_text().startswith("## Table 8")
    assert capsys.readouterr().out.strip() == str(tmp_path / "table8.md")


def test_other_files_are_no_results(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(ValueError, match=r"is not a results\.json of glmha evaluate"):
        read_results([tmp_path / "x.json"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["10"], "the paper has no '10' here"),
        (["figure1", "4"], "figures one at a time"),
        (["figure5"], "figure5 needs --model and --data"),
        (["figure5", "--model", "input", "--data", "{tmp}/Rain100L"], "figure5 is not of data"),
        (["figure7", "--model", "input", "--data", "{tmp}/Rain100L"], "figures show models"),
    ],
)
def test_what_the_paper_does_not_have_is_refused(arguments, message, tmp_path):
    save_pairs(tmp_path / "Rain100L", 1)
    with pytest.raises(ValueError, match=message):
        run(*(part.format(tmp=tmp_path) for part in arguments))


@pytest.mark.parametrize("value", [-6.456, 0.0, -0.0001, 2.5])
def test_signs(value):
    assert signed(value) == {-6.456: "−6.46", 0.0: "0.00", -0.0001: "0.00", 2.5: "+2.50"}[value]


def test_figures_1_and_7(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    from tests.models.small import small_model

    data = save_pairs(tmp_path / "Rain100L", 2, height=32, width=40)
    model = save_network(tmp_path / "small", small_model("restormer"))
    common = ["--model", model, "--data", data]
    run("figure1", *common, "--output", tmp_path / "one.png")
    assert "kv_reduction=[" in capsys.readouterr().out
    run("figure7", *common, "--output", tmp_path / "seven.png", "--box", 2, 2, 16, 20)
    assert (tmp_path / "one.png").stat().st_size > 10_000
    assert (tmp_path / "seven.png").stat().st_size > 2_000


@pytest.mark.parametrize("figure", ["figure5", "figure6"])
def test_figures_5_and_6(figure, tmp_path):
    pytest.importorskip("matplotlib")
    import glmha_hf

    if figure == "figure5":
        data = save_arad(tmp_path / "arad")
        config = glmha_hf.MstPlusPlusConfig(num_stages=1)
        network = glmha_hf.MstPlusPlusForSpectralReconstruction(config)
    else:
        data = save_cassi(tmp_path / "cassi")
        config = glmha_hf.MstConfig(num_blocks=(1, 1))
        network = glmha_hf.MstForSpectralReconstruction(config)
    model = save_network(tmp_path / "small", network)
    run(figure, "--model", model, "--data", data, "--output", tmp_path / "out.png")
    assert (tmp_path / "out.png").is_file()
    assert (tmp_path / "out-spectra.png").is_file()
