import math
import warnings

import numpy as np
import pytest
import torch

from glmha_hf.metrics import psnr, rgb_to_y, rmse


def test_psnr_of_a_known_error():
    reference = np.zeros((8, 8, 3), np.uint8)
    assert psnr(reference + np.uint8(5), reference) == pytest.approx(20 * math.log10(255 / 5))


def test_psnr_is_infinite_without_a_warning_when_identical(picture_pair):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert psnr(picture_pair[0], picture_pair[0]) == math.inf


def test_psnr_of_floats_has_peak_1(cube_pair):
    prediction, reference = cube_pair
    error = np.mean((prediction.astype(np.float64) - reference) ** 2)
    assert psnr(prediction, reference) == pytest.approx(-10 * math.log10(error), abs=1e-9)


def test_psnr_by_plane(cube_pair):
    planes = psnr(*cube_pair, item_ndim=2)
    assert planes.shape == (6,)
    assert planes[2] == psnr(cube_pair[0][2], cube_pair[1][2])


def test_peak_cannot_be_guessed_for_16_bits():
    counts = np.ones((4, 4, 3), np.uint16)
    with pytest.raises(ValueError, match="no usual peak for uint16: pass peak="):
        psnr(counts, counts)
    assert psnr(counts, counts + np.uint16(1), peak=65535) == pytest.approx(20 * np.log10(65535))


def test_rmse_is_the_root_of_the_mean_square(cube_pair):
    prediction, reference = cube_pair
    expected = np.sqrt(np.mean((prediction.astype(np.float64) - reference) ** 2))
    assert rmse(prediction, reference) == pytest.approx(expected, rel=1e-12)


def test_luma_is_the_rounded_formula(rng):
    rgb = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    R, G, B = np.moveaxis(rgb.astype(np.float64), -1, 0)
    expected = np.rint(16 + (65.481 * R + 128.553 * G + 24.966 * B) / 255)
    luma = rgb_to_y(rgb)
    assert luma.dtype == np.uint8
    assert np.array_equal(luma, expected)


def test_luma_spans_16_to_235():
    black_and_white = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    assert rgb_to_y(black_and_white).tolist() == [[16, 235]]


def test_luma_of_tensors_keeps_leading_axes(rng):
    rgb = rng.integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    luma = rgb_to_y(torch.from_numpy(rgb))
    assert luma.dtype == torch.uint8
    assert np.array_equal(luma.numpy(), rgb_to_y(rgb))


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)])
def test_luma_refuses_what_is_not_8_bit_rgb(wrong):
    with pytest.raises(ValueError, match="luma needs H×W×3 uint8 RGB"):
        rgb_to_y(wrong)
