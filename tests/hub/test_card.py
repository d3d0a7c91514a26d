"""Cards say what is in the folder, and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from glmha_hf import profile
from glmha_hf.cli import main
from glmha_hf.convert.conversion import processor_for
from glmha_hf.hub import card as cards
from glmha_hf.hub import zoo
from glmha_hf.hub.card import model_card, write_card
from glmha_hf.hub.facts import (
    TrainingRecord,
    portable_command,
    read_evaluation,
    record_evaluation,
)
from tests.models.small import small_model

RECORD = TrainingRecord(
    name="small",
    description="A small derainer.",
    command="accelerate launch training/train.py configs/smoke.yaml",
    data="clean `photos`, split train",
    iteration=400,
    iterations=500,
    weights="moving average",
    hours=0.25,
    protocol="deraining",
    validation="all pictures of `photos`, split test",
    scores={"psnr": 27.5, "ssim": 0.8},
    input_scores={"psnr": 25.25, "ssim": 0.75},
)
ROW = {"protocol": "deraining", "settings": {"limit": 4}, "set": "Rain100L", "pictures": 4}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return saved(tmp_path / "small", "restormer")


def saved(folder: Path, form: str, **fields) -> Path:
    model = small_model(form, **fields)
    model.save_pretrained(folder)
    processor_for(model.config).save_pretrained(folder)
    return folder


def results_file(path: Path, **means: dict) -> Path:
    rows = [{"model": model, **ROW, "means": scores} for model, scores in means.items()]
    path.write_text(json.dumps({"command": "glmha evaluate small input", "results": rows}))
    return path


def metadata(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_a_bare_folder_has_a_card(folder: Path) -> None:
    text = model_card(folder)
    assert metadata(text) == {
        "library_name": "transformers",
        "pipeline_tag": "image-to-image",
        "tags": ["image-restoration", "restormer", "csa-attention"],
    }
    assert "## Scores\n\nNone were taken." in text
    assert "## Training" not in text
    assert "## Data" not in text


def test_size_and_cost_are_counted(folder: Path) -> None:
    text = model_card(folder)
    model = small_model("restormer")
    total = profile(model, height=256, width=256).total
    assert f"This is a compact model: {model.num_parameters():,} parameters" in text
    assert "where the published Restormer has 26,126,644" in text
    assert "`dim` 8 instead of 48" in text
    assert f"{total.macs / 1e9:.3f}" in text


def test_training_and_data_are_told(folder: Path) -> None:
    RECORD.write(folder)
    (folder / "recipe.yaml").write_text("data: {kind: clean, degradation: {name: rain}}\n")
    (folder / "data.md").write_text("# BSDS500\n\nFor research.\n")
    text = model_card(folder)
    assert "A small derainer." in text
    assert "| iterations | 400 of 500" in text
    assert RECORD.command in text
    assert "degradation: {name: rain}" in text
    assert "## Data\n\n### BSDS500\n\nFor research." in text
    assert "It has seen only what was degraded by a model of rain" in text
    assert "deraining" in metadata(text)["tags"]


def test_validation_stands_in_where_nothing_was_evaluated(folder: Path) -> None:
    RECORD.write(folder)
    text = model_card(folder)
    assert "Validation while it was trained: all pictures of `photos`, split test" in text
    assert "| input  |     25.25 | 0.7500 |" in text
    assert "| output |     27.50 | 0.8000 |" in text
    assert "model-index" not in metadata(text)


def test_scores_come_from_an_evaluation_with_their_command(folder: Path, tmp_path: Path) -> None:
    RECORD.write(folder)
    results = results_file(
        tmp_path / "results.json", small={"psnr": 31.256, "ssim": "inf"}, input={"psnr": 20.0}
    )
    with pytest.raises(KeyError):
        record_evaluation(folder, results), model_card(folder)
    results = results_file(
        tmp_path / "results.json",
        small={"psnr": 31.256, "ssim": 0.9},
        input={"psnr": 20.0, "ssim": 0.5},
        other={"psnr": 99.0, "ssim": 1.0},
    )
    record_evaluation(folder, results)
    text = model_card(folder)
    assert "Rain100L, 4 pictures, limit 4, protocol `deraining`" in text
    assert "| output |     31.26 | 0.9000 |" in text
    assert "| input  |     20.00 | 0.5000 |" in text
    assert "glmha evaluate small input" in text
    assert "99" not in text.partition("## Cost")[0].partition("## Scores")[2]
    assert "Validation while" not in text


def test_baselines_stand_beside_the_model(folder: Path, tmp_path: Path) -> None:
    results = results_file(tmp_path / "results.json", small={"psnr": 31.2}, bm3d={"psnr": 30.4})
    stored = json.loads(results.read_text())
    results.write_text(json.dumps({**stored, "baselines": ["bm3d"]}))
    record_evaluation(folder, results)
    text = model_card(folder)
    assert "| bm3d   |     30.40 |" in text
    assert "| output |     31.20 |" in text


def test_the_metadata_are_what_the_hub_reads(folder: Path, tmp_path: Path) -> None:
    results = results_file(tmp_path / "results.json", small={"psnr": 31.256, "ssim": 0.9})
    record_evaluation(folder, results)
    data = ModelCard.load(write_card(folder, licence="mit")).data
    assert data.license == "mit"
    assert data.pipeline_tag == "image-to-image"
    found = {result.metric_type: result for result in data.eval_results}
    assert found["psnr"].metric_value == 31.256
    assert found["psnr"].dataset_name == "Rain100L"
    assert found["psnr"].metric_name == "PSNR (dB), protocol deraining"
    assert found["ssim"].dataset_args == {"limit": 4}


def test_all_the_runs_behind_the_weights_are_told(folder: Path) -> None:
    first = replace(RECORD, command="accelerate launch first.yaml", iteration=500, hours=1.5)
    second = replace(RECORD, command="accelerate launch second.yaml", processes=2)
    replace(RECORD, earlier=[first, second]).write(folder)
    assert TrainingRecord.read(folder) == replace(RECORD, earlier=[first, second])
    training = model_card(folder).partition("## Training")[2]
    assert (
        "In 3 runs, each from the weights of the one before as far as they fit: 2.00 h" in training
    )
    rows = [line.split("|")[3:5] for line in training.splitlines() if line.startswith("| ")]
    assert [[cell.strip() for cell in row] for row in rows[2:]] == [
        ["500 of 500", "1.50 h on 1 process"],
        ["400 of 500", "0.25 h on 2 processes"],
        ["400 of 500", "0.25 h on 1 process"],
    ]
    assert f"{first.command}\n{second.command}\n{RECORD.command}\n" in training


def test_a_set_scored_again_replaces_its_scores(folder: Path, tmp_path: Path) -> None:
    for psnr in (30.0, 31.0):
        record_evaluation(folder, results_file(tmp_path / "results.json", small={"psnr": psnr}))
    (row,) = read_evaluation(folder)
    assert row["means"] == {"psnr": 31.0}
    with pytest.raises(ValueError, match="has no scores of small; it has other"):
        record_evaluation(folder, results_file(tmp_path / "results.json", other={"psnr": 1.0}))


def test_the_licence_survives_a_new_card(folder: Path) -> None:
    write_card(folder, licence="cc-by-4.0")
    assert metadata(model_card(folder))["license"] == "cc-by-4.0"


def test_a_shipped_folder_is_told_by_its_zoo_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (zoo, cards):
        monkeypatch.setattr(module, "WEIGHTS", tmp_path)
    folder = saved(tmp_path / "glmha-restormer-derain", "restormer", attention="glmha")
    text = model_card(folder)
    assert zoo.ZOO["glmha-restormer-derain"].description in text
    assert metadata(text)["license"] == zoo.ZOO["glmha-restormer-derain"].licence
    assert 'model="glmha-restormer-derain"' in text
    elsewhere = saved(tmp_path / "mine" / "glmha-restormer-derain", "restormer")
    assert "license" not in metadata(model_card(elsewhere))


def test_a_picture_and_whose_it_is(folder: Path, tmp_path: Path, capsys) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 600, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "rainy.png")
    command = ["card", str(folder), "--picture", str(tmp_path / "rainy.png"), "--credit", "Me, CC0"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{folder / 'README.md'}\n"
    with Image.open(folder / "before-after.png") as shown:
        assert shown.size == (2 * 512 + 8, 40)
        np.testing.assert_array_equal(np.asarray(shown)[:, :512], pixels[:, 44 : 44 + 512])
    text = (folder / "README.md").read_text()
    assert "![Before, and after](before-after.png)" in text
    assert "Picture: Me, CC0." in text


def test_a_folder_may_be_the_one_we_are_in(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = {"set": "s", "protocol": "deraining", "settings": {}, "means": {"psnr": 30.0}}
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"results": [{"model": folder.name, **results}]}))
    monkeypatch.chdir(folder)
    assert record_evaluation(Path(), path)[0]["means"] == {"psnr": 30.0}


def test_broken_facts_are_named(folder: Path) -> None:
    (folder / "training.json").write_text('{"name": "small", "unknown": 1}')
    with pytest.raises(ValueError, match="is not a training record"):
        model_card(folder)
    (folder / "training.json").unlink()
    (folder / "evaluation.json").write_text("[]")
    with pytest.raises(ValueError, match="has no list of results"):
        model_card(folder)
    (folder / "evaluation.json").write_text('{"results": [{"set": 1}]}')
    with pytest.raises(ValueError, match="a result without set, protocol"):
        model_card(folder)
    (folder / "evaluation.json").write_text("{")
    with pytest.raises(ValueError, match=r"evaluation.json is not JSON"):
        model_card(folder)


def test_commands_do_not_tell_where_they_ran() -> None:
    words = ["evaluate", "my model", "--data", "/home/me/sets/Rain100L", "data.root=../photos"]
    assert portable_command("glmha", words) == (
        "glmha evaluate 'my model' --data path/to/Rain100L data.root=path/to/photos"
    )
