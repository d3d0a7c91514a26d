"""Whole runs: what they leave behind, and that being stopped changes nothing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from transformers import AutoImageProcessor, AutoModelForImageToImage

from glmha_hf.hub.facts import TrainingRecord

from .conftest import SCRIPT, Train, launch, log, losses


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "last" / "model.safetensors")


def assert_same_weights(first: Path, second: Path) -> None:
    torch.testing.assert_close(weights(first), weights(second), rtol=0, atol=0)


@pytest.fixture(scope="module")
def unbroken(
    tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Path, script: ModuleType
) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    assert script.main([str(tiny_recipe), f"output={folder}"]) == 0
    return folder


def test_a_finished_run_is_a_zoo_folder(unbroken: Path, photographs: Path) -> None:
    for name in ("last", "best"):
        model = AutoModelForImageToImage.from_pretrained(unbroken / name)
        processor = AutoImageProcessor.from_pretrained(unbroken / name)
        inputs = processor(photographs / "test" / "0.png")
        restored = processor.post_process(model(**inputs))[0]
        assert restored.size == (44, 36)
        card = (unbroken / name / "README.md").read_text()
        assert "| output |" in card
        assert str(photographs) not in card
        assert "## Data\n\nSmooth pictures, made on the spot." in card
        record = TrainingRecord.read(unbroken / name)
        assert record is not None
        assert (record.iterations, record.protocol) == (12, "denoising")
        assert record.scores.keys() == record.input_scores.keys() == {"psnr"}


def test_the_log_has_a_line_an_update_and_one_a_validation(unbroken: Path) -> None:
    lines = log(unbroken)
    assert [line["iteration"] for line in lines if line["event"] == "training"] == [*range(1, 13)]
    assert [line["iteration"] for line in lines if line["event"] == "validation"] == [4, 8, 12]
    assert [line["batch"] for line in lines if line["event"] == "training"] == [4] * 6 + [3] * 6


def test_sample_sheets_show_before_after_and_truth(unbroken: Path) -> None:
    with Image.open(unbroken / "samples" / "step-00000012.png") as sheet:
        assert sheet.size == (3 * 44, 3 * 36)


def test_only_the_newest_two_checkpoints_stay(unbroken: Path) -> None:
    names = sorted(path.name for path in (unbroken / "checkpoints").iterdir())
    assert names == ["step-00000009", "step-00000012"]


def test_a_run_killed_anywhere_ends_with_the_same_weights(
    unbroken: Path, tiny_recipe: Path, tmp_path: Path, train: Train
) -> None:
    lines_before_kill = random.randint(2, 10)
    process = launch(SCRIPT, tiny_recipe, f"output={tmp_path}")
    while process.poll() is None and (
        not (tmp_path / "log.jsonl").exists() or len(log_safely(tmp_path)) < lines_before_kill
    ):
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert train(tiny_recipe, f"output={tmp_path}") == 0
    assert losses(tmp_path) == losses(unbroken)
    assert_same_weights(tmp_path, unbroken)


def log_safely(folder: Path) -> list[str]:
    return (folder / "log.jsonl").read_text().splitlines()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_first_and_the_run_goes_on_later(
    number: signal.Signals,
    unbroken: Path,
    tiny_recipe: Path,
    tmp_path: Path,
    train: Train,
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = 0
    objective = script.Objective.__call__

    def signalling(self: object, *arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 5:
            os.kill(os.getpid(), number)
        return objective(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(script.Objective, "__call__", signalling)
        assert train(tiny_recipe, f"output={tmp_path}") == 128 + number
    assert (tmp_path / "checkpoints" / "step-00000005").is_dir()
    assert AutoModelForImageToImage.from_pretrained(tmp_path / "last")
    assert train(tiny_recipe, f"output={tmp_path}", "resume=true") == 0
    assert losses(tmp_path) == losses(unbroken)
    assert_same_weights(tmp_path, unbroken)


def test_a_stop_during_validation_leaves_it_to_the_next_sitting(
    unbroken: Path,
    tiny_recipe: Path,
    tmp_path: Path,
    train: Train,
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        scored = script.Validation._as_scored

        def signalling(self: object, values: torch.Tensor) -> object:
            if not torch.is_inference_mode_enabled() and (tmp_path / "log.jsonl").exists():
                os.kill(os.getpid(), signal.SIGTERM)
            return scored(self, values)

        patched.setattr(script.Validation, "_as_scored", signalling)
        assert train(tiny_recipe, f"output={tmp_path}") == 128 + signal.SIGTERM
    assert (tmp_path / "checkpoints" / "step-00000004").is_dir()
    assert train(tiny_recipe, f"output={tmp_path}") == 0
    assert [line for line in log(tmp_path) if line["event"] == "validation"] == [
        line for line in log(unbroken) if line["event"] == "validation"
    ]


def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_batch(
    tiny_recipe: Path,
    tmp_path: Path,
    train: Train,
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    objective = script.Objective.__call__
    patches: list[torch.Tensor] = []

    def failing(self: object, output: torch.Tensor, inputs: Any, labels: torch.Tensor) -> Any:
        patches.append(labels)
        value = objective(self, output, inputs, labels)
        return value * float("nan") if len(patches) == 5 else value

    monkeypatch.setattr(script.Objective, "__call__", failing)
    assert train(tiny_recipe, f"output={tmp_path}") == 3
    kept = load_file(tmp_path / "broken-step-00000004-process-0.safetensors")
    torch.testing.assert_close(kept["0.labels"], patches[-1])
    assert "the batch is in" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000003",
        "step-00000004",
    ]


def test_pieces_of_a_batch_give_the_losses_of_the_whole(
    unbroken: Path, tiny_recipe: Path, tmp_path: Path, train: Train
) -> None:
    assert train(tiny_recipe, f"output={tmp_path}", "run.largest_batch=2") == 0
    assert losses(tmp_path) == pytest.approx(losses(unbroken), abs=1e-5)


def in_two_processes(*command: object) -> None:
    process = launch(
        "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *command
    )
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def assert_same_course(first: Path, second: Path) -> None:
    assert losses(first) == pytest.approx(losses(second), abs=1e-5)
    scores, expected = (
        [line["psnr"] for line in log(folder) if line["event"] == "validation"]
        for folder in (first, second)
    )
    assert scores == pytest.approx(expected, abs=1e-3)


def test_two_processes_give_the_losses_of_one(
    unbroken: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    """The batch of 4 is shared evenly, the batch of 3 is not."""
    in_two_processes(SCRIPT, tiny_recipe, f"output={tmp_path}")
    assert_same_course(tmp_path, unbroken)


def test_weights_dealt_out_to_two_processes_give_the_losses_of_one(
    unbroken: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    """Under FSDP; stopped and resumed as well."""
    command = ("-m", "tests.training.dealt_out", tiny_recipe, f"output={tmp_path}")
    in_two_processes(*command)
    assert_same_course(tmp_path, unbroken)
    ended = weights(tmp_path)
    torch.testing.assert_close(ended, weights(unbroken), rtol=0, atol=1e-5)
    shutil.rmtree(tmp_path / "checkpoints" / "step-00000012")
    shutil.rmtree(tmp_path / "last")
    in_two_processes(*command)
    torch.testing.assert_close(weights(tmp_path), ended, rtol=0, atol=1e-6)
    assert_same_course(tmp_path, unbroken)


def test_fine_tuning_starts_from_a_folder_and_leaves_frozen_weights_alone(
    unbroken: Path, tiny_recipe: Path, tmp_path: Path, train: Train
) -> None:
    source = unbroken / "last"
    assert train(
        tiny_recipe, f"output={tmp_path}", f"init_from={source}", "freeze=[embedding.*,encoder.*]",
        "model.attention=csa", "stages=[{iterations: 2, patch: 16, batch: 2}]",
    ) == 0  # fmt: skip
    before, after = load_file(source / "model.safetensors"), weights(tmp_path)
    assert torch.equal(before["embedding.weight"], after["embedding.weight"])
    assert not torch.equal(before["output.weight"], after["output.weight"])
    assert AutoModelForImageToImage.from_pretrained(tmp_path / "last").config.attention == "csa"
    record = TrainingRecord.read(tmp_path / "last")
    assert record is not None
    assert record.earlier == [TrainingRecord.read(source)]
    assert [run.iteration for run in record.runs] == [12, 2]


def test_a_finished_run_started_again_changes_nothing(
    tiny_recipe: Path, tmp_path: Path, train: Train
) -> None:
    assert train(tiny_recipe, f"output={tmp_path}") == 0
    before, lines = weights(tmp_path), log(tmp_path)
    assert train(tiny_recipe, f"output={tmp_path}") == 0
    torch.testing.assert_close(weights(tmp_path), before, rtol=0, atol=0)
    assert log(tmp_path) == lines


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("model.attention=csa", "trained with model: "),
        ("freeze=[output.*]", "trained with freeze: "),
        ("optimizer.name=adam", "trained with optimizer.name: adamw, not adam"),
        ("run.ema=null", "trained with averages weights: True, not False"),
    ],
)
def test_another_model_does_not_go_on(
    unbroken: Path, tiny_recipe: Path, train: Train, capsys: pytest.CaptureFixture[str],
    change: str, told: str,
) -> None:  # fmt: skip
    before = weights(unbroken)
    assert train(tiny_recipe, f"output={unbroken}", change) == 2
    assert told in capsys.readouterr().err
    torch.testing.assert_close(weights(unbroken), before, rtol=0, atol=0)


def test_to_begin_anew_leaves_nothing_of_the_old(
    tiny_recipe: Path, tmp_path: Path, train: Train
) -> None:
    short = "stages=[{iterations: 4, patch: 16, batch: 2}]"
    assert train(tiny_recipe, f"output={tmp_path}", short) == 0
    assert (tmp_path / "best").exists()
    anew = (f"output={tmp_path}", short, "model.dim=8", "resume=false", "validation=null")
    assert train(tiny_recipe, *anew) == 0
    assert not (tmp_path / "best").exists()
    assert AutoModelForImageToImage.from_pretrained(tmp_path / "last").config.dim == 8


def test_mixup_is_the_same_in_pieces(tiny_recipe: Path, tmp_path: Path, train: Train) -> None:
    common = ("data.mixup=0.9", "validation=null", "run.ema=null")
    assert train(tiny_recipe, f"output={tmp_path / 'whole'}", *common) == 0
    assert train(tiny_recipe, f"output={tmp_path / 'cut'}", "run.largest_batch=2", *common) == 0
    assert losses(tmp_path / "whole") == pytest.approx(losses(tmp_path / "cut"), abs=1e-5)


def test_fp16_on_a_cpu_is_refused(
    tiny_recipe: Path, tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny_recipe, f"output={tmp_path}", "run.precision=fp16") == 2
    assert "a CPU takes bf16" in capsys.readouterr().err


def test_bf16_trains_and_keeps_float32_weights(
    unbroken: Path, tiny_recipe: Path, tmp_path: Path, train: Train
) -> None:
    options = ("run.precision=bf16", "run.channels_last=true", "validation=null")
    assert train(tiny_recipe, f"output={tmp_path}", *options) == 0
    assert losses(tmp_path) == pytest.approx(losses(unbroken), rel=0.02)
    assert {weight.dtype for weight in weights(tmp_path).values()} == {torch.float32}


def test_compiled_blocks_train_alike(
    unbroken: Path, tiny_recipe: Path, tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []

    def compile_eagerly(block: nn.Module, *, dynamic: bool, **_: object) -> None:
        compiled.append(block)
        block._compiled_call_impl = torch.compile(  # type: ignore[assignment]
            block._call_impl, backend="eager", dynamic=dynamic
        )

    monkeypatch.setattr(nn.Module, "compile", compile_eagerly)
    assert train(tiny_recipe, f"output={tmp_path}", "run.compile=true") == 0
    assert len(compiled) > 1
    assert losses(tmp_path) == pytest.approx(losses(unbroken), rel=1e-5)
    assert weights(tmp_path).keys() == weights(unbroken).keys()
