"""A folder of photographs becomes a spectral dataset that training reads as it is."""

import importlib.util
import json

import h5py
import numpy as np
import pytest
from PIL import Image

from glmha_hf.data.cassi import CassiSystem
from glmha_hf.data.checks import DatasetError
from glmha_hf.data.cube_files import UnpackedScenes
from glmha_hf.data.matlab import read_array
from glmha_hf.data.scenes import dataset
from glmha_hf.data.scenes.dataset import SceneRecipe, synthesize_scenes
from glmha_hf.data.spectral_patches import CassiPatches, NtirePatches
from glmha_hf.data.spectral_sets import CASSI_WAVELENGTHS, CassiScenes, NtirePairs
from tests.data.scenes import save_scenes
from tests.scripts import run_script

SMALL = {"size": 32, "regions": 3, "materials": 20}


@pytest.fixture(autouse=True)
def small_library(library, monkeypatch):
    """Half of the made-up materials for each split; earthlib is not asked for."""
    halves = {"train": np.arange(0, len(library), 2), "validation": np.arange(1, len(library), 2)}
    monkeypatch.setattr(dataset, "library", lambda split: library.part(halves[split]))
    monkeypatch.setattr(dataset, "check_installed", lambda: None)


@pytest.fixture
def photographs(tmp_path):
    save_scenes(tmp_path / "photos" / "train", 3, height=40, width=50)
    save_scenes(tmp_path / "photos" / "test", 2, first_seed=10, height=40, width=50)
    return tmp_path / "photos"


def recipe(task="rgb2hsi", **settings):
    parameters = {**SMALL, **settings.pop("parameters", {})}
    return SceneRecipe(task=task, source="drawn for a test", parameters=parameters, **settings)


class TestLayouts:
    def test_rgb2hsi_is_read_as_arad(self, photographs, tmp_path):
        output = synthesize_scenes(photographs, tmp_path / "out", recipe())
        train, valid = (NtirePairs(output, split=split) for split in ("train", "valid"))
        assert (len(train), len(valid)) == (3, 2)
        assert train.listed_names() == ["train_0001", "train_0002", "train_0003"]
        assert train.unmatched == valid.unmatched == []
        pair = valid.load(0)
        assert (pair.picture.shape, pair.cube.shape) == ((32, 32, 3), (31, 32, 32))
        patches = NtirePatches(train, patch_size=16)
        patches.check(patch_size=16)
        assert patches[2]["labels"].shape == (31, 16, 16)

    def test_the_picture_is_of_the_cube(self, photographs, tmp_path):
        settings = recipe(parameters={"jpeg_quality": 95, "photoelectrons": 0})
        pairs = NtirePairs(synthesize_scenes(photographs, tmp_path / "out", settings))
        pair = pairs.load(0)
        light = np.einsum("chw,cr->hwr", pair.cube, settings.camera().response())
        expected = (255 * 0.18 * light / light.mean()).clip(max=255)
        np.testing.assert_allclose(pair.picture.mean((0, 1)), expected.mean((0, 1)), atol=2)
        assert np.corrcoef(pair.picture.ravel(), expected.ravel())[0, 1] > 0.97

    def test_a_cube_names_what_it_is_made_of(self, photographs, tmp_path, library):
        output = synthesize_scenes(photographs, tmp_path / "out", recipe())
        with h5py.File(output / "Train_Spec" / "train_0002.mat") as file:
            assert file["cube"].shape == (31, 32, 32)
            np.testing.assert_array_equal(file["bands"][:], np.arange(400, 701, 10))
            assert file.attrs["photograph"] == "train/scene-1.png"
            assert set(file.attrs["materials"]) <= set(library.names[::2])
            assert len(file.attrs["illuminant"]) > 3

    def test_cassi_is_read_as_the_published_scenes(self, photographs, tmp_path):
        output = synthesize_scenes(photographs, tmp_path / "out", recipe("cassi"))
        test = CassiScenes(output / "test")
        assert [test.name(index) for index in range(len(test))] == ["scene001", "scene002"]
        cube = test.load(0)
        assert cube.shape == (28, 32, 32)
        assert 0 <= cube.min() < cube.max() <= 1
        bands = read_array(test.files[0], key="bands")
        np.testing.assert_array_equal(bands.ravel(), CASSI_WAVELENGTHS)
        train = UnpackedScenes(CassiScenes(output / "train").files, tmp_path / "unpacked")
        assert train[0].dtype == np.uint16
        system = CassiSystem.from_file(_save_mask(tmp_path / "mask.npy"))
        patches = CassiPatches(train, system, patch_size=16)
        patches.check(patch_size=16)
        assert patches[1]["pixel_values"].shape == (28, 16, 16)


def _save_mask(path):
    np.save(path, np.random.default_rng(0).integers(0, 2, (32, 32)).astype(np.float32))
    return path


class TestSplits:
    def test_folders_are_splits_and_share_no_material(self, photographs, tmp_path):
        output = synthesize_scenes(photographs, tmp_path / "out", recipe())
        used = {"Train_Spec": set(), "Valid_Spec": set()}
        seen = {"Train_Spec": set(), "Valid_Spec": set()}
        for folder in used:
            for path in (output / folder).iterdir():
                with h5py.File(path) as file:
                    used[folder] |= set(file.attrs["materials"])
                    seen[folder].add(file.attrs["photograph"].split("/")[0])
        assert not used["Train_Spec"] & used["Valid_Spec"]
        assert seen == {"Train_Spec": {"train"}, "Valid_Spec": {"test"}}

    def test_a_fraction_of_a_plain_folder(self, clean_folder, tmp_path):
        settings = recipe(validation=0.4, copies=2)
        output = synthesize_scenes(clean_folder, tmp_path / "out", settings)
        assert [len(NtirePairs(output, split=split)) for split in ("train", "valid")] == [6, 4]

    def test_a_fraction_of_folders_is_refused(self, photographs, tmp_path):
        with pytest.raises(ValueError, match=r"has train/ and test/, which are the splits"):
            synthesize_scenes(photographs, tmp_path / "out", recipe(validation=0.5))

    def test_copies_of_a_photograph_differ(self, photographs, tmp_path):
        output = synthesize_scenes(photographs, tmp_path / "out", recipe(copies=2))
        pairs = NtirePairs(output, split="valid")
        first, second = pairs.load(0), pairs.load(2)
        assert not np.array_equal(first.cube, second.cube)

    def test_a_black_photograph_is_named(self, tmp_path):
        black = tmp_path / "black"
        black.mkdir()
        Image.new("RGB", (40, 40)).save(black / "night.png")
        with pytest.raises(ValueError, match=r"night\.png: a scene needs some light"):
            synthesize_scenes(black, tmp_path / "out", recipe())

    def test_no_pictures(self, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(DatasetError, match="there are no pictures in"):
            synthesize_scenes(tmp_path / "empty", tmp_path / "out", recipe())


class TestRepeating:
    def test_a_seed_is_a_dataset_and_a_lost_scene_comes_back(self, photographs, tmp_path):
        output = synthesize_scenes(photographs, tmp_path / "out", recipe(seed=5))
        pictures = sorted(output.glob("*_RGB/*.jpg"))
        before = [path.read_bytes() for path in pictures]
        lost = output / "Train_Spec" / "train_0002.mat"
        content = read_array(lost, key="cube")
        lost.unlink()
        (output / "Train_RGB" / "train_0002.jpg").unlink()
        seen = []
        synthesize_scenes(photographs, output, recipe(seed=5), progress=lambda *at: seen.append(at))
        assert seen == [(4, 5), (5, 5)]
        np.testing.assert_array_equal(read_array(lost, key="cube"), content)
        assert [path.read_bytes() for path in pictures] == before

    def test_other_settings_are_refused(self, photographs, tmp_path):
        output = synthesize_scenes(photographs, tmp_path / "out", recipe())
        with pytest.raises(ValueError, match="begun with another parameters"):
            synthesize_scenes(photographs, output, recipe(parameters={"regions": 4}))

    def test_the_card_tells_provenance_and_parameters(self, photographs, tmp_path):
        settings = recipe(licence="cc0-1.0", seed=3, parameters={"photoelectrons": 500})
        card = (
            synthesize_scenes(photographs, tmp_path / "out", settings) / "README.md"
        ).read_text()
        assert "license: cc0-1.0" in card
        assert "- Photographs: drawn for a test" in card
        assert "| train | 3 |\n| validation | 2 |" in card
        assert "Seed 3, one copy of every photograph" in card
        parameters = json.loads(card.split("```json\n")[1].split("```")[0])
        assert parameters["photoelectrons"] == 500
        assert parameters["size"] == 32
        assert parameters["sensitivities"] == "Nikon 5100 (NPL)"


class TestRecipe:
    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"task": "rgb2xyz"}, "no task rgb2xyz; there are rgb2hsi, cassi"),
            ({"validation": 1.0}, r"lies in \[0, 1\)"),
            ({"copies": 0}, "copies start at 1"),
            ({"parameters": {"wetness": 3}}, "no parameter wetness; there are exposure, "),
            ({"parameters": {"materials": 2}}, "8 materials at least"),
            ({"parameters": {"regions": "many"}}, "cannot make scenes with"),
            ({"task": "cassi", "parameters": {"jpeg_quality": 5}}, "no parameter jpeg_quality"),
        ],
    )
    def test_nonsense_is_refused_before_anything_is_written(self, settings, reason):
        with pytest.raises(ValueError, match=reason):
            recipe(**settings)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("earthlib") is None, reason="needs earthlib")
class TestCommand:
    def test_two_processes_make_what_one_makes(self, photographs, tmp_path):
        for processes in (1, 2):
            output = tmp_path / str(processes)
            settings = ("--size", 32, "--processes", processes)
            done = run_script(
                "synthesize", "rgb2hsi", photographs, output, "--source", "test", *settings
            )
            assert done.returncode == 0, done.stderr
            assert "5/5 files" in done.stderr
        for path in sorted((tmp_path / "1").glob("*_RGB/*.jpg")):
            twin = tmp_path / "2" / path.relative_to(tmp_path / "1")
            assert path.read_bytes() == twin.read_bytes()
        cubes = [tmp_path / name / "Valid_Spec" / "validation_0001.mat" for name in "12"]
        one, two = (read_array(path, key="cube") for path in cubes)
        np.testing.assert_array_equal(one, two)

    def test_errors_are_one_line_with_code_2(self, photographs, tmp_path):
        done = run_script(
            "synthesize", "cassi", photographs, tmp_path / "out", "--source", "t", "--size", 3
        )
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "16 pixels a side" in done.stderr
