"""What holds for every degradation, and what each of them promises."""

import numpy as np
import pytest

from glmha_hf.data.degradations import (
    DEGRADATIONS,
    GaussianNoise,
    Jpeg,
    MotionBlur,
    PoissonGaussianNoise,
    benchmark_noise,
)
from glmha_hf.data.degradations.base import gaussian_blur, smooth_field
from tests.luma import luma_psnr


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", DEGRADATIONS)
class TestEveryDegradation:
    def test_keeps_shape_type_and_the_picture_given(self, name, scene):
        before = scene.copy()
        degraded = DEGRADATIONS[name]()(scene, rng())
        assert degraded.shape == scene.shape
        assert degraded.dtype == np.float32
        assert np.isfinite(degraded).all()
        np.testing.assert_array_equal(scene, before)

    def test_same_seed_same_picture_other_seed_other_picture(self, name, scene):
        degrade = DEGRADATIONS[name]()
        np.testing.assert_array_equal(degrade(scene, rng(3)), degrade(scene, rng(3)))
        assert not np.array_equal(degrade(scene, rng(3)), degrade(scene, rng(4)))

    def test_stays_in_range_unless_it_is_gaussian_noise(self, name, scene):
        degraded = DEGRADATIONS[name]()(scene, rng())
        if name == "gaussian_noise":
            assert degraded.min() > -1.5
            assert degraded.max() < 2.5
        else:
            assert degraded.min() >= 0
            assert degraded.max() <= 1

    @pytest.mark.parametrize("shape", [(37, 53, 3), (64, 48, 1), (16, 150, 3)])
    def test_takes_any_height_and_width_and_gray(self, name, shape):
        picture = np.full(shape, 0.4, np.float32)
        for seed in range(4):
            assert DEGRADATIONS[name]()(picture, rng(seed)).shape == shape


class TestGaussianNoise:
    def test_has_the_sigma_asked_for(self):
        flat = np.full((200, 200, 3), 0.5, np.float32)
        noise = GaussianNoise(sigma=25)(flat, rng()) - flat
        assert noise.std() * 255 == pytest.approx(25, rel=0.01)
        assert abs(noise.mean()) * 255 < 0.2

    def test_blind_sigma_covers_its_range(self):
        flat = np.full((64, 64, 1), 0.5, np.float32)
        sigmas = [(GaussianNoise()(flat, rng(i)) - flat).std() * 255 for i in range(200)]
        assert min(sigmas) < 3
        assert max(sigmas) > 47
        assert np.mean(sigmas) == pytest.approx(25, abs=3)

    def test_gray_noise_is_the_same_in_every_channel(self, scene):
        noise = GaussianNoise(sigma=25, colour=False)(scene, rng()) - scene
        np.testing.assert_allclose(noise[..., 0], noise[..., 2], atol=1e-6)

    def test_benchmark_noise_is_the_papers_to_the_bit(self):
        clean = rng().integers(0, 256, (20, 30, 3), dtype=np.uint8)
        expected = np.float32(clean) / 255.0
        np.random.seed(0)  # noqa: NPY002 (the protocol itself)
        expected += np.random.normal(0, 25 / 255.0, expected.shape)  # noqa: NPY002
        noisy = benchmark_noise(clean, sigma=25)
        np.testing.assert_array_equal(noisy, expected)
        assert noisy.dtype == np.float32

    def test_benchmark_noise_begins_anew_for_every_picture(self):
        black = np.zeros((4, 4, 1), np.uint8)
        first, second = benchmark_noise(black, sigma=50), benchmark_noise(black, sigma=50)
        np.testing.assert_array_equal(first, second)
        assert first[0, 0, 0] == pytest.approx(1.76405235 * 50 / 255, rel=1e-6)


class TestPoissonGaussianNoise:
    def test_variance_in_linear_light_is_shot_plus_read(self):
        level, electrons, read = 0.5, 500.0, 5.0
        flat = np.full((150, 150, 3), level ** (1 / 2.2), np.float32)
        noise = PoissonGaussianNoise(electrons=(electrons, electrons), read_noise=(read, read))
        linear = noise(flat, rng()) ** 2.2
        assert linear.mean() == pytest.approx(level, rel=0.005)
        expected = (level * electrons + read**2) / electrons**2
        assert linear.var() == pytest.approx(expected, rel=0.05)


class TestJpeg:
    def test_lower_quality_is_farther_from_the_original(self, scene):
        rough, fine = Jpeg((10, 10))(scene, rng()), Jpeg((95, 95))(scene, rng())
        assert luma_psnr(rough, scene) + 5 < luma_psnr(fine, scene)

    def test_takes_gray_pictures(self, scene):
        assert Jpeg()(scene[..., :1], rng()).shape == (*scene.shape[:2], 1)


class TestMotionBlur:
    @pytest.mark.parametrize("level", [0.0, 0.2, 0.5, 1.0])
    def test_a_constant_picture_keeps_its_brightness(self, level):
        flat = np.full((60, 70, 3), level, np.float32)
        blurred = MotionBlur()(flat, rng(1))
        np.testing.assert_allclose(blurred, level, atol=0.5 / 255 + 1e-6)

    def test_light_is_averaged_linearly_not_by_code_value(self):
        stripes = np.zeros((120, 120, 3), np.float32)
        stripes[:, ::2] = 1
        sideways = _Straight(travel=(40, 40), wander=0, rotation=0)
        middle = sideways(stripes, rng())[40:80, 40:80]
        assert middle.mean() == pytest.approx(0.5 ** (1 / 2.2), abs=0.02)

    def test_a_point_becomes_a_streak_as_long_as_the_path(self):
        point = np.zeros((61, 61, 3), np.float32)
        point[30, 30] = 1
        streak = _Straight(travel=(20, 20), wander=0, rotation=0)(point, rng())[..., 0]
        rows, columns = np.nonzero(streak > 0.02)
        assert set(rows) == {30}
        assert np.ptp(columns) == pytest.approx(20, abs=2)
        assert columns.mean() == pytest.approx(30, abs=0.6)  # mid-exposure stays in place

    def test_without_movement_nothing_changes(self, scene):
        still = MotionBlur(travel=(0, 0), rotation=0)(scene, rng())
        np.testing.assert_allclose(still, scene, atol=1 / 255)

    def test_turning_blurs_the_rim_and_spares_the_centre(self):
        noise = rng().random((121, 121, 3), dtype=np.float32)
        turn = _Straight(travel=(10, 10), rotation=2.0)
        path, _ = turn.trajectory(rng(), diagonal=170)
        assert np.abs(path).max() <= 10
        turned = _PureTurn(travel=(10, 10), rotation=2.0)(noise, rng())
        change = np.abs(turned - noise).mean(axis=2)
        assert change[55:66, 55:66].mean() < 0.5 * change[10:20, 10:20].mean()

    @pytest.mark.parametrize("seed", range(20))
    def test_frames_are_about_a_pixel_apart_and_start_from_the_middle(self, seed):
        path, turn = MotionBlur(rotation=0).trajectory(rng(seed), diagonal=200)
        assert len(path) % 2 == 1
        np.testing.assert_array_equal(path[len(path) // 2], 0)
        np.testing.assert_array_equal(turn, 0)
        assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() < 2.5

    def test_noise_can_follow(self):
        flat = np.full((90, 90, 3), 0.5, np.float32)
        noisy = MotionBlur(noise_sigma=(10, 10))(flat, rng())
        assert noisy.std() * 255 == pytest.approx(10, rel=0.05)


class _Straight(MotionBlur):
    def trajectory(self, rng, *, diagonal):
        path, turn = super().trajectory(rng, diagonal=diagonal)
        length = self.travel[1]
        offsets = np.linspace(-length / 2, length / 2, len(path))
        return np.stack([offsets, np.zeros(len(path))], axis=1), turn


class _PureTurn(MotionBlur):
    def trajectory(self, rng, *, diagonal):
        return np.zeros((21, 2)), np.linspace(-0.03, 0.03, 21)


class TestBuildingBlocks:
    def test_gaussian_blur_keeps_constants_and_spreads_a_point(self):
        flat = np.full((9, 12, 3), 0.3, np.float32)
        np.testing.assert_allclose(gaussian_blur(flat, 1.5), flat, atol=1e-6)
        point = np.zeros((21, 21), np.float32)
        point[10, 10] = 1
        spread = gaussian_blur(point, 2.0)
        assert spread.sum() == pytest.approx(1, abs=1e-5)
        assert spread[10, 10] == pytest.approx(1 / (2 * np.pi * 4), rel=0.02)

    def test_smooth_field_is_smooth_and_within_bounds(self):
        field = smooth_field((50, 80), rng(), cell=25)
        assert field.shape == (50, 80)
        assert 0 <= field.min() < field.max() <= 1
        assert np.abs(np.diff(field, axis=0)).max() < 0.1
