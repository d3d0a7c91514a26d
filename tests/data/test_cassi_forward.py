"""The CASSI forward model against explicit loops, and its adjoint."""

import numpy as np
import pytest
import torch

from glmha_hf.data import cassi

SYSTEMS = [(28, 2, 16, 20), (28, 2, 8, 8), (5, 1, 6, 9), (4, 3, 7, 5), (3, 0, 4, 6), (1, 2, 3, 3)]


def random_system(bands, step, rows, columns):
    torch.manual_seed(0)
    mask = torch.rand(rows, columns, dtype=torch.float64)
    cube = torch.rand(2, bands, rows, columns, dtype=torch.float64)
    return cassi.CassiSystem(mask, bands=bands, step=step), cube


@pytest.mark.parametrize("system", SYSTEMS)
class TestForwardModel:
    def test_measures_what_explicit_loops_measure(self, system):
        bands, step, rows, columns = system
        imager, cube = random_system(*system)
        expected = np.zeros((2, rows, columns + (bands - 1) * step))
        for n in range(2):
            for band in range(bands):
                for row in range(rows):
                    for column in range(columns):
                        light = imager.mask[row, column] * cube[n, band, row, column]
                        expected[n, row, column + band * step] += float(light)
        np.testing.assert_allclose(imager.measure(cube).numpy(), expected, rtol=1e-12)

    def test_is_the_sum_of_the_shifted_coded_bands(self, system):
        imager, cube = random_system(*system)
        shifted = cassi.shift(imager.mask * cube, step=imager.step).sum(-3)
        torch.testing.assert_close(imager.measure(cube), shifted)

    def test_masks_on_the_sensor_are_as_good_as_masks_on_the_scene(self, system):
        imager, cube = random_system(*system)
        on_sensor = (imager.shifted_mask * cassi.shift(cube, step=imager.step)).sum(-3)
        torch.testing.assert_close(imager.measure(cube), on_sensor)

    def test_adjoint_satisfies_the_inner_product_identity(self, system):
        imager, cube = random_system(*system)
        measurement = torch.rand_like(imager.measure(cube))
        forward = (imager.measure(cube) * measurement).sum()
        backward = (cube * imager.adjoint(measurement)).sum()
        torch.testing.assert_close(forward, backward, rtol=1e-12, atol=0)

    def test_shift_back_undoes_shift(self, system):
        imager, cube = random_system(*system)
        shifted = cassi.shift(cube, step=imager.step)
        for band in range(imager.bands):
            back = cassi.shift_back(shifted[:, band], bands=imager.bands, step=imager.step)
            torch.testing.assert_close(back[:, band], cube[:, band])

    def test_model_input_is_the_scaled_measurement_read_once_per_band(self, system):
        bands, step, rows, columns = system
        imager, cube = random_system(*system)
        measurement = imager.measure(cube)
        taken = imager.model_input(measurement)
        assert taken.shape == (2, bands, rows, columns)
        for band in range(bands):
            expected = measurement[..., band * step : band * step + columns] / bands * 2
            torch.testing.assert_close(taken[:, band], expected)


class TestSizes:
    def test_published_system_is_310_columns_wide(self):
        imager = cassi.CassiSystem(torch.ones(256, 256))
        assert imager.measure(torch.ones(28, 256, 256)).shape == (256, 310)
        assert imager.shifted_mask.shape == (28, 256, 310)
        assert cassi.sensor_width(660, bands=28, step=2) == 714

    def test_an_open_mask_gives_back_the_brightness_of_a_flat_scene(self):
        imager = cassi.CassiSystem(torch.full((8, 90), 0.5))
        taken = imager.model_input(imager.measure(torch.full((28, 8, 90), 0.3)))
        assert taken[14, 4, 45] == pytest.approx(0.3)

    def test_wrong_mask_band_count_and_width_are_told(self):
        imager = cassi.CassiSystem(torch.ones(8, 8), bands=4)
        with pytest.raises(ValueError, match="mask is 8×8 but the scene is 8×9"):
            imager.measure(torch.ones(4, 8, 9))
        with pytest.raises(ValueError, match="5 bands, the system 4"):
            imager.measure(torch.ones(5, 8, 8))
        with pytest.raises(ValueError, match="needs more than 54"):
            cassi.shift_back(torch.ones(8, 50), bands=28, step=2)
        with pytest.raises(ValueError, match="too small for a 9×8 scene"):
            imager.crop(9, 8)

    def test_crop_takes_the_upper_left_of_the_mask(self):
        mask = torch.arange(12.0).reshape(3, 4) / 12
        torch.testing.assert_close(cassi.CassiSystem(mask).crop(2, 3).mask, mask[:2, :3])


class TestMaskFiles:
    mask = np.random.default_rng(0).random((6, 9)).astype(np.float32)

    def save(self, folder, kind, **arrays):
        path = folder / f"mask.{'npy' if kind == 'npy' else 'mat'}"
        if kind == "v5":
            pytest.importorskip("scipy.io").savemat(path, arrays)
        elif kind == "v7.3":
            with pytest.importorskip("h5py").File(path, "w", userblock_size=512) as file:
                for name, array in arrays.items():
                    file[name] = array.T
        else:
            np.save(path, next(iter(arrays.values())))
        return path

    @pytest.mark.parametrize("kind", ["v5", "v7.3", "npy"])
    def test_reads_every_kind_the_same_way_round(self, kind, tmp_path):
        path = self.save(tmp_path, kind, mask=self.mask)
        mask = cassi.load_mask(path)
        assert mask.dtype == torch.float32
        np.testing.assert_array_equal(mask.numpy(), self.mask)
        assert cassi.CassiSystem.from_file(path, bands=3).shifted_mask.shape == (3, 6, 13)

    @pytest.mark.parametrize("kind", ["v5", "v7.3"])
    def test_a_missing_variable_is_answered_with_those_there(self, kind, tmp_path):
        path = self.save(tmp_path, kind, aperture=self.mask)
        with pytest.raises(ValueError, match="no variable mask; it holds aperture"):
            cassi.load_mask(path)

    def test_refuses_what_is_no_mask(self, tmp_path):
        with pytest.raises(ValueError, match="this array is 2×6×9"):
            cassi.load_mask(self.save(tmp_path, "npy", mask=np.stack([self.mask] * 2)))
        with pytest.raises(ValueError, match="within 0 and 1"):
            cassi.load_mask(self.save(tmp_path, "npy", mask=self.mask + 1))
        (tmp_path / "text.mat").write_text("not a matrix")
        with pytest.raises(ValueError, match="cannot be read"):
            cassi.load_mask(tmp_path / "text.mat")
        with pytest.raises(FileNotFoundError, match="no file"):
            cassi.load_mask(tmp_path / "absent.mat")
