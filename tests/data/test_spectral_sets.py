import numpy as np
import pytest
import scipy.io

from glmha_hf.data.spectral_sets import (
    CASSI_WAVELENGTHS,
    NTIRE_WAVELENGTHS,
    CassiScenes,
    NtirePairs,
    read_cassi_cube,
    read_ntire_cube,
)
from tests.evaluation.conftest import draw_cube, save_arad, save_cassi


def test_the_bands_are_those_of_the_benchmarks():
    assert (len(NTIRE_WAVELENGTHS), len(CASSI_WAVELENGTHS)) == (31, 28)
    assert (NTIRE_WAVELENGTHS[0], NTIRE_WAVELENGTHS[-1]) == (400, 700)
    assert list(CASSI_WAVELENGTHS) == sorted(CASSI_WAVELENGTHS)


def test_arad_cubes_stand_upright_beside_their_pictures(tmp_path):
    pairs = NtirePairs(save_arad(tmp_path))
    assert [pairs.name(index) for index in range(len(pairs))] == ["ARAD_1K_0901", "ARAD_1K_0902"]
    pair = pairs.load(1)
    assert pair.picture.shape == (24, 20, 3)
    np.testing.assert_array_equal(pair.cube, draw_cube(31, 24, 20, seed=1))
    assert pair.cube.dtype == np.float32


def test_a_list_chooses_the_scenes_and_names_the_missing_ones(tmp_path):
    save_arad(tmp_path)
    (tmp_path / "split_txt" / "valid_list.txt").write_text("ARAD_1K_0902\nARAD_1K_0950.mat\n")
    pairs = NtirePairs(tmp_path)
    assert [pairs.name(index) for index in range(len(pairs))] == ["ARAD_1K_0902"]
    assert pairs.unmatched == ["ARAD_1K_0950 has no RGB picture", "ARAD_1K_0950 has no cube (.mat)"]


def test_without_a_list_every_complete_scene_counts(tmp_path):
    save_arad(tmp_path, listed=False)
    (tmp_path / "Train_RGB" / "ARAD_1K_0901.jpg").unlink()
    assert len(NtirePairs(tmp_path)) == 1


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="train and valid, not 'test'"):
        NtirePairs(tmp_path, split="test")


def test_a_cube_of_other_bands_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "cube.mat", {"cube": np.zeros((8, 9, 28), np.float32)})
    with pytest.raises(ValueError, match="expected 31 bands of H×W, it holds 28×8×9"):
        read_ntire_cube(tmp_path / "cube.mat")


def test_cassi_scenes_in_order_with_their_mask(tmp_path):
    scenes = CassiScenes(save_cassi(tmp_path, count=11))
    assert [scenes.name(index) for index in (0, 9, 10)] == ["scene01", "scene10", "scene11"]
    cube = scenes.load(1)
    np.testing.assert_allclose(cube, draw_cube(28, 32, 32, seed=1), rtol=1e-6)
    snapshot = scenes.measure(cube)
    assert snapshot.shape == (32, 32 + 54)
    mask = scenes.system.mask.numpy()
    np.testing.assert_allclose(snapshot[:, 0], (mask * cube[0])[:, 0], rtol=1e-5)


def test_training_scenes_are_16_bit_counts_under_another_key(tmp_path):
    counts = np.full((6, 7, 28), 32768, np.uint16)
    scipy.io.savemat(tmp_path / "scene1.mat", {"img_expand": counts})
    cube = read_cassi_cube(tmp_path / "scene1.mat")
    assert cube.shape == (28, 6, 7)
    assert (cube == 0.5).all()


def test_counts_of_8_bits_are_refused(tmp_path):
    scipy.io.savemat(tmp_path / "scene1.mat", {"img": np.full((4, 4, 28), 200.0)})
    with pytest.raises(ValueError, match="up to 200 are neither reflectances"):
        read_cassi_cube(tmp_path / "scene1.mat")


def test_a_scene_without_a_cube_names_what_it_holds(tmp_path):
    scipy.io.savemat(tmp_path / "scene1.mat", {"other": np.zeros((2, 2))})
    with pytest.raises(ValueError, match="holds no variable img or img_expand; it holds other"):
        read_cassi_cube(tmp_path / "scene1.mat")
