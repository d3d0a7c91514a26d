import numpy as np
import pytest

from glmha_hf.metrics import ergas, mrae, sam


def reference_angles(prediction, reference):
    first, second = (x.reshape(len(x), -1).T.astype(np.float64) for x in (prediction, reference))
    products = np.array([a @ b for a, b in zip(first, second, strict=True)])
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.degrees(np.arccos(products / lengths))


def test_sam_averages_the_angles_of_the_pixels(cube_pair):
    assert sam(*cube_pair) == pytest.approx(reference_angles(*cube_pair).mean(), abs=1e-9)


@pytest.mark.parametrize("bands", [28, 300])
def test_sam_of_8_bit_cubes_is_exact(rng, bands):
    cubes = rng.integers(1, 256, (2, bands, 5, 6), dtype=np.uint8)
    assert sam(*cubes) == pytest.approx(reference_angles(*cubes).mean(), abs=1e-9)


def test_sam_of_known_spectra():
    east, north = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    pairs = [(east, 3 * east), (east, north), (east, east + north)]
    prediction, reference = (np.stack(side).T[:, None] for side in zip(*pairs, strict=True))
    assert sam(prediction, reference) == pytest.approx((0 + 90 + 45) / 3)


def test_black_spectra_have_an_angle():
    black, grey = np.zeros((4, 1, 1)), np.full((4, 1, 1), 0.5)
    assert sam(black, black) == 0
    assert sam(black, grey) == pytest.approx(90)


def test_sam_of_identical_cubes_is_exactly_0(cube_pair):
    assert sam(cube_pair[1], cube_pair[1]) == 0


def test_mrae_is_relative_to_the_reference(cube_pair):
    prediction, reference = (cube.astype(np.float64) for cube in cube_pair)
    expected = np.mean(np.abs(prediction - reference) / reference)
    assert mrae(*cube_pair) == pytest.approx(expected, rel=1e-12)


def test_mrae_leaves_zero_labels_out():
    reference = np.array([[[0.0, 0.5, 1.0, 0.0]]])
    prediction = np.array([[[0.3, 0.4, 1.0, 0.0]]])
    assert mrae(prediction, reference) == pytest.approx((0.1 / 0.5 + 0) / 2)


def test_mrae_of_a_black_reference_is_refused():
    with pytest.raises(ValueError, match="zero everywhere, so MRAE is undefined: use RMSE"):
        mrae(np.ones((2, 3, 3)), np.zeros((2, 3, 3)))


def test_ergas_weighs_each_band_by_its_mean(cube_pair):
    prediction, reference = (cube.astype(np.float64) for cube in cube_pair)
    errors = ((prediction - reference) ** 2).mean(axis=(1, 2))
    expected = 100 * np.sqrt(np.mean(errors / reference.mean(axis=(1, 2)) ** 2))
    assert ergas(*cube_pair) == pytest.approx(expected, rel=1e-9)
    assert ergas(*cube_pair, ratio=0.25) == pytest.approx(expected / 4, rel=1e-9)


@pytest.mark.parametrize("metric", [sam, ergas])
def test_a_plane_is_not_a_cube(metric):
    with pytest.raises(ValueError, match="needs C×H×W cubes, not 5×5"):
        metric(np.ones((5, 5)), np.ones((5, 5)))
