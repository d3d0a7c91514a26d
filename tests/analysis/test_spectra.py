import numpy as np
import pytest

from glmha_hf.analysis.spectra import (
    band_picture,
    cube_to_srgb,
    false_colour,
    linear_srgb_weights,
    natural_exposure,
    nearest_bands,
    usual_wavelengths,
    wavelength_colour,
)
from tests.evaluation.conftest import draw_cube


@pytest.mark.parametrize("bands", [28, 31])
@pytest.mark.parametrize("illuminant", ["D65", "A", "E"])
def test_a_white_surface_is_white_under_every_light(bands, illuminant):
    white = np.ones((bands, 2, 3), np.float32)
    assert (cube_to_srgb(white, illuminant=illuminant) == 255).all()
    grey = cube_to_srgb(white * 0.18, illuminant=illuminant)
    assert np.ptp(grey.astype(int), axis=-1).max() <= 1
    assert abs(int(grey[0, 0, 1]) - 118) <= 1  # an 18% grey card


@pytest.mark.filterwarnings("ignore:Aligning")
@pytest.mark.parametrize("illuminant", ["D65", "A", "E"])
def test_within_two_delta_e_of_colour_science(illuminant):
    colour = pytest.importorskip("colour")
    cube = draw_cube(31, 12, 15)
    ours = cube_to_srgb(cube, illuminant=illuminant) / 255
    xyz = colour.msds_to_XYZ(
        cube.transpose(1, 2, 0).astype(np.float64),
        method="Integration",
        cmfs=colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"],
        illuminant=colour.SDS_ILLUMINANTS[illuminant],
        shape=colour.SpectralShape(400, 700, 10),
    )
    white = colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"][illuminant]
    theirs = colour.XYZ_to_sRGB(xyz / 100, white, chromatic_adaptation_transform="Bradford").clip(
        0, 1
    )
    first, second = (colour.XYZ_to_Lab(colour.sRGB_to_XYZ(each)) for each in (ours, theirs))
    assert colour.delta_E(first, second, method="CIE 2000").max() < 2
    assert colour.delta_E(first, second, method="CIE 1976").max() < 2


def test_the_weights_of_the_bands_sum_to_white():
    weights = linear_srgb_weights(usual_wavelengths(28))
    assert weights.shape == (3, 28)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=3e-4)


def test_exposure_brings_a_dark_cube_up():
    cube = draw_cube(31, 20, 20) * 0.1
    exposure = natural_exposure(cube)
    assert exposure > 5
    assert cube_to_srgb(cube, exposure=exposure).max() >= 250
    assert natural_exposure(np.zeros((31, 2, 2))) == 1.0


@pytest.mark.parametrize(("wavelength", "channel"), [(450, 2), (530, 1), (640, 0)])
def test_a_band_has_the_colour_of_its_light(wavelength, channel):
    assert wavelength_colour(wavelength).argmax() == channel
    picture = band_picture(np.full((2, 2), 0.5), wavelength)
    assert picture.shape == (2, 2, 3)
    assert picture[0, 0].argmax() == channel


def test_false_colour_stretches_three_bands():
    picture = false_colour(draw_cube(31, 30, 30) * 0.2)
    assert picture.dtype == np.uint8
    assert (picture.min(), picture.max()) == (0, 255)


def test_nearest_bands():
    assert nearest_bands(usual_wavelengths(31), (452, 699)) == [5, 30]
    with pytest.raises(ValueError, match="no band near 900 nm: the cube spans 400 to 700 nm"):
        nearest_bands(usual_wavelengths(31), (900,))


@pytest.mark.parametrize(
    ("cube", "options", "message"),
    [
        (np.ones((5, 2, 2)), {}, "the wavelengths of 5 bands are not known"),
        (np.ones((5, 2, 2)), {"wavelengths": (400, 500)}, "2 wavelengths for 5 bands"),
        (np.ones((3, 2, 2)), {"wavelengths": (500, 400, 600)}, "one rising list"),
        (np.ones((2, 2)), {}, "a cube is C×H×W, not 2×2"),
        (np.ones((31, 2, 2)), {"illuminant": "D50"}, "no illuminant 'D50' here; there are D65"),
    ],
)
def test_what_cannot_be_shown_is_refused(cube, options, message):
    with pytest.raises(ValueError, match=message):
        cube_to_srgb(cube, **options)


@pytest.mark.filterwarnings("ignore:Aligning")
def test_bands_at_any_wavelengths_are_within_two_delta_e_of_colour_science():
    """The 28 CASSI bands, by colour-science's own interpolation at every nanometre."""
    colour = pytest.importorskip("colour")
    cube = draw_cube(28, 4, 5, seed=3)
    ours = cube_to_srgb(cube).reshape(-1, 3) / 255
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
    shape = colour.SpectralShape(380, 780, 1)
    theirs = []
    for spectrum in cube.reshape(28, -1).T:
        curve = colour.SpectralDistribution(spectrum.astype(np.float64), usual_wavelengths(28))
        curve.interpolator = colour.LinearInterpolator
        filled = colour.SpectralDistribution(curve[shape.wavelengths], shape.wavelengths)
        xyz = colour.sd_to_XYZ(filled, observer, colour.SDS_ILLUMINANTS["D65"])
        theirs.append(colour.XYZ_to_sRGB(xyz / 100).clip(0, 1))
    first, second = (colour.XYZ_to_Lab(colour.sRGB_to_XYZ(each)) for each in (ours, theirs))
    assert colour.delta_E(first, second, method="CIE 2000").max() < 2
