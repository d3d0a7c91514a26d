"""GAP-TV on cases with a known answer."""

import numpy as np
import pytest
import torch

from glmha_hf.baselines.gap_tv import denoise_tv, gap_tv
from glmha_hf.data.cassi import CassiSystem
from glmha_hf.metrics import psnr


def random_system(bands, step, rows, columns, low=0.0):
    generator = torch.Generator().manual_seed(0)
    mask = low + (1 - low) * torch.rand(rows, columns, generator=generator, dtype=torch.float64)
    scene = torch.rand(bands, rows, columns, generator=generator, dtype=torch.float64)
    return CassiSystem(mask, bands=bands, step=step), scene


@pytest.mark.parametrize(("bands", "step"), [(1, 2), (5, 12), (4, 15)])
def test_what_no_two_bands_share_is_recovered_exactly(bands, step):
    """A dispersion as wide as the scene leaves one unknown a sensor pixel: a diagonal system."""
    system, scene = random_system(bands, step, 10, 12, low=0.1)
    found = gap_tv(system.measure(scene), system, iterations=1, tv_weight=0)
    torch.testing.assert_close(found, scene, rtol=1e-10, atol=1e-12)


def test_without_smoothing_it_goes_to_the_scene_of_least_norm():
    """From a dark scene, adjoints alone reach what the pseudo-inverse gives."""
    system, scene = random_system(3, 1, 4, 5)
    measurement = system.measure(scene)
    units = torch.eye(scene.numel(), dtype=torch.float64).reshape(-1, *scene.shape)
    dense = system.measure(units).flatten(1).T
    expected = torch.linalg.pinv(dense) @ measurement.flatten()
    found = gap_tv(measurement, system, iterations=1, tv_weight=0)
    torch.testing.assert_close(found.flatten(), expected, rtol=1e-8, atol=1e-10)


def flat_scene():
    """Four patches of one smooth spectrum each on a dark ground, 8×48×64."""
    scene = np.zeros((8, 48, 64))
    place = np.linspace(0, 1, 8)
    spectra = (place, 1 - place, np.exp(-(((place - 0.5) / 0.2) ** 2)), np.full(8, 0.7))
    corners = ((6, 6), (6, 36), (28, 8), (26, 38))
    for (top, left), spectrum in zip(corners, spectra, strict=True):
        scene[:, top : top + 14, left : left + 18] = spectrum[:, None, None]
    mask = np.random.default_rng(0).integers(0, 2, (48, 64)).astype(float)
    return CassiSystem(torch.from_numpy(mask), bands=8, step=2), torch.from_numpy(scene)


def test_a_piecewise_constant_scene_comes_back():
    """Within 0.064 RMS with the published settings, within 0.04 where smoothing converges."""
    system, scene = flat_scene()
    measurement = system.measure(scene)

    def score(**settings):
        found = gap_tv(measurement, system, **settings)
        return float(psnr(found.numpy(), scene.numpy(), peak=1))

    first, few, usual = (score(iterations=count) for count in (1, 10, 100))
    assert first < few < usual
    assert usual > 23.8
    assert score(tv_iterations=50) > 28


def test_the_scene_agrees_with_the_measurement():
    system, scene = flat_scene()
    measurement = system.measure(scene)
    found = system.measure(gap_tv(measurement, system))
    assert (found - measurement).norm() < 0.05 * measurement.norm()


def test_progress_counts_iterations():
    system, scene = flat_scene()
    done = []
    gap_tv(system.measure(scene), system, iterations=3, progress=done.append)
    assert done == [1, 1, 1]


def test_dark_sensor_pixels_do_no_harm():
    system, scene = flat_scene()
    mask = system.mask.clone()
    mask[:10] = 0
    dark = CassiSystem(mask, bands=8, step=2)
    assert torch.isfinite(gap_tv(dark.measure(scene), dark, iterations=5)).all()


@pytest.mark.parametrize("settings", [{"iterations": 0}, {"tv_weight": -1}, {"tv_iterations": 0}])
def test_impossible_settings_are_refused(settings):
    system, scene = flat_scene()
    with pytest.raises(ValueError, match="at least one iteration of each kind"):
        gap_tv(system.measure(scene), system, **settings)


@pytest.mark.parametrize("weight", [0.02, 0.3])
def test_total_variation_is_scikit_images(weight):
    restoration = pytest.importorskip("skimage.restoration")
    bands = torch.rand(3, 21, 34, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = restoration.denoise_tv_chambolle(
        bands.numpy(), weight, eps=0, max_num_iter=6, channel_axis=0
    )
    np.testing.assert_allclose(denoise_tv(bands, weight=weight, iterations=5), expected, atol=1e-12)


def test_much_smoothing_leaves_each_bands_mean():
    bands = torch.rand(2, 8, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    smooth = denoise_tv(bands, weight=100.0, iterations=2000)
    expected = bands.mean((1, 2), keepdim=True).expand_as(bands)
    torch.testing.assert_close(smooth, expected, atol=1e-3, rtol=0)
    assert denoise_tv(bands, weight=0.0, iterations=5) is bands
