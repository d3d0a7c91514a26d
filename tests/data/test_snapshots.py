import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from glmha_hf.data.cassi import CassiSystem
from glmha_hf.data.snapshots import check_mask, read_snapshot

VALUES = np.random.default_rng(0).uniform(0, 5, (6, 12)).astype(np.float32)
SYSTEM = CassiSystem(torch.ones(6, 8), bands=5, step=1)


def test_a_simulated_measurement_stays_as_it_is(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    scipy.io.savemat(tmp_path / "a.mat", {"meas": VALUES})
    for name in ("a.npy", "a.mat"):
        snapshot = read_snapshot(tmp_path / name)
        assert not snapshot.captured
        np.testing.assert_array_equal(snapshot.values, VALUES)
        np.testing.assert_array_equal(snapshot.scaled(SYSTEM), VALUES)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_captured_one_is_brought_to_a_peak(depth, tmp_path):
    """As the published code does: what the model is given has its maximum at 0.8."""
    counts = np.rint(VALUES / VALUES.max() * np.iinfo(depth).max).astype(depth)
    Image.fromarray(counts).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", counts)
    scipy.io.savemat(tmp_path / "a.mat", {"meas_real": VALUES})
    for name in ("a.png", "a.npy", "a.mat"):
        snapshot = read_snapshot(tmp_path / name)
        assert snapshot.captured
        given = SYSTEM.model_input(snapshot.scaled(SYSTEM))
        assert given.max() == pytest.approx(0.8)
        assert SYSTEM.model_input(snapshot.scaled(SYSTEM, peak=0.5)).max() == pytest.approx(0.5)
        np.testing.assert_allclose(
            snapshot.values / snapshot.values.max(), VALUES / VALUES.max(), atol=3e-3
        )


def test_another_variable_can_be_named(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"y": VALUES, "x": 1.0})
    np.testing.assert_array_equal(read_snapshot(tmp_path / "a.mat", variable="y").values, VALUES)
    with pytest.raises(ValueError, match="no variable meas_real or meas or measurement, but "):
        read_snapshot(tmp_path / "a.mat")
    with pytest.raises(ValueError, match="no variable z, but "):
        read_snapshot(tmp_path / "a.mat", variable="z")


def test_negative_readings_are_dark(tmp_path):
    np.save(tmp_path / "a.npy", VALUES - 1)
    assert read_snapshot(tmp_path / "a.npy").values.min() == 0


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((2, 3, 4)), "H×W' numbers, this is 2×3×4"),
        (np.ones((2, 3), complex), "complex128"),
        (np.full((2, 3), np.nan), "NaN or infinite"),
        (np.zeros((2, 3)), "is black"),
    ],
)
def test_what_is_no_snapshot_is_refused(array, message, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=message):
        read_snapshot(tmp_path / "a.npy")


def test_a_colour_picture_or_a_broken_one_is_no_snapshot(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(ValueError, match="gray picture, this one is RGB"):
        read_snapshot(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not a picture that can be read"):
        read_snapshot(tmp_path / "b.png")


def test_a_mask_must_fit_its_snapshot():
    check_mask(SYSTEM, torch.ones(6, 12), mask_file="mask.mat")
    wanted = "6×13 needs a mask of 6×9 with 5 bands 1 columns apart; mask.mat is 6×8"
    with pytest.raises(ValueError, match=wanted):
        check_mask(SYSTEM, torch.ones(6, 13), mask_file="mask.mat")
    with pytest.raises(ValueError, match="7×12 needs a mask of 7×8"):
        check_mask(SYSTEM, torch.ones(7, 12), mask_file="mask.mat")
    with pytest.raises(ValueError, match="6×4 is too narrow with 5 bands"):
        check_mask(SYSTEM, torch.ones(6, 4), mask_file="mask.mat")
