"""A folder of pictures becomes a dataset: whole, documented, resumable."""

import json

import numpy as np
import pytest

from glmha_hf.data import synthesis
from glmha_hf.data.checks import DatasetError, check_pairs
from glmha_hf.data.pairs import ColumnPairs, open_dataset_on_disk
from glmha_hf.data.pictures import list_pictures, read_picture
from glmha_hf.data.synthesis import Recipe, synthesize
from tests.data.scenes import save_scenes
from tests.luma import luma_psnr
from tests.scripts import run_script

datasets = pytest.importorskip("datasets")


def recipe(task="derain", **settings):
    return Recipe(task=task, source="drawn for a test", rows_per_shard=2, **settings)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("task", synthesis.TASKS)
def test_pairs_load_and_their_targets_are_the_pictures(task, clean_folder, tmp_path):
    output = synthesize(clean_folder, tmp_path / "out", recipe(task))
    dataset = open_dataset_on_disk(output)
    assert dataset.column_names == ["input", "target", "name", "copy", "seed"]
    assert dataset["name"][:] == [path.name for path in list_pictures(clean_folder)]
    pairs = ColumnPairs(dataset)
    check_pairs(pairs, patch_size=64)
    changed = 0
    for index, path in enumerate(list_pictures(clean_folder)):
        pair = pairs.load(index)
        np.testing.assert_array_equal(pair.target, read_picture(path))
        changed += not np.array_equal(pair.input, pair.target)
    assert changed >= 3


def test_splits_hold_different_pictures_and_all_copies(clean_folder, tmp_path):
    output = synthesize(clean_folder, tmp_path / "out", recipe(copies=2, validation=0.4))
    train, aside = (open_dataset_on_disk(output, split=s) for s in ("train", "validation"))
    assert (len(train), len(aside)) == (6, 4)
    assert not set(train["name"]) & set(aside["name"])
    pairs = ColumnPairs(aside)
    first, second = (pairs.load(index) for index in (0, 2))
    np.testing.assert_array_equal(first.target, second.target)
    assert not np.array_equal(first.input, second.input)


def test_the_card_tells_provenance_and_splits(clean_folder, tmp_path):
    settings = recipe(licence="cc0-1.0", seed=3, validation=0.2, parameters={"tilt": 5})
    card = (synthesize(clean_folder, tmp_path / "out", settings) / "README.md").read_text()
    assert "license: cc0-1.0" in card
    assert "drawn for a test" in card
    assert 'path: "data/validation-*.parquet"' in card
    assert "| train | 4 |" in card
    assert '"tilt": 5' in card


def test_several_processes_write_what_one_does(clean_folder, tmp_path):
    alone = synthesize(clean_folder, tmp_path / "alone", recipe())
    shared = synthesize(clean_folder, tmp_path / "shared", recipe(), processes=2)
    one, other = (ColumnPairs(open_dataset_on_disk(each)) for each in (alone, shared))
    assert len(one) == len(other) == 5
    for index in range(5):
        np.testing.assert_array_equal(one.load(index).input, other.load(index).input)


class TestResuming:
    def test_only_missing_shards_are_made_again(self, clean_folder, tmp_path):
        output = synthesize(clean_folder, tmp_path / "out", recipe())
        shards = sorted((output / "data").iterdir())
        assert [path.name for path in shards] == [
            f"train-{number:05d}-of-00003.parquet" for number in range(3)
        ]
        content = shards[1].read_bytes()
        shards[1].unlink()
        shards[0].write_bytes(b"kept as it is")
        seen = []
        synthesize(clean_folder, output, recipe(), progress=lambda *at: seen.append(at))
        assert seen == [(2, 3), (3, 3)]
        assert shards[0].read_bytes() == b"kept as it is"
        assert shards[1].read_bytes() == content

    def test_a_failure_leaves_whole_shards_only(self, clean_folder, tmp_path):
        broken = list_pictures(clean_folder)[3]
        content = broken.read_bytes()
        broken.write_bytes(content[: len(content) // 2] + b"\0" * (len(content) // 2 + 1))
        broken.write_bytes(broken.read_bytes()[: len(content)])
        output = tmp_path / "out"
        with pytest.raises(ValueError, match=r"scene-3\.png: cannot be read"):
            synthesize(clean_folder, output, recipe())
        assert [path.name for path in (output / "data").iterdir()] == [
            "train-00000-of-00003.parquet"
        ]
        assert not (output / "README.md").exists()
        broken.write_bytes(content)
        synthesize(clean_folder, output, recipe())
        assert len(open_dataset_on_disk(output)) == 5

    def test_other_settings_are_refused(self, clean_folder, tmp_path):
        output = synthesize(clean_folder, tmp_path / "out", recipe())
        with pytest.raises(ValueError, match="begun with another seed"):
            synthesize(clean_folder, output, recipe(seed=1))
        save_scenes(clean_folder, 7)
        with pytest.raises(ValueError, match="begun with another pictures, listing_sha256"):
            synthesize(clean_folder, output, recipe())

    def test_a_folder_with_something_else_is_left_alone(self, clean_folder, tmp_path):
        with pytest.raises(ValueError, match="is not empty"):
            synthesize(clean_folder, clean_folder, recipe())


class TestRecipe:
    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"task": "dehaze"}, "no task dehaze; there are derain, deblur, denoise"),
            ({"validation": 1.0}, r"lies in \[0, 1\)"),
            ({"copies": 0}, "start at 1"),
            ({"parameters": {"wetness": 3}}, "cannot derain with .*wetness"),
            ({"task": "denoise", "parameters": {"sigma": "loud"}}, "cannot denoise with"),
        ],
    )
    def test_nonsense_is_refused_before_anything_is_written(self, settings, reason):
        with pytest.raises(ValueError, match=reason):
            recipe(**settings)

    def test_parameters_reach_the_degradation(self, clean_folder, tmp_path):
        settings = recipe("denoise", parameters={"sigma": [25, 25]})
        pairs = ColumnPairs(
            open_dataset_on_disk(synthesize(clean_folder, tmp_path / "out", settings))
        )
        pair = pairs.load(0)
        degraded, clean = (each.astype(np.float32) / 255 for each in (pair.input, pair.target))
        assert luma_psnr(degraded, clean) == pytest.approx(24, abs=2)

    def test_no_pictures(self, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(DatasetError, match="there are no pictures in"):
            synthesize(tmp_path / "empty", tmp_path / "out", recipe())


class TestCommand:
    def test_makes_a_dataset(self, clean_folder, tmp_path):
        output = tmp_path / "out"
        done = run_script(
            "synthesize", "denoise", clean_folder, output, "--source", "test", "--set", "sigma=15"
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(output)
        assert "1/1 files" in done.stderr
        assert json.loads((output / "provenance.json").read_text())["parameters"] == {"sigma": 15}

    def test_errors_are_one_line_with_code_2(self, tmp_path):
        done = run_script(
            "synthesize", "derain", tmp_path / "absent", tmp_path / "out", "--source", "test"
        )
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "no folder" in done.stderr
