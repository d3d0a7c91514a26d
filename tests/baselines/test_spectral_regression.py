"""Regressions from RGB to spectra, on spectra that they can and cannot express."""

import numpy as np
import pytest

from glmha_hf.baselines.spectral_regression import (
    SpectralRegression,
    exponents,
    fit_regression,
    terms,
)
from glmha_hf.data.spectral_sets import SpectralPair


def pair_of(picture, coefficients, degree):
    cube = terms(picture / 255.0, degree=degree) @ coefficients
    return SpectralPair(picture, np.moveaxis(cube, -1, 0).astype(np.float32))


def picture(seed, height=20, width=30):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize(("degree", "count"), [(1, 3), (2, 6), (3, 13), (4, 22)])
def test_as_many_terms_as_published(degree, count):
    assert len(exponents(degree)) == len(set(exponents(degree))) == count


def test_the_terms_of_degree_four():
    r, g, b = 0.3, 0.5, 0.8
    published = [
        *(r, g, b),
        *((r * g) ** (1 / 2), (g * b) ** (1 / 2), (r * b) ** (1 / 2)),
        *((r * g**2) ** (1 / 3), (g * b**2) ** (1 / 3), (r * b**2) ** (1 / 3)),
        *((g * r**2) ** (1 / 3), (b * g**2) ** (1 / 3), (b * r**2) ** (1 / 3)),
        (r * g * b) ** (1 / 3),
        *((r**3 * g) ** (1 / 4), (r**3 * b) ** (1 / 4), (g**3 * r) ** (1 / 4)),
        *((g**3 * b) ** (1 / 4), (b**3 * r) ** (1 / 4), (b**3 * g) ** (1 / 4)),
        *((r**2 * g * b) ** (1 / 4), (g**2 * r * b) ** (1 / 4), (b**2 * r * g) ** (1 / 4)),
    ]
    ours = terms(np.array([r, g, b]), degree=4)
    np.testing.assert_allclose(np.sort(ours), np.sort(published), rtol=1e-12)


def test_twice_the_light_is_twice_the_spectrum():
    rgb = np.random.default_rng(0).random((5, 3)) / 2
    np.testing.assert_allclose(terms(2 * rgb, degree=4), 2 * terms(rgb, degree=4), rtol=1e-12)


@pytest.mark.parametrize(("degree", "tolerance"), [(1, 1e-5), (2, 1e-3)])
def test_a_map_that_it_can_express_is_found(degree, tolerance):
    truth = np.random.default_rng(9).uniform(0.05, 0.3, (len(exponents(degree)), 7))
    pairs = [pair_of(picture(seed), truth, degree) for seed in range(4)]
    fitted = fit_regression(pairs[:3], degree=degree)
    np.testing.assert_allclose(fitted.coefficients, truth, atol=tolerance)
    np.testing.assert_allclose(fitted(pairs[3].picture), pairs[3].cube, atol=1e-4)


def test_least_squares_is_numpys():
    cube = np.random.default_rng(0).random((4, 20, 30)).astype(np.float32)
    rgb = picture(1)
    fitted = fit_regression([SpectralPair(rgb, cube)], degree=1)
    design = rgb.reshape(-1, 3) / 255
    expected = np.linalg.lstsq(design, cube.reshape(4, -1).T, rcond=None)[0]
    np.testing.assert_allclose(fitted.coefficients, expected, rtol=1e-5)


def test_scenes_weigh_the_pixels_they_lend():
    """A pixel in so many: the fit to every third pixel of a scene is the fit to those alone."""
    rgb, cube = picture(2, 10, 30), np.random.default_rng(3).random((4, 10, 30)).astype(np.float32)
    few = fit_regression([SpectralPair(rgb, cube)], degree=1, pixels_per_scene=100)
    third = SpectralPair(rgb.reshape(-1, 3)[::3][None], cube.reshape(4, 1, -1)[..., ::3])
    np.testing.assert_allclose(few.coefficients, fit_regression([third], degree=1).coefficients)


def test_reflectances_are_not_negative():
    regression = SpectralRegression(1, np.array([[1.0], [-1.0], [0.0]]))
    cube = regression(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8))
    np.testing.assert_array_equal(cube, [[[1, 0]]])
    assert cube.dtype == np.float32


def test_nothing_to_fit_and_impossible_degrees_are_told():
    with pytest.raises(ValueError, match="at least one scene"):
        fit_regression([], degree=1)
    with pytest.raises(ValueError, match="degree from 1 to 4, not 5"):
        exponents(5)
