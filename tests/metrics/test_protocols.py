import math
import warnings

import numpy as np
import pytest
import torch

from glmha_hf.metrics import PROTOCOLS, compare, psnr, rmse, ssim

PICTURES = [name for name, entry in PROTOCOLS.items() if entry.kind == "picture"]
CUBES = [name for name, entry in PROTOCOLS.items() if entry.kind == "cube"]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_entry_declares_what_it_returns(name, picture_pair, cube_pair):
    pair = picture_pair if name in PICTURES else cube_pair
    scores = compare(*pair, protocol=name)
    assert tuple(scores) == PROTOCOLS[name].keys == tuple(PROTOCOLS[name].higher_is_better)
    assert all(type(score) is float and math.isfinite(score) for score in scores.values())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_tensors_score_as_arrays_do(name, picture_pair, cube_pair):
    pair = picture_pair if name in PICTURES else cube_pair
    tensors = [torch.from_numpy(array) for array in pair]
    assert compare(*tensors, protocol=name) == compare(*pair, protocol=name)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_identical_pair_is_perfect_without_a_warning(name, picture_pair, cube_pair):
    reference = (picture_pair if name in PICTURES else cube_pair)[1]
    perfect = {"psnr": math.inf, "ssim": 1.0, "mrae": 0.0, "rmse": 0.0, "sam": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = compare(reference, reference, protocol=name)
    assert scores == {key: perfect[key] for key in scores}


@pytest.mark.parametrize("name", PICTURES)
def test_one_gray_channel_may_be_an_axis_or_not(name, picture_pair):
    gray = [picture[..., 0] for picture in picture_pair]
    with_axis = [picture[..., :1] for picture in picture_pair]
    assert compare(*gray, protocol=name) == compare(*with_axis, protocol=name)


def test_a_gray_picture_is_its_own_luma(picture_pair):
    first, second = (picture[..., 0] for picture in picture_pair)
    scores = compare(first, second, protocol="deraining")
    assert scores == {"psnr": psnr(first, second), "ssim": ssim(first, second)}


def test_deblurring_of_gray_is_the_2d_window_with_replicated_borders(picture_pair):
    first, second = (picture[..., 0] for picture in picture_pair)
    expected = ssim(first, second, border="replicate")
    assert compare(first, second, protocol="deblurring")["ssim"] == pytest.approx(
        expected, abs=1e-6
    )


def test_ntire_leaves_out_128_pixels_on_each_side(rng):
    reference = rng.uniform(0.1, 0.9, (3, 260, 270)).astype(np.float32)
    prediction = reference + rng.normal(0, 0.1, reference.shape).astype(np.float32)
    centre = (slice(None), slice(128, 132), slice(128, 142))
    scores = compare(prediction, reference, protocol="ntire2022")
    assert scores == compare(prediction[centre], reference[centre], protocol="ntire2022")
    prediction[:, :128] = 7
    assert compare(prediction, reference, protocol="ntire2022") == scores


def test_ntire_says_that_it_scores_a_cube_whole(caplog):
    cube = np.full((3, 256, 401), 0.5, np.float32)
    assert compare(cube, cube, protocol="ntire2022")["psnr"] == math.inf
    assert "3×256×401 are nothing but ntire2022's margin" in caplog.text


def test_ntire_clamps_for_psnr_alone(cube_pair):
    prediction, reference = cube_pair
    scores = compare(prediction, reference, protocol="ntire2022")
    assert scores["psnr"] == psnr(prediction.clip(0, 1), reference)
    assert scores["rmse"] == rmse(prediction, reference)


def test_cassi_scores_8_bit_bands(cube_pair):
    first, second = (np.rint(np.clip(x, 0, 1) * 255.0).astype(np.uint8) for x in cube_pair)
    scores = compare(*cube_pair, protocol="cassi")
    by_band = [psnr(a, b, item_ndim=2) for a, b in zip(first, second, strict=True)]
    assert scores["psnr"] == pytest.approx(np.mean(by_band), abs=1e-9)
    assert scores["ssim"] == pytest.approx(np.mean(ssim(first, second)), abs=1e-6)


PICTURE = np.zeros((20, 24, 3), np.uint8)
CUBE = np.full((4, 20, 24), 0.5, np.float32)


@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        (PICTURE / 255, PICTURE, "prediction is float64: give round(255 * clip(x, 0, 1)) as uint8"),
        (PICTURE, PICTURE.astype(np.uint16), "the reference is uint16: give the 8-bit picture"),
        (PICTURE, PICTURE[1:], "prediction is 20×24×3 and the reference 19×24×3"),
        (PICTURE, PICTURE[..., 0], "prediction is 20×24×3 and the reference 20×24"),
        (PICTURE.transpose(2, 0, 1), PICTURE, "is 3×20×24: move the channels last"),
        (PICTURE[None], PICTURE[None], "is 1×20×24×3: give one picture at a time"),
        (np.zeros((20, 24, 4), np.uint8), PICTURE, "convert it to RGB, without an alpha channel"),
        ("picture.png", PICTURE, "a str cannot be scored: give a NumPy array or a torch tensor"),
    ],
)
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_refused_in_one_line(name, prediction, reference, message):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        compare(prediction, reference, protocol=name)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def with_nan(cube):
    broken = cube.copy()
    broken[0, 0, :2] = np.nan, np.inf
    return broken


@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        (CUBE, (CUBE * 255).astype(np.uint8), "the reference is uint8: divide by its full scale"),
        (with_nan(CUBE), CUBE, "the prediction has 2 NaN or infinite values of 1920"),
        (CUBE, with_nan(CUBE), "the reference has 2 NaN or infinite values of 1920"),
        (CUBE, CUBE * 255, "the reference reaches 127.5: give cubes scaled to [0, 1]"),
        (CUBE * 255, CUBE, "the prediction averages 127.5: give cubes scaled to [0, 1]"),
        (CUBE[:3], CUBE, "prediction is 3×20×24 and the reference 4×20×24"),
        (CUBE[0], CUBE[0], "is 20×24: give all bands, first axis first"),
        (CUBE[None], CUBE[None], "is 1×4×20×24: give one cube at a time"),
    ],
)
@pytest.mark.parametrize("name", CUBES)
def test_cubes_refused_in_one_line(name, prediction, reference, message):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        compare(prediction, reference, protocol=name)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_unknown_protocol_gets_the_near_matches():
    with pytest.raises(ValueError, match="no protocol called 'derainin': did you mean deraining"):
        compare(PICTURE, PICTURE, protocol="derainin")


def test_cassi_rounds_halves_up_as_matlab_does() -> None:
    halves = np.full((28, 16, 16), 0.3)  # 76.5 of 255
    assert compare(halves, np.full_like(halves, 77 / 255), "cassi")["psnr"] == np.inf
