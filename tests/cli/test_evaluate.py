import argparse
import json

import pytest

from glmha_hf import MstPlusPlusConfig, MstPlusPlusForSpectralReconstruction
from glmha_hf.cli import evaluate
from tests.evaluation.conftest import save_arad, save_model, save_network, save_pairs


@pytest.fixture
def rain(tmp_path):
    return save_pairs(tmp_path / "test" / "Rain100L", 3)


def run(*arguments):
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    words = [str(argument) for argument in arguments]
    options = parser.parse_args(words)
    options.words = ["evaluate", *words]
    evaluate.run(options)


def test_the_table_and_all_reports(rain, tmp_path, capsys):
    model = save_model(tmp_path / "small", "restormer")
    run(model, "input", "--data", rain, "--output", tmp_path / "out", "--save-pictures")
    printed = capsys.readouterr()
    assert printed.out.startswith("deraining\n\n| model | set      | pictures | PSNR (dB) |")
    assert "small on Rain100L: 3/3" in printed.err
    made = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert made == {
        "journal-0.jsonl",
        "model-index-small.yaml",
        "pictures.csv",
        "results.json",
        "table.md",
        "worst/small on Rain100L (deraining).png",
        "worst/input on Rain100L (deraining).png",
        *(f"pictures/{name}/Rain100L/{n}.png" for name in ("small", "input") for n in range(3)),
    }


def test_json_is_what_the_file_holds(rain, tmp_path, capsys):
    run("input", "--data", rain, "--output", tmp_path / "out", "--json", "--worst", 0)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "results.json").read_text())
    assert printed["command"].startswith("glmha evaluate ")
    assert str(tmp_path) not in printed["command"]
    (result,) = printed["results"]
    assert (result["set"], result["protocol"], result["pictures"]) == ("Rain100L", "deraining", 3)
    assert [each["name"] for each in result["per_picture"]] == ["0.png", "1.png", "2.png"]


def test_the_second_run_says_what_was_done(rain, tmp_path, capsys):
    for _ in range(2):
        run("input", "--data", rain, "--output", tmp_path / "out", "--worst", 0)
    assert "3 pictures were done before" in capsys.readouterr().err


def test_local_statistics_stand_beside_the_whole_picture(tmp_path, capsys):
    rain = save_pairs(tmp_path / "test" / "Rain100L", 1, height=80, width=72)
    model = save_model(tmp_path / "small", "restormer")
    windows = ("--local", 64, 128)
    run(model, "input", "--data", rain, *windows, "--output", tmp_path / "out", "--json")
    whole, local, larger, nothing = json.loads(capsys.readouterr().out)["results"]
    names = ["small", "small, windows of 64", "small, windows of 128", "input"]
    assert [each["model"] for each in (whole, local, larger, nothing)] == names
    assert (local["local_window"], larger["local_window"]) == (64, 128)
    assert "local_window" not in whole
    assert local["means"]["psnr"] != whole["means"]["psnr"]
    assert larger["means"]["psnr"] == pytest.approx(whole["means"]["psnr"], abs=1e-3)
    assert len({each["fingerprint"] for each in (whole, local, larger)}) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["input", "--data", "nowhere"], "no folder nowhere"),
        (["--data", "{rain}"], "nothing to score: name a MODEL, input, or a --baseline"),
        (["input", "--data", "{rain}", "--limit", "0"], "--limit starts at 1, not 0"),
        (["input", "--data", "{rain}", "--sigma", "0"], "--sigma is above 0"),
        (["input", "--data", "{rain}", "--worst", "-1"], "--worst starts at 0"),
        (["input", "--data", "{rain}", "--output", "{rain}/input/0.png"], "needs a folder"),
        (["{rain}", "--data", "{rain}"], "is no model folder"),
        (["glmha-restormer-derain", "--data", "{rain}", "--local", "3"], "must be at least 64"),
        (["input", "--data", "{rain}", "--protocol", "cassi"], "holds pictures"),
    ],
)
def test_bad_input_is_one_line_before_anything_runs(arguments, message, rain, tmp_path):
    output = ["--output", tmp_path / "out"] if "--output" not in arguments else []
    with pytest.raises((ValueError, OSError)) as raised:
        run(*(part.format(rain=rain) for part in arguments), *output)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_baselines_stand_beside_the_model(tmp_path, capsys):
    root = save_arad(tmp_path / "ARAD", 3, height=280, width=270)
    names = [f"ARAD_1K_{number:04}" for number in range(901, 904)]
    (root / "split_txt" / "train_list.txt").write_text("\n".join(names[:2]))
    (root / "split_txt" / "valid_list.txt").write_text(names[2])
    network = MstPlusPlusForSpectralReconstruction(MstPlusPlusConfig(num_stages=1))
    model = save_network(tmp_path / "small", network)
    baselines = ("--baseline", "linear", "polynomial")
    run(model, "--data", root, *baselines, "--output", tmp_path / "out", "--worst", 1)
    table = capsys.readouterr().out
    for row in ("| small ", "| linear ", "| polynomial ", "| small over linear "):
        assert row in table
    assert (tmp_path / "out" / "table.md").read_text() == table
    sheets = {path.name for path in (tmp_path / "out" / "worst").iterdir()}
    assert "linear on ARAD-1K valid (ntire2022).png" in sheets
    assert not list((tmp_path / "out").glob("model-index-linear*"))
