"""Spectra on the fine grid, and bands out of it."""

import numpy as np
import pytest

from glmha_hf.data.scenes.bands import GRID, band_filters, on_grid
from glmha_hf.data.spectral_sets import CASSI_WAVELENGTHS, NTIRE_WAVELENGTHS


class TestOnGrid:
    def test_keeps_what_was_measured(self):
        values = np.random.default_rng(0).uniform(0, 1, (4, 31))
        np.testing.assert_allclose(on_grid(NTIRE_WAVELENGTHS, values)[:, ::10], values, atol=1e-12)

    def test_makes_no_new_extremes(self):
        steep = np.where(np.arange(31) < 15, 0.0, 1.0)
        between = on_grid(NTIRE_WAVELENGTHS, steep)
        assert (between.min(), between.max()) == (0, 1)
        assert (np.diff(between) >= 0).all()

    def test_keeps_the_ends_beyond_what_was_measured(self):
        between = on_grid([500.0, 550.0, 600.0], np.array([1.0, 2.0, 4.0]))
        np.testing.assert_allclose(between[GRID <= 500], 1)
        np.testing.assert_allclose(between[GRID >= 600], 4)

    def test_negatives_of_a_measurement_count_as_black(self):
        assert on_grid([400.0, 700.0], np.array([-0.1, -0.2])).max() == 0


class TestBandFilters:
    @pytest.mark.parametrize("wavelengths", [NTIRE_WAVELENGTHS, CASSI_WAVELENGTHS])
    def test_a_flat_spectrum_stays_flat(self, wavelengths):
        bands = np.full(301, 0.3) @ band_filters(wavelengths)
        np.testing.assert_allclose(bands, np.full(len(wavelengths), 0.3))

    def test_a_ramp_is_read_at_the_wavelengths(self):
        read = GRID @ band_filters(CASSI_WAVELENGTHS)
        np.testing.assert_allclose(read, CASSI_WAVELENGTHS, atol=1e-6)

    def test_a_band_is_half_as_sensitive_half_a_spacing_away(self):
        band = band_filters(NTIRE_WAVELENGTHS)[:, 15]
        assert GRID[band.argmax()] == 550
        assert band[GRID == 555] / band.max() == pytest.approx(0.5)
