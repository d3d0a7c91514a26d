import numpy as np
import pytest
from PIL import Image

from glmha_hf.analysis.cube_views import (
    cube_sheet,
    different_places,
    draw_spectra,
    exposure_of,
    marked,
    place_at,
    write_views,
)
from glmha_hf.analysis.spectra import cube_to_srgb
from glmha_hf.data.cube_formats import SpectralCube, view_files
from glmha_hf.data.spectral_sets import NTIRE_WAVELENGTHS


def patches():
    """A dark ground with a blue, a green and a bright red square, 31×60×80."""
    values = np.full((31, 60, 80), 0.1, np.float32)
    for low, top, left, value in ((0, 6, 9, 0.4), (10, 30, 40, 0.5), (20, 42, 60, 0.9)):
        values[low : low + 11, top : top + 12, left : left + 12] = value
    return SpectralCube(values, NTIRE_WAVELENGTHS)


def test_the_places_found_are_those_that_differ():
    places = different_places(patches(), count=4)
    spectra = {
        tuple(np.round(place.spectrum(patches().values)[[0, 15, 30]].tolist(), 2).tolist())
        for place in places
    }
    assert {(0.4, 0.1, 0.1), (0.1, 0.5, 0.1), (0.1, 0.1, 0.9), (0.1, 0.1, 0.1)} == spectra


def test_a_flat_cube_has_one_place():
    flat = SpectralCube(np.full((31, 20, 20), 0.5, np.float32), NTIRE_WAVELENGTHS)
    assert len(different_places(flat)) == 1


def test_a_small_cube_can_be_looked_at():
    tiny = SpectralCube(np.random.default_rng(0).random((31, 2, 5), np.float32), NTIRE_WAVELENGTHS)
    assert cube_sheet({"tiny": tiny}, places=different_places(tiny)).width > 600


def test_a_place_is_the_mean_of_a_square():
    cube = patches()
    place = place_at(cube, 30, 40)
    assert place.side == 3
    expected = cube.values[:, 29:32, 39:42].mean((1, 2))
    np.testing.assert_allclose(place.spectrum(cube.values), expected)
    corner = place_at(cube, 0, 79).spectrum(cube.values)
    np.testing.assert_allclose(corner, 0.1, rtol=1e-6)
    with pytest.raises(ValueError, match="no pixel 60,0 in a cube of 60×80"):
        place_at(cube, 60, 0)


def test_the_views_say_their_exposure(tmp_path):
    cube = patches()
    write_views(cube, tmp_path / "a.mat", exposure="auto")
    colours, spectra = view_files(tmp_path / "a.mat")
    factor = exposure_of(cube, "auto")
    assert factor > 1.5
    with Image.open(colours) as picture:
        assert float(picture.text["exposure"]) == pytest.approx(factor, rel=1e-5)
        assert picture.text["wavelengths"].split()[:2] == ["400", "410"]
        expected = cube_to_srgb(cube.values, cube.wavelengths, exposure=factor)
        np.testing.assert_array_equal(picture, expected)
    with Image.open(spectra) as sheet:
        assert sheet.width > 1000


def test_marks_are_drawn_where_the_places_are():
    cube = patches()
    picture = cube_to_srgb(cube.values)
    drawn = marked(picture, [place_at(cube, 10, 15)], width=160)
    changed = np.argwhere((drawn != marked(picture, [], width=160)).any(axis=-1))
    assert drawn.shape == (120, 160, 3)
    assert np.abs(changed.mean(axis=0) - (21, 34)).max() < 6


def test_a_line_a_cube_and_a_row_a_cube():
    cube, places = patches(), [place_at(patches(), 30, 40)]
    dimmed = SpectralCube(cube.values / 2, cube.wavelengths)
    one, two = (draw_spectra(cubes, places) for cubes in ({"a": cube}, {"a": cube, "b": dimmed}))
    assert one.size == two.size
    assert np.asarray(one).tobytes() != np.asarray(two).tobytes()
    sheets = [
        cube_sheet(cubes, places=places, exposure=1.0)
        for cubes in ({"a": cube}, {"a": cube, "b": dimmed})
    ]
    assert sheets[1].height > sheets[0].height + 100
