from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import glmha_hf
from glmha_hf.demo import degrading, models, restoring, stopping
from glmha_hf.demo.pictures import for_screen, open_upload
from glmha_hf.hub import zoo
from glmha_hf.metrics import compare

from .conftest import save_picture

DERAIN = "glmha-restormer-derain"


@pytest.mark.usefixtures("shipped_models")
class TestRestore:
    def test_it_is_what_restore_gives(self, picture, results):
        done = restoring.restore_picture(picture, results, model=DERAIN)
        expected = glmha_hf.restore(picture, model=DERAIN)
        assert np.array_equal(np.asarray(Image.open(done.after)), np.asarray(expected))
        assert done.before == picture
        assert done.own_format is None
        assert done.facts["Picture"] == "56 × 40"
        assert done.facts["Tiles"] == "whole"
        assert done.facts["PSNR"] == restoring.UNKNOWN

    def test_it_is_scored_where_the_truth_is_given(self, picture, results, tmp_path):
        truth = save_picture(tmp_path / "truth.png", seed=1)
        done = restoring.restore_picture(picture, results, model=DERAIN, truth=truth)
        clean = np.asarray(Image.open(truth))
        scores = [
            compare(np.asarray(Image.open(file)), clean, "deraining")["psnr"]
            for file in (picture, done.after)
        ]
        assert done.facts["PSNR"] == f"{scores[0]:.2f} dB → {scores[1]:.2f} dB"

    def test_macs_are_those_of_the_picture(self, picture, results):
        done = restoring.restore_picture(picture, results, model=DERAIN)
        counted = glmha_hf.profile(models.restorer(DERAIN).network, height=40, width=56)
        assert done.facts["MACs"] == f"{counted.total.macs / 1e9:,.1f} G"

    def test_large_pictures_are_cut_and_progress_reaches_the_end(
        self, picture, results, monkeypatch
    ):
        monkeypatch.setattr(restoring, "WHOLE_PIXELS", 1000)
        monkeypatch.setattr(restoring, "USUAL_TILE", 64)
        large = save_picture(picture.with_name("large.png"), 96, 120)
        shares = []
        done = restoring.restore_picture(large, results, model=DERAIN, progress=shares.append)
        assert done.facts["Tiles"] == "4 of 64 × 64"
        assert len(shares) == 4
        assert shares[-1] == pytest.approx(1)

    def test_stop_is_heeded_between_tiles(self, picture, results, monkeypatch):
        monkeypatch.setattr(restoring, "WHOLE_PIXELS", 1000)
        monkeypatch.setattr(restoring, "USUAL_TILE", 64)
        large = save_picture(picture.with_name("large.png"), 96, 120)
        stops, shares = stopping.Stops(), []

        def stop_at_the_second(share):
            shares.append(share)
            if len(shares) == 2:
                stops.stop("me")

        with stops.watch("me", "restore") as stopped, pytest.raises(stopping.StoppedError):
            restoring.restore_picture(
                large, results, model=DERAIN, progress=stop_at_the_second, stopped=stopped
            )
        assert len(shares) == 2

    def test_depth_and_alpha_stay(self, tmp_path, results):
        path = save_picture(tmp_path / "see-through.png", mode="RGBA")
        done = restoring.restore_picture(path, results, model=DERAIN)
        assert Image.open(done.after).mode == "RGBA"

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"model": "/etc"}, "there is no model '/etc' here for that; there are: glmha-restor"),
            ({"model": "glmha-mst-plus-plus-rgb2hsi"}, "there is no model"),
            ({"model": None}, "there is no model"),
            ({"model": DERAIN, "tile": "7"}, "the tile is one of auto, 256"),
        ],
    )
    def test_bad_settings_are_told(self, settings, message, picture, results):
        with pytest.raises(ValueError, match=message):
            restoring.restore_picture(picture, results, **settings)

    def test_a_truth_of_another_size_is_told(self, picture, results, tmp_path):
        truth = save_picture(tmp_path / "truth.png", 10, 12)
        with pytest.raises(ValueError, match="the truth is 12 × 10, the picture 56 × 40"):
            restoring.restore_picture(picture, results, model=DERAIN, truth=truth)

    def test_few_models_are_kept(self, monkeypatch):
        loaded = [models.restorer(name) for name in ("restormer-derain", DERAIN)]
        assert models.restorer(DERAIN) is loaded[1]
        assert models.restorer.cache_info().maxsize == models.LOADED_AT_ONCE

    def test_glmha_comes_first(self):
        assert [model.name for model in models.shipped("derain", "denoise")] == [
            "glmha-restormer-derain",
            "restormer-derain",
            "glmha-restormer-denoise",
        ]


def test_without_weights_nothing_is_offered(monkeypatch, tmp_path, picture, results):
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    assert models.shipped(*models.PICTURE_TASKS) == []
    with pytest.raises(ValueError, match="there are: none yet"):
        restoring.restore_picture(picture, results, model=DERAIN)


class TestDegrade:
    @pytest.mark.parametrize("what", ["rain", "blur", "noise"])
    def test_more_is_worse_and_the_same_seed_the_same(self, what, tmp_path):
        clean = save_picture(tmp_path / "clean.png", 120, 160)
        scores = []
        for strength in (8, 24):
            amounts = {"rain": 0, "blur": 0, "noise": 0} | {what: strength}
            path = degrading.degrade(clean, tmp_path, **amounts, seed=0)
            first = open_upload(path).pixels
            again = open_upload(degrading.degrade(clean, tmp_path, **amounts, seed=0)).pixels
            assert np.array_equal(first, again)
            truth = for_screen(open_upload(clean).pixels)
            scores.append(restoring.picture_psnr(first, truth, task="derain"))
        assert scores[1] < scores[0] < 45

    @pytest.mark.parametrize(
        ("amounts", "message"),
        [
            ({}, "nothing to do"),
            ({"noise": 51}, "noise goes from 0 to 50, not 51"),
            ({"rain": float("nan")}, "rain goes from 0 to 100"),
            ({"blur": 3, "seed": -1}, "the seed starts at 0"),
        ],
    )
    def test_bad_amounts_are_told(self, amounts, message, picture, results):
        settings = {"rain": 0, "blur": 0, "noise": 0, "seed": 0} | amounts
        with pytest.raises(ValueError, match=message):
            degrading.degrade(picture, results, **settings)

    def test_every_task_has_its_own(self):
        assert list(degrading.USUAL) == list(models.PICTURE_TASKS)


def test_a_stop_is_for_one_work_of_one_session():
    stops = stopping.Stops()
    stops.stop("nobody")
    with stops.watch("me", "restore") as mine, stops.watch("me", "compare") as other:
        stops.stop("another", "restore")
        stops.stop("me", "compare")
        assert (mine.is_set(), other.is_set()) == (False, True)
        stops.stop("me")
        assert mine.is_set()


def test_an_example_is_handed_out_as_a_copy(tmp_path):
    degraded, clean = degrading.degraded_example(0, tmp_path, rain=0, blur=0, noise=25)
    original = degrading.examples.pictures()[0]
    assert {Path(degraded).parent, Path(clean).parent} == {tmp_path}
    assert Path(clean).read_bytes() == original.read_bytes()
