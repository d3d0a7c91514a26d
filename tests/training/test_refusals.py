"""What a run refuses before its first step, in words that say why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

from .conftest import Train


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("validation.protocol=cassi", "validation has "),
        ("validation.crop=5 validation.protocol=deraining", "cannot be scored: "),
        ("validation.grayscale=true", "validation has 1 channels to make 1 of, the model 3 and 3"),
        ("data.grayscale=true validation=null", "maps 3 channels to 3, the pictures have 1"),
        ("run.trackers=[tensorboard,wandb]", "train: run.trackers: wandb cannot be imported"),
        ("resume=true", "nothing to resume"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    tiny_recipe: Path, tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str],
    change: str, told: str,
) -> None:  # fmt: skip
    assert train(tiny_recipe, f"output={tmp_path}", *change.split()) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "log.jsonl").exists()


def test_a_folder_has_one_training_at_a_time(
    tiny_recipe: Path, tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    with FileLock(tmp_path / ".training.lock"):
        assert train(tiny_recipe, f"output={tmp_path}") == 2
    assert f"another training is at work in {tmp_path}" in capsys.readouterr().err


def test_validation_pictures_are_pairs(
    tiny_recipe: Path, photographs: Path, tmp_path: Path, train: Train,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for kind in ("input", "target"):
        shutil.copytree(photographs / "test", tmp_path / "pairs" / "test" / kind)
    lone, other = sorted((tmp_path / "pairs" / "test" / "input").iterdir())[:2]
    pairs = (
        f"validation.root={tmp_path / 'pairs'}",
        "validation.kind=pairs",
        "validation.degradation=null",
    )
    Image.new("RGB", (20, 20)).save(other)
    assert train(tiny_recipe, f"output={tmp_path / 'run'}", *pairs) == 2
    assert "the input is 20×20 but the target is" in capsys.readouterr().err
    lone.unlink()
    assert train(tiny_recipe, f"output={tmp_path / 'run'}", *pairs) == 2
    told = capsys.readouterr().err
    assert "2 problems in the dataset" in told
    assert f"target/{lone.name} has no input" in told


def test_bad_pictures_are_reported_before_the_first_step(
    tiny_recipe: Path, tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "torn.png").write_bytes(b"\x89PNG torn")
    Image.new("RGB", (20, 20)).save(pictures / "small.png")
    assert train(
        tiny_recipe, f"output={tmp_path / 'run'}", f"data.root={pictures}", "validation=null"
    ) == 2  # fmt: skip
    told = capsys.readouterr().err
    assert "torn.png" in told
    assert "smaller than the 24×24 patch" in told
