import threading

import numpy as np
import pytest
from PIL import Image

from glmha_hf.data.cube_formats import read_cube
from glmha_hf.data.spectral_sets import CASSI_WAVELENGTHS, NTIRE_WAVELENGTHS
from glmha_hf.demo import examples, spectral
from glmha_hf.demo.pictures import open_upload
from glmha_hf.demo.restoring import UNKNOWN
from glmha_hf.demo.stopping import StoppedError
from glmha_hf.inference.restoration import reconstruct

RGB_MODEL = "glmha-mst-plus-plus-rgb2hsi"


@pytest.fixture
def few_iterations(monkeypatch):
    def short(snapshot, system, *, progress):
        from glmha_hf.baselines.gap_tv import gap_tv

        return gap_tv(snapshot, system, iterations=2, progress=progress)

    monkeypatch.setattr(spectral, "gap_tv", short)
    monkeypatch.setattr(spectral, "ITERATIONS", 2)


@pytest.mark.usefixtures("shipped_models")
class TestPicture:
    def test_the_cube_is_what_reconstruct_gives_in_both_files(self, picture, results):
        done = spectral.cube_of_picture(picture, results, model=RGB_MODEL)
        expected = reconstruct(picture, model=RGB_MODEL).clip(0)
        array, matlab = done.files
        assert np.array_equal(np.load(array), expected)
        assert np.array_equal(read_cube(matlab).values, expected)
        assert read_cube(matlab).wavelengths == NTIRE_WAVELENGTHS
        assert done.truth is None
        assert done.facts["Cube"] == "56 × 40 × 31 bands, 400 to 700 nm"
        assert done.facts["PSNR"] == UNKNOWN

    def test_the_example_is_known_by_its_pixels_and_scored(self, results, tmp_path):
        copy = tmp_path / "under another name.jpg"
        copy.write_bytes(examples.SCENE_PICTURE.read_bytes())
        done = spectral.cube_of_picture(copy, results, model=RGB_MODEL)
        assert np.array_equal(np.load(done.truth), examples.ntire_scene().values)
        assert done.facts["PSNR"].endswith(" dB")
        assert done.facts["Spectral angle"].endswith("°")

    def test_larger_pictures_are_scaled_and_say_so(self, picture, results, monkeypatch):
        monkeypatch.setattr(spectral, "MAX_CUBE_PIXELS", 560)
        done = spectral.cube_of_picture(picture, results, model=RGB_MODEL)
        assert np.load(done.files[0]).shape == (31, 20, 28)
        assert done.facts["Scaled from"] == "56 × 40"

    def test_stop_is_heeded(self, picture, results):
        stopped = threading.Event()
        stopped.set()
        with pytest.raises(StoppedError):
            spectral.cube_of_picture(picture, results, model=RGB_MODEL, stopped=stopped)


@pytest.mark.usefixtures("few_iterations")
class TestSnapshot:
    def test_gap_tv_needs_no_model(self, results):
        shares = []
        done = spectral.cube_of_snapshot(results, progress=shares.append)
        cube, truth = np.load(done.files[0]), np.load(done.truth)
        assert cube.shape == truth.shape == (28, 112, 112)
        assert shares == [0.5, 1.0]
        assert np.corrcoef(cube.ravel(), truth.ravel())[0, 1] > 0.5

    def test_an_unknown_model_is_told(self, results):
        with pytest.raises(ValueError, match="there is no model 'mst' here"):
            spectral.cube_of_snapshot(results, model="mst")


class TestLooking:
    @pytest.fixture
    def cube(self, tmp_path):
        path = tmp_path / "cube.npy"
        np.save(path, examples.ntire_scene().values)
        return spectral.open_cube(path)

    @pytest.mark.parametrize("view", spectral.VIEWS)
    def test_views_are_enlarged_evenly(self, view, cube):
        seen = spectral.draw_view(cube, view, wavelength=550, places=[])
        assert seen.shape == (112 * 5, 112 * 5, 3)
        assert spectral.enlargement(cube) == 5

    def test_thin_cubes_are_enlarged_no_further_than_the_page_is_high(self):
        values = np.ones((31, 1000, 1), np.float32)
        cube = spectral.SpectralCube(values, NTIRE_WAVELENGTHS)
        assert spectral.enlargement(cube) == 1
        assert spectral.draw_view(cube, "Colours", wavelength=550, places=[]).shape == (1000, 1, 3)

    def test_bands_have_the_colour_of_their_light(self, cube):
        red = spectral.draw_view(cube, "One band", wavelength=650, places=[])
        blue = spectral.draw_view(cube, "One band", wavelength=450, places=[])
        assert red[..., 0].mean() > red[..., 2].mean()
        assert blue[..., 2].mean() > blue[..., 0].mean()

    def test_a_places_spectrum_is_its_pixels(self, cube):
        rows = spectral.spectra_rows(cube, spectral.read_places("3, 7; 40,50", cube), cube)
        assert {name for *_, name in rows} == {
            "pixel 1",
            "pixel 1, truth",
            "pixel 2",
            "pixel 2, truth",
        }
        first = [value for _, value, name in rows if name == "pixel 1"]
        assert first == pytest.approx(cube.values[:, 3, 7].tolist())
        assert [wavelength for wavelength, *_ in rows[:31]] == list(NTIRE_WAVELENGTHS)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("3", "pixels are written as row, column; row, column; not '3'"),
            ("1, 2; x", "not 'x'"),
            ("0, 112", "there is no pixel 0, 112 in a cube of 112 rows, 112 columns"),
            ("; ".join(["1, 1"] * 7), "up to 6 pixels are shown at once, not 7"),
        ],
    )
    def test_bad_pixels_are_told(self, text, message, cube):
        with pytest.raises(ValueError, match=message):
            spectral.read_places(text, cube)

    def test_the_oldest_pixel_makes_room(self):
        text = ""
        for row in range(8):
            text = spectral.add_place(text, row, 9)
        assert text == "2, 9; 3, 9; 4, 9; 5, 9; 6, 9; 7, 9"

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.zeros((31, 4)), "a cube is C×H×W floats"),
            (np.zeros((7, 4, 4)), "the wavelengths of 7 bands are not known"),
            (np.array([{}]), "the cube's file is not a .npy array"),
        ],
    )
    def test_other_arrays_are_told(self, array, message, tmp_path):
        path = tmp_path / "cube.npy"
        np.save(path, array, allow_pickle=True)
        with pytest.raises(ValueError, match=message):
            spectral.open_cube(path)

    def test_no_cube_is_told(self):
        with pytest.raises(ValueError, match="there is no cube yet"):
            spectral.open_cube(None)


class TestExamples:
    def test_pictures_are_small_and_named_with_their_licences(self):
        licences = (examples.FOLDER / "LICENCES.md").read_text()
        for path in examples.pictures():
            assert path.stat().st_size <= 250_000
            assert max(open_upload(path).size) == 768
            assert f"`{path.name}`" in licences

    def test_the_scene_is_one_in_both_cameras(self):
        wide, narrow = examples.ntire_scene(), examples.cassi_scene()
        assert narrow.wavelengths == CASSI_WAVELENGTHS
        at_510 = narrow.values[CASSI_WAVELENGTHS.index(510.0)]
        assert np.allclose(at_510, wide.values[NTIRE_WAVELENGTHS.index(510.0)])
        assert Image.open(examples.SCENE_PICTURE).size == (112, 112)

    def test_the_snapshot_is_as_wide_as_the_prism_makes_it(self):
        assert spectral.snapshot_picture().shape == (112, 112 + 27 * 2)
        mask = examples.cassi_system().mask.numpy()
        assert mask.min() == 0
        assert mask.max() == 1
        assert 0.45 < mask.mean() < 0.55
        neighbours = np.corrcoef(mask[:, 1:].ravel(), mask[:, :-1].ravel())[0, 1]
        assert 0.55 < neighbours < 0.7  # cells are wider than a pixel
