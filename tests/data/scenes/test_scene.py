"""A scene: the photograph's detail in every band, in one light, the same for the same seed."""

from dataclasses import replace

import numpy as np
import pytest

from glmha_hf.data.scenes.bands import GRID
from glmha_hf.data.scenes.illuminants import named
from glmha_hf.data.scenes.mixing import colours_of
from glmha_hf.data.scenes.scene import SceneStyle, cut, linear, make_scene
from glmha_hf.data.spectral_sets import CASSI_WAVELENGTHS, NTIRE_WAVELENGTHS
from tests.data.scenes import draw_scene

STYLE = SceneStyle(size=48, regions=5, materials=30)


def scene_of(library, *, seed=0, style=STYLE, wavelengths=NTIRE_WAVELENGTHS):
    photograph = draw_scene(60, 60, seed=4)
    return make_scene(photograph, library, wavelengths, style, np.random.default_rng(seed))


@pytest.mark.parametrize("wavelengths", [NTIRE_WAVELENGTHS, CASSI_WAVELENGTHS])
def test_a_cube_within_bounds(library, wavelengths):
    cube = scene_of(library, wavelengths=wavelengths).cube
    assert (cube.shape, cube.dtype) == ((len(wavelengths), 48, 48), np.float32)
    assert cube.min() > 0
    assert cube.max() <= 1
    assert 0.1 < cube.mean() <= 0.1201


def test_highlights_are_clipped_and_the_rest_is_at_the_mean_level(library):
    """Twice the level is twice the cube wherever neither is clipped."""
    dim = scene_of(library, style=replace(STYLE, mean_level=0.2)).cube
    bright = scene_of(library, style=replace(STYLE, mean_level=0.4)).cube
    np.testing.assert_allclose(bright, (2 * dim).clip(max=1), rtol=1e-5)
    assert dim.max() < 1
    assert (bright == 1).any()


def test_a_seed_is_a_scene(library):
    first, again, other = (scene_of(library, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.cube, again.cube)
    assert first.illuminant == again.illuminant != other.illuminant
    assert set(first.materials) <= set(library.names)


def test_other_bands_show_the_same_scene(library):
    """Both have a band near 516 nm; their exposures differ by one factor for the whole scene."""
    ntire, cassi = (
        scene_of(library, wavelengths=each).cube for each in (NTIRE_WAVELENGTHS, CASSI_WAVELENGTHS)
    )
    between = 0.4 * ntire[11] + 0.6 * ntire[12]
    ratio = between / cassi[CASSI_WAVELENGTHS.index(516.0)]
    unclipped = between < 0.9
    np.testing.assert_allclose(ratio[unclipped], np.median(ratio), rtol=0.1)


def test_the_photograph_is_there_in_every_band(library):
    """A gray one, so that a band is as bright as the photograph but for the regions' spectra."""
    gray = np.repeat(draw_scene(48, 48, seed=4)[..., 1:2], 3, axis=2)
    cube = make_scene(gray, library, NTIRE_WAVELENGTHS, STYLE, np.random.default_rng(0)).cube
    detail = np.diff(np.log(linear(gray).mean(axis=-1) + 0.01)).ravel()
    for band in cube:
        assert np.corrcoef(detail, np.diff(np.log(band + 0.001)).ravel())[0, 1] > 0.95


def test_an_eye_adapted_to_the_light_sees_the_photograph(library):
    """With a band a nanometre, so that colours are computed as they were asked for."""
    style = SceneStyle(
        size=24, regions=3, materials=72, stray_light=1e-6, illuminants={"led": 1}, window=(0, 0)
    )
    rng = np.random.default_rng(7)
    photograph = draw_scene(24, 24, seed=2)
    scene = make_scene(photograph, library, tuple(GRID), style, rng)
    light = named(scene.illuminant.split(" with ")[0])
    reflected = scene.cube.reshape(301, -1).T / light.power.clip(min=1e-9)
    seen = colours_of(reflected, light).reshape(24, 24, 3)
    wanted = linear(photograph)
    fine = scene.cube.max(axis=0) < 1
    scale = np.median(seen[fine] / wanted[fine])
    np.testing.assert_allclose(seen[fine], scale * wanted[fine], atol=0.02 * scale)


def test_parts_of_one_colour_have_different_spectra(library):
    """A flat picture: as many spectra as the regions' chance gave it, of one colour all."""
    flat = np.full((48, 48, 3), (150, 120, 90), np.uint8)
    style = SceneStyle(size=48, regions=6, materials=40)
    cube = make_scene(flat, library, NTIRE_WAVELENGTHS, style, np.random.default_rng(0)).cube
    spectra = cube.reshape(31, -1) / cube.reshape(31, -1).mean(axis=0)
    assert (spectra.max(axis=1) / spectra.min(axis=1)).max() > 1.1


class TestCut:
    def test_the_longest_square_resized(self):
        wide = draw_scene(40, 90)
        square = cut(wide, 40, np.random.default_rng(0))
        assert square.shape == (40, 40, 3)
        starts = [
            start for start in range(51) if np.array_equal(wide[:, start : start + 40], square)
        ]
        assert len(starts) == 1

    def test_any_size_comes_out(self):
        assert cut(draw_scene(33, 50), 64, np.random.default_rng(0)).shape == (64, 64, 3)


def test_linear_light():
    np.testing.assert_allclose(
        linear(np.array([0, 10, 128, 255], np.uint8)), [0, 0.0030353, 0.2158605, 1], rtol=1e-4
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"size": 8}, "16 pixels a side"),
        ({"materials": 3}, "8 materials at least"),
        ({"proposals": 0}, "1 material at least"),
        ({"stray_light": 0}, "some stray light"),
        ({"window": (0.5, 0.1)}, "the lesser first"),
        ({"mean_level": 1.5}, "mean level"),
        ({"illuminants": {"moon": 1}}, "no light moon"),
    ],
)
def test_styles_that_mean_nothing(settings, reason):
    with pytest.raises(ValueError, match=reason):
        SceneStyle(**settings)
