import numpy as np
import pytest
from PIL import Image

import glmha_hf
from glmha_hf.demo import comparing, models
from glmha_hf.demo.restoring import UNKNOWN
from glmha_hf.hub import zoo

from .conftest import forget, save_picture

FIRST, SECOND = "glmha-restormer-derain", "restormer-derain"


@pytest.fixture(scope="module")
def compared(small_weights, tmp_path_factory):
    """Two models on a picture whose truth is known, and the shares that were told."""
    folder, shares = tmp_path_factory.mktemp("compared"), []
    picture = save_picture(folder / "picture.png")
    truth = save_picture(folder / "truth.png", seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo, "WEIGHTS", small_weights)
        forget()
        done = comparing.compare_models(
            picture, folder, first=FIRST, second=SECOND, truth=truth, progress=shares.append
        )
        networks = {name: models.restorer(name).network for name in (FIRST, SECOND)}
    forget()
    return picture, done, networks, shares


def test_both_results_are_what_restore_gives(compared):
    picture, done, networks, _ = compared
    for file, name in ((done.first, FIRST), (done.second, SECOND)):
        expected = np.asarray(glmha_hf.restore(picture, model=networks[name]))
        assert np.array_equal(np.asarray(Image.open(file)), expected)


def test_what_they_cost(compared):
    _, done, networks, shares = compared
    assert [row["Model"] for row in done.rows] == [FIRST, SECOND]
    assert all(tuple(row) == comparing.HEADER for row in done.rows)
    counted = [network.num_parameters() for network in networks.values()]
    assert [row["Parameters"] for row in done.rows] == [f"{count:,}" for count in counted]
    assert all(row["PSNR"].endswith(" dB") for row in done.rows)
    assert shares == [pytest.approx(1 / 3), pytest.approx(2 / 3)]


def test_ranks_are_a_share_of_each_blocks_channels(compared):
    _, done, networks, _ = compared
    blocks = len(networks[FIRST].config.block_levels)
    numbers = [block for block, _, name in done.ranks if name == FIRST]
    assert numbers == list(range(1, blocks + 1))
    assert all(0 < share <= 100 for _, share, _ in done.ranks)
    assert Image.open(done.eigenvalues).format == "PNG"


@pytest.mark.usefixtures("shipped_models")
class TestCompare:
    def test_a_model_does_not_differ_from_itself(self, picture, results):
        done = comparing.compare_models(picture, results, first=FIRST, second=FIRST)
        assert done.difference_peak == comparing.LEAST_PEAK
        assert done.rows[0]["PSNR"] == UNKNOWN
        black = np.asarray(Image.open(done.difference))
        assert (black == black[0, 0]).all()

    def test_large_pictures_are_refused(self, picture, results, monkeypatch):
        monkeypatch.setattr(comparing, "COMPARED_PIXELS", 2_000)
        with pytest.raises(ValueError, match=r"0.00224 megapixels; up to 0.002 are taken"):
            comparing.compare_models(picture, results, first=FIRST, second=SECOND)


def test_the_maps_scale_leaves_out_the_largest_differences():
    first = np.zeros((20, 20, 3), np.uint8)
    second = first.copy()
    second[:, :] = 30
    second[0, 0] = 255
    assert comparing.difference_peak(first, second) == 30
