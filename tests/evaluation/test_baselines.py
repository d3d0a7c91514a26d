"""Baselines scored beside models: what they are given, what is refused, what the table says."""

import numpy as np
import pytest

from glmha_hf.baselines.gap_tv import gap_tv
from glmha_hf.baselines.spectral_regression import fit_regression
from glmha_hf.data.spectral_sets import NtirePairs
from glmha_hf.evaluation import baselines as module
from glmha_hf.evaluation.baselines import REGRESSIONS, load_baselines
from glmha_hf.evaluation.opening import open_sets
from glmha_hf.evaluation.report import as_table
from glmha_hf.evaluation.restorers import InputRestorer
from glmha_hf.evaluation.run import Result, evaluate
from glmha_hf.metrics import PictureScores, Scores, compare
from tests.data.scenes import save_scenes

from .conftest import save_arad, save_cassi, save_pairs


@pytest.fixture
def arad(tmp_path):
    """Four scenes, the last of which is held out."""
    root = save_arad(tmp_path / "ARAD", 4, height=300, width=280)
    names = [f"ARAD_1K_{number:04}" for number in range(901, 905)]
    for split, mine in (("train", names[:3]), ("valid", names[3:])):
        (root / "split_txt" / f"{split}_list.txt").write_text("\n".join(mine))
    return root


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_is_fitted_to_the_training_scenes_and_scored_on_the_others(
    name, arad, tmp_path
):
    sets = open_sets(str(arad))
    (result,) = evaluate(load_baselines([name], sets), sets, output=tmp_path / "out", quiet=True)
    training, held_out = (NtirePairs(arad, split=split) for split in ("train", "valid"))
    fitted = fit_regression((training.load(i) for i in range(3)), degree=REGRESSIONS[name])
    pair = held_out.load(0)
    assert result.scores.mean() == compare(fitted(pair.picture), pair.cube, "ntire2022")
    assert result.scores.pictures[0].name == "ARAD_1K_0904"


def test_a_finished_run_fits_nothing_again(arad, tmp_path, monkeypatch):
    def score():
        sets = open_sets(str(arad))
        return evaluate(load_baselines(["linear"], sets), sets, output=tmp_path / "out", quiet=True)

    (first,) = score()
    monkeypatch.setattr(module, "fit_regression", pytest.fail)
    (again,) = score()
    assert again.scores.mean() == first.scores.mean()
    assert again.fingerprint == first.fingerprint
    (arad / "split_txt" / "train_list.txt").write_text("ARAD_1K_0901\nARAD_1K_0902")
    sets = open_sets(str(arad))
    assert load_baselines(["linear"], sets)[0].fingerprint != first.fingerprint


def test_scenes_of_another_folder_can_be_fitted_to(arad, tmp_path):
    other = save_arad(tmp_path / "other", 2, listed=False)
    (baseline,) = load_baselines(["linear"], open_sets(str(arad)), training=other)
    assert [cube.parent.parent for _, cube in baseline.training.files] == [other, other]


def test_scenes_that_were_fitted_to_are_not_scored(arad):
    sets = open_sets(str(arad))
    (arad / "split_txt" / "train_list.txt").write_text("ARAD_1K_0903\nARAD_1K_0904")
    (baseline,) = load_baselines(["polynomial"], sets)
    with pytest.raises(ValueError, match=r"scored on 1 scenes .* ARAD_1K_0904.mat: .* --fit"):
        baseline.require_fit(sets[0])


def test_gap_tv_is_given_the_snapshot_and_its_mask(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "gap_tv", lambda *args: gap_tv(*args, iterations=3))
    sets = open_sets(str(save_cassi(tmp_path / "KAIST", 1)))
    (result,) = evaluate(
        load_baselines(["gap-tv"], sets), sets, output=tmp_path / "out", quiet=True
    )
    scenes = sets[0].source
    cube = scenes.load(0)
    system = scenes.system
    found = gap_tv(system.measure(module.torch.from_numpy(cube)), system, iterations=3)
    expected = compare(found.numpy(), cube, "cassi")
    assert result.scores.mean() == pytest.approx(expected, rel=1e-6)


def test_what_does_not_fit_is_refused(arad, tmp_path):
    rgb = open_sets(str(arad))
    rain = open_sets(str(save_pairs(tmp_path / "test" / "Rain100L", 1)))
    snapshots = open_sets(str(save_cassi(tmp_path / "KAIST", 1)))
    with pytest.raises(ValueError, match="no baseline cubic: there are linear, polynomial"):
        load_baselines(["cubic"], rgb)
    with pytest.raises(ValueError, match="linear maps RGB to cubes, and no set holds both"):
        load_baselines(["linear"], snapshots)
    with pytest.raises(ValueError, match="has no training scenes to fit linear to"):
        load_baselines(["linear"], rgb, training=tmp_path)
    gap, linear = load_baselines(["gap-tv", "linear"], rgb)
    for baseline, sets, message in (
        (gap, rgb, "holds no snapshots"),
        (gap, rain, "holds no snapshots"),
        (linear, snapshots, "is not RGB with cubes"),
    ):
        with pytest.raises(ValueError, match=message):
            baseline.require_fit(sets[0])


def test_the_table_says_how_far_a_model_is_ahead():
    def result(model, protocol, **scores):
        return Result(model, "a set", Scores(protocol, [PictureScores(scores, 0, "1")]))

    table = as_table(
        [
            result("mine", "ntire2022", mrae=0.15, rmse=0.03, psnr=31.5),
            result("linear", "ntire2022", mrae=0.2, rmse=0.02, psnr=30.0),
            result("mine", "cassi", psnr=30.25, ssim=0.9, sam=5.0),
            result("gap-tv", "cassi", psnr=25.0, ssim=0.7, sam=8.5),
        ],
        baselines=["linear", "gap-tv"],
    )
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert ["mine over linear", "a set", "+25.0%", "-50.0%", "+1.50"] in lines
    assert ["mine over gap-tv", "a set", "+5.25", "+0.2000", "+3.500"] in lines


def test_without_baselines_the_table_is_as_it_was():
    scores = Scores("cassi", [PictureScores({"psnr": 30.0, "ssim": 0.9, "sam": 5.0}, 0, "1")])
    assert "ahead" not in as_table([Result("mine", "a set", scores)])


def test_predictions_are_cubes_of_the_scene(arad):
    sets = open_sets(str(arad))
    (baseline,) = load_baselines(["linear"], sets)
    cube = baseline.restore(sets[0].sample(0))
    assert (cube.shape, cube.dtype) == ((31, 300, 280), np.float32)


def test_bm3d_is_told_the_noise_level(tmp_path):
    pytest.importorskip("bm3d")
    save_scenes(tmp_path / "CBSD68", 1, height=48, width=56)
    sets = open_sets(str(tmp_path / "CBSD68"), sigmas=[25])
    restorers = [InputRestorer(), *load_baselines(["bm3d"], sets)]
    noisy, denoised = evaluate(restorers, sets, output=tmp_path / "out", quiet=True)
    assert denoised.scores.mean()["psnr"] > noisy.scores.mean()["psnr"] + 3


def test_bm3d_is_refused_where_no_noise_level_is_known(tmp_path):
    pytest.importorskip("bm3d")
    save_pairs(tmp_path / "Rain100L", 1)
    sets = open_sets(str(tmp_path / "Rain100L"))
    (baseline,) = load_baselines(["bm3d"], sets)
    with pytest.raises(ValueError, match="Rain100L has no known noise level, which bm3d needs"):
        baseline.require_fit(sets[0])
