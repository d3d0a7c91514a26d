"""Overlapping crops: the published grid, and nothing left out."""

import numpy as np
import pytest

from glmha_hf.data.checks import check_pairs
from glmha_hf.data.crops import crop_picture, crop_starts, write_crops
from glmha_hf.data.pairs import CleanFolder, FolderPairs
from glmha_hf.data.pictures import read_picture
from tests.data.scenes import draw_scene
from tests.scripts import load_script


def test_gopro_grid_is_the_published_one():
    assert crop_starts(1280, size=512, overlap=256) == [0, 256, 512, 768]
    assert crop_starts(720, size=512, overlap=256) == [0, 208]
    assert crop_starts(512, size=512, overlap=256) == [0]


@pytest.mark.parametrize("overlap", [0, 10, 31])
def test_crops_cover_the_picture(overlap):
    place = np.arange(96 * 112).reshape(96, 112, 1)
    crops = crop_picture(place, size=32, overlap=overlap)
    assert all(crop.shape == (32, 32, 1) for crop in crops)
    assert set(np.concatenate([crop.ravel() for crop in crops])) == set(range(96 * 112))


def test_pictures_not_above_the_limit_stay_whole():
    assert len(crop_picture(draw_scene(96, 112), size=32, overlap=0, only_above=96)) == 1
    assert len(crop_picture(draw_scene(96, 112), size=32, overlap=0, only_above=95)) == 12
    assert len(crop_picture(draw_scene(20, 112), size=32, overlap=0)) == 1


def test_impossible_grids_are_refused():
    with pytest.raises(ValueError, match="overlap of 32 does not fit crops of 32"):
        crop_starts(100, size=32, overlap=32)
    with pytest.raises(ValueError, match="a side of 20 is shorter than a crop of 32"):
        crop_starts(20, size=32, overlap=0)


def test_written_pairs_match(pair_folders, tmp_path):
    count = write_crops(FolderPairs(*pair_folders), tmp_path / "out", size=48, overlap=16)
    pairs = FolderPairs(tmp_path / "out/input_crops", tmp_path / "out/target_crops")
    assert count == len(pairs) == 4 * 3 * 3
    check_pairs(pairs, patch_size=48)
    first = read_picture(tmp_path / "out/target_crops/scene-0-1.png")
    np.testing.assert_array_equal(first, draw_scene(seed=0)[:48, :48])


def test_clean_pictures_have_target_crops_only(clean_folder, tmp_path):
    assert write_crops(CleanFolder(clean_folder), tmp_path / "out", size=96, overlap=0) == 10
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["target_crops"]


def test_the_script_cuts_pairs(pair_folders, tmp_path, capsys):
    crop = load_script("crop")
    output = tmp_path / "out"
    assert crop.main([*map(str, pair_folders), "-o", str(output), "--size=48", "--overlap=16"]) == 0
    assert f"{output}: 36 crops of 4 pictures" in capsys.readouterr().out
    assert len(FolderPairs(output / "input_crops", output / "target_crops")) == 36
    (pair_folders[0] / "alone.png").write_bytes(next(pair_folders[0].iterdir()).read_bytes())
    assert crop.main([*map(str, pair_folders), "-o", str(output)]) == 2
    assert "alone.png has no target" in capsys.readouterr().err
