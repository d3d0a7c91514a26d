"""Scores agree with the published evaluation code to 1e-4 dB and 1e-5 in SSIM."""

import pytest

from glmha_hf.metrics import compare

DECIBELS = {"abs": 1e-4, "rel": 0}
SIMILARITY = {"abs": 1e-5, "rel": 0}


@pytest.mark.parametrize("picture", range(3))
def test_deraining_scores_the_luma(golden, golden_pictures, picture):
    scores = compare(*golden_pictures[picture], protocol="deraining")
    expected = golden["images"][picture]
    assert scores["psnr"] == pytest.approx(expected["psnr_y"], **DECIBELS)
    assert scores["ssim"] == pytest.approx(expected["ssim_y"], **SIMILARITY)


@pytest.mark.parametrize("protocol", ["deblurring", "denoising"])
@pytest.mark.parametrize("picture", range(3))
def test_colour_psnr_has_one_error_for_the_three_channels(
    golden, golden_pictures, picture, protocol
):
    scores = compare(*golden_pictures[picture], protocol=protocol)
    expected = golden["images"][picture]["psnr_rgb"]
    assert scores["psnr"] == pytest.approx(expected, **DECIBELS)


def test_cassi(golden, golden_cubes):
    scores = compare(*golden_cubes, protocol="cassi")
    expected = golden["spectral"]
    assert scores["psnr"] == pytest.approx(expected["cassi_psnr"], **DECIBELS)
    assert scores["ssim"] == pytest.approx(expected["cassi_ssim"], **SIMILARITY)
    assert scores["sam"] == pytest.approx(expected["cassi_sam_degrees"], abs=1e-6)


def test_mst_training_log(golden, golden_cubes):
    scores = compare(*golden_cubes, protocol="mst_training")
    expected = golden["spectral"]
    assert scores["psnr"] == pytest.approx(expected["mst_training_psnr"], **DECIBELS)
    assert scores["ssim"] == pytest.approx(expected["mst_training_ssim"], **SIMILARITY)


def test_ntire(golden, golden_cubes):
    scores = compare(*golden_cubes, protocol="ntire2022")
    expected = golden["spectral"]
    assert scores["mrae"] == pytest.approx(expected["ntire_mrae"], abs=1e-7)
    assert scores["rmse"] == pytest.approx(expected["ntire_rmse"], abs=1e-7)
    assert scores["psnr"] == pytest.approx(expected["ntire_psnr"], **DECIBELS)
