"""Rain: how strong, how varied, and each way of drawing a streak."""

import numpy as np
import pytest

from glmha_hf.data.degradations import Rain, ValidationRain
from glmha_hf.data.degradations.base import gaussian_blur
from glmha_hf.data.degradations.streaks import RENDERERS, StreakStyle
from tests.luma import luma_psnr


def strengths(degradation, scene, count):
    return np.array(
        [
            luma_psnr(degradation(scene, np.random.default_rng([7, number])), scene)
            for number in range(count)
        ]
    )


@pytest.fixture(scope="module")
def psnr():
    """Y-PSNR of 400 draws of rain on a picture of typical brightness."""
    rows, columns = np.mgrid[:128, :128]
    gray = 0.42 + 0.2 * np.sin(rows / 9) * np.cos(columns / 13)
    return strengths(Rain(), np.repeat(gray[..., None], 3, 2).astype(np.float32), 400)


class TestStrength:
    def test_most_rain_lies_between_21_and_30_db(self, psnr):
        assert 23 < np.median(psnr) < 27.5
        assert np.mean((psnr > 20) & (psnr < 31)) > 0.7

    def test_all_of_18_to_35_db_occurs(self, psnr):
        rainy = psnr[np.isfinite(psnr)]
        assert np.quantile(rainy, 0.03) < 20.5
        assert np.quantile(rainy, 0.97) > 34
        assert rainy.min() > 13

    def test_a_few_pictures_stay_dry(self, psnr):
        assert 0.01 < np.mean(np.isinf(psnr)) < 0.08

    def test_can_be_all_dry_or_never_dry(self, scene):
        assert np.isinf(strengths(Rain(clean_fraction=1), scene, 5)).all()
        assert np.isfinite(strengths(Rain(clean_fraction=0), scene, 40)).all()

    def test_validation_rain_is_strong_but_not_blinding(self, scene):
        psnr = strengths(ValidationRain(), scene, 12)
        assert 20 < psnr.mean() < 30


class TestRain:
    def test_only_brightens_a_dark_picture(self):
        black = np.zeros((64, 64, 3), np.float32)
        rainy = Rain(clean_fraction=0, jpeg_fraction=0)(black, np.random.default_rng(2))
        assert rainy.min() >= 0
        assert rainy.max() > 0.05

    def test_can_be_limited_to_one_renderer(self, scene):
        rain = Rain(renderers=("hard_lines",), clean_fraction=0)
        assert luma_psnr(rain(scene, np.random.default_rng(0)), scene) < 45


@pytest.mark.parametrize("name", RENDERERS)
class TestRenderers:
    style = StreakStyle(length=24, width=1.5, angle=20, angle_jitter=1.0, coverage=0.1)

    def test_draws_an_opacity_map(self, name):
        streaks = RENDERERS[name]((96, 128), np.random.default_rng(0), self.style)
        assert streaks.shape == (96, 128)
        assert streaks.dtype == np.float32
        assert streaks.min() >= 0
        assert 0.1 < streaks.max() < 6

    @pytest.mark.parametrize("angle", [-60, -20, 0, 20, 60])
    def test_streaks_run_along_the_wind(self, name, angle):
        """The gradient's principal axis is at right angles to the streaks."""
        style = StreakStyle(length=40, width=3, angle=angle, angle_jitter=0.0, coverage=0.08)
        streaks = RENDERERS[name]((192, 192), np.random.default_rng(1), style)
        vertical, horizontal = np.gradient(gaussian_blur(streaks, 1.5))
        tensor = np.array(
            [
                [np.mean(horizontal**2), np.mean(horizontal * vertical)],
                [np.mean(horizontal * vertical), np.mean(vertical**2)],
            ]
        )
        across = np.linalg.eigh(tensor)[1][:, 1]
        along = np.rad2deg(np.arctan2(-across[1], across[0]))
        assert (along - angle + 90) % 180 - 90 == pytest.approx(0, abs=8)

    def test_more_coverage_is_more_rain(self, name):
        thin, dense = (
            StreakStyle(length=20, width=1.2, angle=5, angle_jitter=0, coverage=coverage)
            for coverage in (0.02, 0.3)
        )
        draw = RENDERERS[name]
        few = draw((128, 128), np.random.default_rng(3), thin).mean()
        many = draw((128, 128), np.random.default_rng(3), dense).mean()
        assert many > 2 * few
