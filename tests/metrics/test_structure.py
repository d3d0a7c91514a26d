import numpy as np
import pytest
from scipy.ndimage import correlate1d, gaussian_filter
from skimage.metrics import structural_similarity

from glmha_hf.metrics import ssim, ssim_3d


def reference_ssim_map(first, second, *, peak, blur):
    """SSIM as published, five blurred fields in float64."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    mean_1, mean_2 = blur(first), blur(second)
    variance_1, variance_2 = blur(first**2) - mean_1**2, blur(second**2) - mean_2**2
    covariance = blur(first * second) - mean_1 * mean_2
    C1, C2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    luminance = (2 * mean_1 * mean_2 + C1) / (mean_1**2 + mean_2**2 + C1)
    return luminance * (2 * covariance + C2) / (variance_1 + variance_2 + C2)


def gaussian_3d(volume):
    return gaussian_filter(volume, sigma=1.5, radius=5, mode="nearest")


def test_ssim_is_scikit_images_in_the_valid_region(picture_pair):
    first, second = picture_pair[0][..., 0], picture_pair[1][..., 0]
    _, ssim_map = structural_similarity(
        first,
        second,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        full=True,
    )
    assert ssim(first, second) == pytest.approx(ssim_map[5:-5, 5:-5].mean(), abs=1e-12)


@pytest.mark.parametrize(
    ("border", "mode"), [("zero", "constant"), ("replicate", "nearest"), ("valid", "nearest")]
)
def test_ssim_borders(cube_pair, border, mode):
    taps = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    taps /= taps.sum()

    def blur(plane):
        return correlate1d(correlate1d(plane, taps, axis=0, mode=mode), taps, axis=1, mode=mode)

    for band in range(2):
        planes = [cube[band] for cube in cube_pair]
        expected = reference_ssim_map(*planes, peak=1, blur=blur)
        expected = expected[5:-5, 5:-5] if border == "valid" else expected
        assert ssim(*planes, border=border) == pytest.approx(expected.mean(), abs=1e-12)


@pytest.mark.parametrize("size", [(11, 11), (12, 40), (35, 34), (90, 61), (61, 1500)])
def test_blocks_and_strips_leave_no_seam(rng, size):
    first = rng.integers(0, 256, size).astype(np.float64)
    second = first + rng.normal(0, 20, size)
    ssim_map = reference_ssim_map(first, second, peak=255, blur=gaussian_3d)
    expected = ssim_map[5:-5, 5:-5].mean()
    assert ssim(first, second, peak=255) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(np.full((40, 40), 252), np.full((40, 40), 255), id="bright"),
        pytest.param(np.zeros((40, 40)), np.eye(40) * 20, id="dark"),
        pytest.param(np.zeros((40, 40)), np.full((40, 40), 255), id="opposite"),
        pytest.param(np.tri(40) * 255, np.tri(40, k=1) * 255, id="hard edge"),
        pytest.param(np.tri(40) * 245 + 5, np.tri(40) * 245 + 5 + np.eye(40) * 3, id="two levels"),
    ],
)
def test_float32_is_enough_for_8_bits(first, second):
    first, second = first.astype(np.uint8), second.astype(np.uint8)
    assert ssim(first, second, dtype=np.float32) == pytest.approx(ssim(first, second), abs=5e-6)


def test_ssim_3d_blurs_across_the_colours_too(picture_pair):
    expected = reference_ssim_map(*picture_pair, peak=255, blur=gaussian_3d).mean()
    assert ssim_3d(*picture_pair) == pytest.approx(expected, abs=1e-12)
    by_channel = ssim(*(np.moveaxis(picture, -1, 0) for picture in picture_pair)).mean()
    assert abs(by_channel - expected) > 1e-3


@pytest.mark.parametrize("shape", [(7, 9, 3), (30, 8, 1), (16, 70, 12)])
def test_ssim_3d_of_any_size(rng, shape):
    first = rng.integers(0, 256, shape, dtype=np.uint8)
    second = np.clip(first + rng.normal(0, 30, shape), 0, 255).astype(np.uint8)
    expected = reference_ssim_map(first, second, peak=255, blur=gaussian_3d).mean()
    assert ssim_3d(first, second) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", [ssim_3d, lambda *pair: ssim(*np.moveaxis(pair, -1, 1)).mean()])
def test_identity_is_exactly_1(picture_pair, metric):
    assert metric(picture_pair[1], picture_pair[1]) == 1.0


def test_ssim_says_when_the_window_does_not_fit(picture_pair):
    with pytest.raises(ValueError, match=r"at least 11×11 .* are 40×52×3: give larger planes"):
        ssim(*picture_pair)
