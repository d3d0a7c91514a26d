"""Parts of a photograph: soft shares that follow edges and textures."""

import numpy as np
import pytest

from glmha_hf.data.scenes.regions import chromaticity, find_regions


def halves(left, right, size=48):
    picture = np.empty((size, size, 3))
    picture[:, : size // 2], picture[:, size // 2 :] = left, right
    return picture


def test_chromaticity_does_not_know_brightness():
    colour = np.array([0.2, 0.5, 0.3])
    np.testing.assert_allclose(chromaticity(colour * [[1], [0.01]]), [[0.2, 0.5], [0.2, 0.5]])
    np.testing.assert_allclose(chromaticity(np.zeros(3)), [1 / 3, 1 / 3])


def test_shares_add_up_to_one():
    picture = np.random.default_rng(0).uniform(0, 1, (20, 20, 3))
    regions = find_regions(picture, 5, np.random.default_rng(1))
    assert regions.shares.shape == (400, 5)
    np.testing.assert_allclose(regions.shares.sum(axis=1), 1)
    assert regions.shares.min() >= 0


def test_two_colours_are_two_regions_with_their_edge():
    picture = halves([0.5, 0.2, 0.1], [0.1, 0.2, 0.5])
    regions = find_regions(picture, 2, np.random.default_rng(0))
    leading = regions.shares.argmax(axis=1).reshape(48, 48)
    assert len(set(leading[:, :22].ravel())) == len(set(leading[:, 26:].ravel())) == 1
    assert leading[0, 0] != leading[0, -1]
    left = regions.chroma[leading[0, 0]]
    np.testing.assert_allclose(left, chromaticity(picture[0, 0]), atol=0.02)


def test_texture_parts_what_has_one_colour():
    picture = halves(0.4, 0.4)
    rng = np.random.default_rng(2)
    picture[:, 24:] *= rng.uniform(0.2, 1.8, (48, 24, 1))
    regions = find_regions(picture, 2, rng)
    smooth, rough = (regions.shares.reshape(48, 48, 2)[24, column].argmax() for column in (8, 40))
    assert smooth != rough
    assert regions.texture[rough] > regions.texture[smooth] + 0.2


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_picture_of_nothing_is_all_alike(value):
    regions = find_regions(np.full((16, 16, 3), value), 4, np.random.default_rng(0))
    assert np.isfinite(regions.shares).all()
    np.testing.assert_allclose(regions.chroma[:, 0], 1 / 3)
