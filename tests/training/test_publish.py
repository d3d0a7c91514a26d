"""`training/publish.py`: from a run's folder to a complete model of the zoo."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file

from glmha_hf import PictureProcessor, RestormerForImageRestoration
from glmha_hf.hub import card, zoo
from glmha_hf.hub.facts import read_evaluation
from tests.models.small import small_model
from tests.scripts import load_script

NAME = "glmha-restormer-denoise"


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for module in (zoo, card):
        monkeypatch.setattr(module, "WEIGHTS", tmp_path / "weights")
    return load_script("publish")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    small_model("restormer", attention="glmha").save_pretrained(tmp_path / "best")
    PictureProcessor().save_pretrained(tmp_path / "best")
    return tmp_path / "best"


def test_a_trained_folder_becomes_a_model_of_the_zoo(
    publish: ModuleType, trained: Path, photographs: Path, tmp_path: Path
) -> None:
    assert publish.main([str(trained), NAME, "--data", str(photographs / "test")]) == 0
    folder = tmp_path / "weights" / NAME
    stored = load_file(folder / "model.safetensors")
    assert {weight.dtype for weight in stored.values()} == {torch.float16}
    before = RestormerForImageRestoration.from_pretrained(trained).state_dict()
    loaded = RestormerForImageRestoration.from_pretrained(NAME)
    assert loaded.dtype == torch.float32
    torch.testing.assert_close(loaded.state_dict(), before, rtol=1e-3, atol=1e-6)
    rows = read_evaluation(folder)
    assert [row["settings"]["sigma"] for row in rows] == [15, 25, 50]
    assert all(row["pictures"] == 3 and row["input_means"]["psnr"] > 10 for row in rows)
    told = (folder / "README.md").read_text()
    assert rows[0]["command"] in told
    assert "before-after.jpg" in told
    assert (folder / "before-after.jpg").stat().st_size > 1000


def test_what_float16_cannot_hold_is_refused(
    publish: ModuleType, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = RestormerForImageRestoration.from_pretrained(trained)
    torch.nn.init.constant_(model.output.weight, 1e6)
    model.save_pretrained(trained)
    assert publish.main([str(trained), NAME, "--data", str(tmp_path)]) == 2
    assert "weights too large for float16" in capsys.readouterr().err
    assert not (tmp_path / "weights" / NAME).exists()


def test_other_names_are_refused(
    publish: ModuleType, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish.main([str(trained), "restormer-denoize", "--data", str(tmp_path)]) == 2
    assert "restormer-denoise" in capsys.readouterr().err


def test_a_model_that_cannot_be_scored_leaves_the_old_one(
    publish: ModuleType, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "weights" / NAME
    folder.mkdir(parents=True)
    for name in ("config.json", "data.md"):
        (folder / name).write_text("as it was")
    assert publish.main([str(trained), NAME, "--data", str(tmp_path / "nowhere")]) == 2
    assert "was not scored" in capsys.readouterr().err
    assert sorted(path.name for path in folder.parent.rglob("*")) == [
        "config.json",
        "data.md",
        NAME,
    ]
    assert (folder / "data.md").read_text() == "as it was"


def test_a_name_says_backbone_and_attention(
    publish: ModuleType, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(trained), "restormer-derain", "--data", str(tmp_path)]
    assert publish.main(arguments) == 2
    assert "a restormer with csa; " in (told := capsys.readouterr().err)
    assert "holds a restormer with glmha" in told
    assert not (tmp_path / "weights").exists()
