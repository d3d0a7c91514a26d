import numpy as np
import pytest

from glmha_hf.evaluation.opening import open_sets
from tests.data.scenes import save_scenes
from tests.luma import luma_psnr


@pytest.fixture
def photos(tmp_path):
    save_scenes(tmp_path / "photos", 3, height=40, width=48)
    return tmp_path / "photos"


def test_every_degradation_makes_a_set_with_its_protocol(photos):
    hows = ["rain", "validation_rain", 'motion_blur:{"travel": [6, 9]}']
    found = open_sets(str(photos), degradations=hows)
    assert [each.protocol for each in found] == ["deraining", "deraining", "deblurring"]
    assert [each.name for each in found] == [f"photos {how}" for how in hows]
    assert [each.settings for each in found] == [{"degradation": how} for how in hows]
    for each in found:
        sample = each.sample(1)
        assert sample.picture.dtype == sample.target.dtype == np.uint8
        assert 5 < luma_psnr(sample.picture / 255, sample.target / 255) < 60


def test_what_is_drawn_depends_on_the_name_alone(photos):
    (found,) = open_sets(str(photos), degradations=["rain"])
    pictures = {found.picture_name(i): found.sample(i).picture for i in range(3)}
    sorted(photos.iterdir())[0].unlink()
    (left,) = open_sets(str(photos), degradations=["rain"])
    for index in range(2):
        np.testing.assert_array_equal(
            left.sample(index).picture, pictures[left.picture_name(index)]
        )


def test_clean_pictures_are_left_alone_under_a_named_protocol(photos):
    (found,) = open_sets(str(photos), protocol="deraining", degradations=["none"])
    sample = found.sample(0)
    np.testing.assert_array_equal(sample.picture, sample.target)
    with pytest.raises(ValueError, match="none does not tell the task: give --protocol"):
        open_sets(str(photos), degradations=["none"])


def test_gray_models_get_gray_rain(photos):
    (found,) = open_sets(str(photos), degradations=["rain"])
    assert found.sample(0, gray=True).picture.shape == (40, 48, 1)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("snow", "unknown degradation 'snow'"),
        ("rain:wet", "rain:wet: parameters are JSON"),
        ('motion_blur:{"travle": 3}', "unknown parameter 'travle' in motion_blur; did you mean tr"),
    ],
)
def test_bad_degradations_are_refused(photos, how, message):
    with pytest.raises(ValueError, match=message):
        open_sets(str(photos), degradations=[how])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere of clean pictures to degrade"):
        open_sets(str(tmp_path / "nowhere"), degradations=["rain"])
