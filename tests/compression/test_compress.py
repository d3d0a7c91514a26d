"""The whole way: exact where nothing is cut, resumed after a kill, refused where it must be."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import glmha_hf
from glmha_hf.cli import main
from glmha_hf.compression import compress as compression
from glmha_hf.compression import finish
from glmha_hf.compression.work import Work
from glmha_hf.convert.conversion import processor_for
from glmha_hf.hub.compressed import CompressionRecord

from .conftest import inputs_of, teacher_of

QUICK = {"crop": 32, "calibration": 3, "block_steps": 4, "steps": 4}


def agreement(first, second, inputs) -> float:
    """Mean squared difference of two models' outputs."""
    with torch.no_grad():
        outputs = [model(**inputs).reconstruction for model in (first, second)]
    return float((outputs[0] - outputs[1]).square().mean())


def test_with_all_keys_and_no_calibration_it_is_the_teacher(pictures) -> None:
    teacher = teacher_of("restormer_short")
    done = glmha_hf.compress(teacher, pictures, kv_reduction=0, alpha=0, **QUICK)
    assert done.model.config.attention == "glmha"
    assert done.blocks == []
    state, theirs = done.model.state_dict(), teacher.state_dict()
    assert all(torch.equal(state[name], value) for name, value in theirs.items())
    for fused in (False, True):
        done.model.config.fused = fused
        inputs = inputs_of(teacher)
        with torch.no_grad():
            torch.testing.assert_close(
                done.model(**inputs).reconstruction, teacher(**inputs).reconstruction
            )


def test_compressing_beats_the_baselines_by_the_same_steps(pictures) -> None:
    teacher = teacher_of("restormer_short")
    inputs = inputs_of(teacher)
    errors = {
        start: agreement(
            teacher,
            glmha_hf.compress(teacher, pictures, kv_reduction=0.5, start=start, **QUICK).model,
            inputs,
        )
        for start in ("closed-form", "norm", "random")
    }
    assert errors["closed-form"] < 0.5 * min(errors["norm"], errors["random"])


def test_finishing_a_block_lowers_its_error(pictures) -> None:
    settings = QUICK | {"block_steps": 40, "steps": 0}
    done = glmha_hf.compress(teacher_of("restormer_short"), pictures, kv_reduction=0.5, **settings)
    assert len(done.blocks) == 4
    assert all(each.finished <= each.started for each in done.blocks)
    assert sum(e.finished for e in done.blocks) < 0.9 * sum(e.started for e in done.blocks)


@pytest.mark.parametrize("form", ["mst_rgb", "mst_plus_plus"])
def test_spectral_models_of_pictures_are_compressed(form, pictures) -> None:
    teacher = teacher_of(form)
    done = glmha_hf.compress(teacher, pictures, kv_reduction=0.5, **QUICK)
    assert {each.keys / each.head_channels for each in done.blocks} <= {3 / 6, 4 / 7}
    inputs = inputs_of(teacher)
    with torch.no_grad():
        change = teacher(**inputs).reconstruction.square().mean()
    assert agreement(teacher, done.model, inputs) < 0.05 * float(change)


def test_a_budget_is_met_and_ranks_differ(pictures) -> None:
    teacher = teacher_of("restormer_short")
    done = glmha_hf.compress(teacher, pictures, macs=0.93, per="block", **QUICK)
    shares = [
        glmha_hf.profile(each, height=256, width=256).total.macs for each in (done.model, teacher)
    ]
    assert 0.9 < shares[0] / shares[1] <= 0.93
    assert len({each.keys / each.head_channels for each in done.blocks}) > 1


def test_a_killed_run_goes_on_to_the_same_weights(pictures, tmp_path, monkeypatch) -> None:
    teacher = teacher_of("restormer_short")
    whole = glmha_hf.compress(teacher, pictures, kv_reduction=0.5, **QUICK).model.state_dict()
    kept = Work.keep
    calls = []

    def killed(self, layer, errors):
        kept(self, layer, errors)
        calls.append(errors.block)
        if len(calls) == 3:
            raise KeyboardInterrupt

    folder = tmp_path / "partial"
    monkeypatch.setattr(Work, "keep", killed)
    with pytest.raises(KeyboardInterrupt):
        glmha_hf.compress(teacher, pictures, kv_reduction=0.5, folder=folder, **QUICK)
    assert sorted(path.name for path in folder.glob("*.safetensors")) == [
        f"block-{number:03}.safetensors" for number in range(3)
    ]
    done = glmha_hf.compress(teacher, pictures, kv_reduction=0.5, folder=folder, **QUICK)
    assert calls == list(range(4))
    assert all(torch.equal(done.model.state_dict()[name], value) for name, value in whole.items())


def test_end_to_end_training_resumes_where_it_was_killed(pictures, tmp_path, monkeypatch) -> None:
    teacher = teacher_of("restormer_short")
    whole = glmha_hf.compress(teacher, pictures, kv_reduction=0.5, **QUICK).model.state_dict()
    usual, seen = compression.Crops.batch, []

    def killed(self, number, count):
        seen.append(number)
        if seen.count(2) == 1 and number == 2:
            raise KeyboardInterrupt
        return usual(self, number, count)

    monkeypatch.setattr(compression.Crops, "batch", killed)
    monkeypatch.setattr(finish, "SAVE_SECONDS", 0.0)
    folder = tmp_path / "partial"
    with pytest.raises(KeyboardInterrupt):
        glmha_hf.compress(teacher, pictures, kv_reduction=0.5, folder=folder, **QUICK)
    done = glmha_hf.compress(teacher, pictures, kv_reduction=0.5, folder=folder, **QUICK)
    assert seen == [0, 1, 2, 2, 3]
    assert all(torch.equal(done.model.state_dict()[name], value) for name, value in whole.items())


def test_parts_of_another_compression_are_refused(pictures, tmp_path) -> None:
    teacher = teacher_of("restormer_short")
    settings = {"folder": tmp_path, **QUICK}
    glmha_hf.compress(teacher, pictures, kv_reduction=0.5, **settings)
    with pytest.raises(ValueError, match="begun with another settings: go on as it was begun"):
        glmha_hf.compress(teacher, pictures, kv_reduction=0.25, **settings)
    other = teacher_of("restormer_short", seed=1)
    with pytest.raises(ValueError, match="begun with another model: go on"):
        glmha_hf.compress(other, pictures, kv_reduction=0.5, **settings)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kv_reduction": None}, "one of kv_reduction, macs and parameters"),
        ({"macs": 0.9}, "one of kv_reduction, macs and parameters"),
        ({"kv_reduction": 1.0}, "at least 0 and below 1"),
        ({"kv_reduction": (0.5, 0.5, 0.5)}, "kv_reduction has 3 numbers"),
        ({"kv_reduction": None, "macs": 0.3}, "0.3 of the macs cannot be had"),
        ({"crop": 21}, "multiples of 2 from 6 on, not 21"),
        ({"crop": 48}, "picture 1 is 48×40, smaller than the crops of 48"),
        ({"start": "zero"}, "start is closed-form or random or norm"),
        ({"steps": -1}, "steps starts at 0"),
        ({"alpha": float("nan")}, "alpha starts at 0, not nan"),
        ({"seed": -1}, "seed starts at 0, not -1"),
        ({"mask": "mask.npy"}, "takes pictures: leave the mask out"),
    ],
)
def test_what_makes_no_sense_is_refused(change, told, pictures) -> None:
    settings = {"kv_reduction": 0.5, **QUICK, **change}
    with pytest.raises(Exception, match=told):
        glmha_hf.compress(teacher_of("restormer_short"), pictures, **settings)


def test_only_csa_is_compressed(pictures) -> None:
    model = teacher_of("restormer_short", attention="glmha")
    with pytest.raises(ValueError, match=r"only a model with CSA attention .* this one has glmha"):
        glmha_hf.compress(model, pictures, kv_reduction=0.5)


def test_an_empty_folder_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="holds no pictures to compress on"):
        glmha_hf.compress(teacher_of("restormer_short"), tmp_path, kv_reduction=0.5)
    with pytest.raises(FileNotFoundError, match="no folder"):
        glmha_hf.compress(teacher_of("restormer_short"), tmp_path / "none", kv_reduction=0.5)


def test_snapshots_are_compressed_on_with_their_mask(tmp_path) -> None:
    teacher = teacher_of("mst")
    rng = np.random.default_rng(0)
    np.save(tmp_path / "mask.npy", (rng.random((40, 40)) < 0.5).astype(np.float32))
    for number in range(2):
        np.save(tmp_path / f"shot-{number}.npy", rng.random((40, 50)).astype(np.float32))
    with pytest.raises(ValueError, match="give the mask"):
        glmha_hf.compress(teacher, tmp_path, kv_reduction=0.5, **QUICK)
    done = glmha_hf.compress(
        teacher, tmp_path, mask=tmp_path / "mask.npy", kv_reduction=0.5, **QUICK
    )
    assert done.source.names == ("shot-0.npy", "shot-1.npy")
    assert len(done.blocks) == 5


@pytest.fixture
def zoo_folder(tmp_path, monkeypatch, pictures):
    """A model and pictures as files."""
    monkeypatch.chdir(tmp_path)
    teacher = teacher_of("restormer_short")
    teacher.save_pretrained("small")
    processor_for(teacher.config).save_pretrained("small")
    (tmp_path / "small" / "data.md").write_text("Photographs.")
    (tmp_path / "photos").mkdir()
    for number, each in enumerate(pictures):
        Image.fromarray(each).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path


COMMAND = "compress small -o smaller --kv-reduction 0.5 --images photos --crop 32 --calibration 3"
FEW = "--block-steps 2 --steps 2 -q"


def test_the_command_writes_a_model_with_its_report(zoo_folder, capsys) -> None:
    words = f"{COMMAND} --degrade gaussian_noise {FEW}".split()
    assert main(words) == 0
    told = capsys.readouterr().out
    record = CompressionRecord.read(zoo_folder / "smaller")
    assert record.summary() in told
    assert record.block_table() in told
    assert (record.pictures, record.tested, record.protocol) == (6, 1, "denoising")
    assert record.student.parameters < record.teacher.parameters
    assert record.student.scores.keys() == record.input_scores.keys() == {"psnr"}
    model = glmha_hf.RestormerForImageRestoration.from_pretrained("smaller")
    assert model.num_parameters() == record.student.parameters
    card = (zoo_folder / "smaller" / "README.md").read_text()
    assert "## Compressed\n\nFrom `small`, without labels, on 6 pictures of photos" in card
    assert f"glmha {' '.join(words)}" in card
    assert record.table() in card
    assert "![Input, original, compressed, and their difference](compressed.png)" in card
    assert "## Data\n\nPhotographs." in card
    assert Image.open(zoo_folder / "smaller" / "compressed.png").width > 900
    assert not (zoo_folder / "smaller.partial").exists()
    assert main(words) == 2
    assert "smaller exists" in capsys.readouterr().err


def test_without_a_truth_the_report_has_the_agreement_alone(zoo_folder, capsys) -> None:
    assert main(f"{COMMAND} {FEW}".split()) == 0
    record = CompressionRecord.read(zoo_folder / "smaller")
    assert record.teacher.scores == record.student.scores == record.input_scores == {}
    assert record.psnr > 20
    assert "On photos, 1 pictures: the outputs" in capsys.readouterr().out


def test_scores_of_a_named_test_set(zoo_folder, capsys) -> None:
    shutil.copytree("photos", "others")
    words = f"{COMMAND} {FEW} --degrade gaussian_noise --limit 2 --test".split()
    assert main([*words, "photos"]) == 2
    assert "photos and photos share their pictures" in capsys.readouterr().err
    assert main([*words, "others"]) == 0
    record = CompressionRecord.read(zoo_folder / "smaller")
    assert (record.pictures, record.tested) == (7, 2)


def test_bad_input_is_one_line_and_leaves_nothing(zoo_folder, capsys) -> None:
    words = f"{COMMAND} -q"
    assert main(words.replace("0.5", "1.5").split()) == 2
    assert main(words.replace("photos", "none").split()) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("glmha compress: ")
    assert "kv_reduction must be at least 0 and below 1" in lines[0]
    assert "there is no folder none" in lines[1]
    assert sorted(path.name for path in zoo_folder.iterdir()) == ["photos", "small"]
