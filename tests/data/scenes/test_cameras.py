"""The RGB camera: linear, exposed, noisy as photons are, clipped, 8 bits."""

import io

import numpy as np
import pytest
from PIL import Image

from glmha_hf.data.scenes.bands import band_filters
from glmha_hf.data.scenes.cameras import Camera
from glmha_hf.data.scenes.illuminants import named
from glmha_hf.data.spectral_sets import NTIRE_WAVELENGTHS

CAMERAS = ["Nikon 5100 (NPL)", "Sigma SDMerill (NPL)"]


def smooth_cube(seed=0, size=24):
    rng = np.random.default_rng(seed)
    ends = rng.uniform(0.05, 0.5, (2, size, size))
    ramp = np.linspace(0, 1, 31)[:, None, None]
    return (ends[0] * (1 - ramp) + ends[1] * ramp).astype(np.float32)


@pytest.mark.parametrize("name", CAMERAS)
def test_gray_in_daylight_is_gray(name):
    daylight = named("D65").power @ band_filters(NTIRE_WAVELENGTHS)
    rgb = daylight @ Camera(sensitivities=name).response()
    np.testing.assert_allclose(rgb, np.ones(3), rtol=0.01)


def test_each_channel_sees_most_where_its_name_says():
    red, green, blue = np.array(NTIRE_WAVELENGTHS)[Camera().response().argmax(axis=0)]
    assert blue < 500 < green < 570 < red


def test_without_noise_the_picture_is_the_light_at_the_mean_level():
    cube, camera = smooth_cube(), Camera(photoelectrons=0, exposure=0.2)
    picture = camera.expose(cube, np.random.default_rng(0))
    light = np.einsum("chw,cr->hwr", cube, camera.response())
    np.testing.assert_allclose(picture, light * 0.2 / light.mean(), rtol=1e-5)


def test_highlights_are_clipped():
    cube = smooth_cube()
    cube[:, 3, 5] = 30
    picture = Camera(photoelectrons=0).expose(cube, np.random.default_rng(0))
    np.testing.assert_array_equal(picture[3, 5], np.ones(3))
    assert picture.max() == 1


def test_noise_is_that_of_photons():
    camera = Camera(photoelectrons=100, exposure=0.2)
    cube = np.full((31, 128, 128), 0.3, np.float32)
    picture = camera.expose(cube, np.random.default_rng(0))
    clean = Camera(photoelectrons=0, exposure=0.2).expose(cube, np.random.default_rng(0))
    photons = 100 * clean[0, 0] / 0.2
    np.testing.assert_allclose(picture.mean(axis=(0, 1)), clean[0, 0], rtol=0.01)
    deviation = clean[0, 0] / np.sqrt(photons)
    np.testing.assert_allclose(picture.std(axis=(0, 1)), deviation, rtol=0.03)


def test_the_file_is_a_jpeg_of_those_values():
    camera = Camera(photoelectrons=0, jpeg_quality=95)
    exposed = np.full((16, 32, 3), 0.3)
    picture = np.asarray(Image.open(io.BytesIO(camera.jpeg(exposed))))
    assert picture.shape == (16, 32, 3)
    assert set(picture.ravel()) == {76}  # 76.5, its fraction cut off


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"exposure": 0}, "exposure lies"),
        ({"photoelectrons": -1}, "photoelectrons start at 0"),
        ({"jpeg_quality": 0}, "from 1 to 100, not 0"),
    ],
)
def test_settings_that_mean_nothing(settings, reason):
    with pytest.raises(ValueError, match=reason):
        Camera(**settings)


def test_an_unknown_camera():
    with pytest.raises(ValueError, match="no camera Leica; there are Nikon 5100"):
        Camera(sensitivities="Leica").response()
