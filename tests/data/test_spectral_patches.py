"""Patches of ARAD-1K and CAVE scenes: what they are cut from, and that they repeat."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torch.utils.data import DataLoader

from glmha_hf.data.cassi import CassiSystem
from glmha_hf.data.checks import DatasetError
from glmha_hf.data.cube_files import UnpackedScenes, ntire_size, read_ntire_window
from glmha_hf.data.patches import PatchRequest
from glmha_hf.data.spectral_patches import CassiPatches, NtirePatches, published_scenes
from glmha_hf.data.spectral_sets import NtirePairs, read_ntire_cube
from glmha_hf.models.image_processing_picture import PictureProcessor
from glmha_hf.models.image_processing_snapshot import SnapshotProcessor

from .spectral_scenes import save_cassi, save_ntire


def symmetric_forms(values: np.ndarray) -> list[np.ndarray]:
    """All eight of a C×H×W array."""
    turned = [np.rot90(values, turns, axes=(1, 2)) for turns in range(4)]
    return [*turned, *(each[:, :, ::-1] for each in turned)]


def find(patch: np.ndarray, cube: np.ndarray) -> list[tuple[int, int]]:
    """Corners at which a C×p×p patch stands in a cube, in any symmetry."""
    side = patch.shape[-1]
    found = []
    for form in symmetric_forms(patch):
        rows, columns = np.nonzero(cube[0, : 1 - side or None, : 1 - side or None] == form[0, 0, 0])
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            window = cube[:, row : row + side, column : column + side]
            if window.shape == form.shape and np.array_equal(window, form):
                found.append((row, column))
    return found


@pytest.fixture(scope="module")
def arad(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    root = tmp_path_factory.mktemp("arad")
    return root, save_ntire(root)


@pytest.fixture(scope="module")
def cave(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    root = tmp_path_factory.mktemp("cave")
    return root, save_cassi(root)


def ntire_patches(root: Path, **options: object) -> NtirePatches:
    return NtirePatches(NtirePairs(root, split="train"), patch_size=16, **options)


def cassi_patches(root: Path, unpacked: Path | None = None, **options: object) -> CassiPatches:
    folder = root / "cave_1024_28"
    files = sorted(folder.glob("scene*.mat"))
    scenes = UnpackedScenes(files, unpacked or folder / "unpacked")
    system = CassiSystem.from_file(root / "mask.mat")
    return CassiPatches(scenes, system, patch_size=16, **options)


class TestNtireWindows:
    def test_a_window_is_cut_from_the_cube_the_right_way_round(self, arad) -> None:
        root, cubes = arad
        path = root / "Train_Spec" / "ARAD_1K_0001.mat"
        assert ntire_size(path) == (40, 52)
        window = read_ntire_window(path, (3, 11), 20)
        np.testing.assert_array_equal(window, cubes["ARAD_1K_0001"][:, 3:23, 11:31])
        np.testing.assert_array_equal(window, read_ntire_cube(path)[:, 3:23, 11:31])

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "cannot be read as an HDF5"),
            ({"hyper": np.zeros((31, 4, 4))}, "holds no variable cube; it holds hyper"),
            ({"cube": np.zeros((28, 4, 5))}, "its cube must be 31×W×H on disk, not 28×4×5"),
        ],
    )
    def test_what_is_no_cube_says_so(self, tmp_path: Path, content, message: str) -> None:
        path = tmp_path / "scene.mat"
        if content is None:
            path.write_bytes(b"torn")
        else:
            with h5py.File(path, "w") as file:
                file.update(content)
        with pytest.raises(ValueError, match=message):
            ntire_size(path)

    def test_nan_in_the_window_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "scene.mat"
        cube = np.zeros((31, 6, 5))
        cube[3, 5, 4] = np.nan
        with h5py.File(path, "w") as file:
            file["cube"] = cube
        assert read_ntire_window(path, (0, 0), 4).shape == (31, 4, 4)
        with pytest.raises(ValueError, match="NaN"):
            read_ntire_window(path, (1, 2), 4)


class TestNtirePatches:
    def test_patches_stand_on_the_published_grid(self, arad) -> None:
        root, cubes = arad
        patches = ntire_patches(root)
        assert len(patches) == 3
        corners = set()
        for epoch in range(40):
            labels = patches[PatchRequest(epoch, 1, 16)]["labels"].numpy()
            found = find(labels, cubes["ARAD_1K_0002"])
            assert len(found) == 1
            corners.update(found)
        assert {row for row, _ in corners} == {0, 8, 16, 24}
        assert {column for _, column in corners} == {0, 8, 16, 24, 32}

    def test_the_picture_is_stretched_whole_as_the_processor_does(self, arad) -> None:
        root, cubes = arad
        sample = ntire_patches(root, augment=False)[PatchRequest(3, 2, 16)]
        [(top, left)] = find(sample["labels"].numpy(), cubes["ARAD_1K_0003"])
        whole = PictureProcessor(value_range="min_max").to_tensor(
            root / "Train_RGB" / "ARAD_1K_0003.jpg"
        )
        expected = whole[:, top : top + 16, left : left + 16]
        torch.testing.assert_close(sample["pixel_values"], expected, rtol=0, atol=0)

    def test_the_picture_turns_with_its_cube(self, arad) -> None:
        root, _ = arad
        plain, turned = ntire_patches(root, augment=False), ntire_patches(root)
        seen = set()
        for epoch in range(60):
            request = PatchRequest(epoch, 0, 16)
            before, after = plain[request], turned[request]
            forms = [
                number
                for number, form in enumerate(symmetric_forms(before["labels"].numpy()))
                if np.array_equal(form, after["labels"].numpy())
            ]
            assert len(forms) == 1
            picture = symmetric_forms(before["pixel_values"].numpy())[forms[0]]
            np.testing.assert_array_equal(picture, after["pixel_values"].numpy())
            seen.update(forms)
        assert seen == set(range(8))

    def test_memory_for_pictures_changes_nothing(self, arad) -> None:
        root, _ = arad
        request = PatchRequest(1, 1, 24)
        torch.testing.assert_close(
            ntire_patches(root, cache_mb=0)[request], ntire_patches(root)[request], rtol=0, atol=0
        )

    def test_unpacked_cubes_give_the_same_patches(self, arad, tmp_path: Path) -> None:
        root, _ = arad
        pairs = NtirePairs(root, split="train")
        cubes = [cube for _, cube in pairs.files]
        unpacked = UnpackedScenes(cubes, tmp_path, read=read_ntire_cube)
        patches = NtirePatches(pairs, unpacked=unpacked, patch_size=16)
        patches.check(patch_size=16)
        assert len(list(tmp_path.iterdir())) == 3
        request = PatchRequest(2, 1, 24)
        torch.testing.assert_close(patches[request], ntire_patches(root)[request], rtol=0, atol=0)

    def test_unpacked_cubes_follow_their_files(self, tmp_path: Path) -> None:
        def scenes(folder: str) -> UnpackedScenes:
            files = [tmp_path / folder / "scene1.npy"]
            return UnpackedScenes(files, tmp_path / "unpacked", read=np.load)

        def level(folder: str) -> float:
            return float(scenes(folder).window(0, (0, 0), 2).mean())

        for folder, value in (("a", 0.25), ("b", 0.75)):
            (tmp_path / folder).mkdir()
            np.save(tmp_path / folder / "scene1.npy", np.full((28, 4, 4), value, np.float32))
        assert (level("a"), level("b"), level("a")) == (0.25, 0.75, 0.25)
        older = (tmp_path / "b" / "scene1.npy").stat().st_mtime - 60
        np.save(tmp_path / "a" / "scene1.npy", np.full((28, 4, 4), 0.5, np.float32))
        os.utime(tmp_path / "a" / "scene1.npy", (older, older))
        assert level("a") == 0.5
        copies = sorted((tmp_path / "unpacked").iterdir())
        assert len(copies) == 2
        for copy in copies:
            copy.write_bytes(copy.read_bytes()[:-8])
        assert level("b") == 0.75

    def test_everything_wrong_is_listed(self, tmp_path: Path) -> None:
        save_ntire(tmp_path, train=5, valid=0)
        (tmp_path / "Train_RGB" / "ARAD_1K_0001.jpg").write_bytes(b"torn")
        (tmp_path / "Train_Spec" / "ARAD_1K_0002.mat").write_bytes(b"torn")
        Image.new("RGB", (52, 39)).save(tmp_path / "Train_RGB" / "ARAD_1K_0003.jpg")
        with pytest.raises(DatasetError) as caught:
            ntire_patches(tmp_path).check(patch_size=48)
        for told in (
            "5 problems",
            "ARAD_1K_0001.jpg: cannot be read",
            "ARAD_1K_0002.mat: cannot be read as an HDF5 .mat file",
            "ARAD_1K_0003: the picture is 39×52 but the cube is 40×52",
            "ARAD_1K_0004: 52×40 is smaller than the 48×48 patch",
        ):
            assert told in str(caught.value)
        (tmp_path / "Train_Spec" / "ARAD_1K_0005.mat").unlink()
        with pytest.raises(DatasetError, match="ARAD_1K_0005 has no cube"):
            ntire_patches(tmp_path).check(patch_size=16)


class TestCassiPatches:
    def test_scenes_are_unpacked_once_as_what_they_hold(self, cave, tmp_path: Path) -> None:
        root, cubes = cave
        scenes = cassi_patches(root, tmp_path).scenes
        for number in range(3):
            expected = cubes[f"cave_1024_28/scene{number + 1}"][:, 2:18, 5:21]
            np.testing.assert_array_equal(scenes.window(number, (2, 5), 16), expected)
        kept = sorted(tmp_path.iterdir())
        assert [path.name.partition("-")[0] for path in kept] == ["scene1", "scene2", "scene3"]
        assert np.load(kept[0]).dtype == np.uint16
        before = kept[0].stat().st_mtime_ns
        again = pickle.loads(pickle.dumps(scenes))
        assert again.size(0) == (40, 36)
        assert kept[0].stat().st_mtime_ns == before

    def test_scenes_of_fractions_are_kept_as_they_are(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).random((6, 7, 28), np.float32)
        scipy.io.savemat(tmp_path / "scene1.mat", {"img": values})
        scenes = UnpackedScenes([tmp_path / "scene1.mat"], tmp_path / "unpacked")
        window = scenes.window(0, (1, 2), 4)
        np.testing.assert_array_equal(window, values[1:5, 2:6].transpose(2, 0, 1))

    def test_a_folder_that_cannot_be_written_says_what_to_do(self, cave, tmp_path: Path) -> None:
        root, _ = cave
        (tmp_path / "file").touch()
        with pytest.raises(DatasetError, match=r"choose another folder with data\.unpacked"):
            cassi_patches(root, tmp_path / "file").check(patch_size=16)

    def test_half_are_windows_in_eight_symmetries_and_half_splices(self, cave) -> None:
        root, cubes = cave
        patches = cassi_patches(root)
        train = [cube for name, cube in cubes.items() if name.startswith("cave")]
        plain, spliced, sources = 0, 0, set()
        for epoch in range(60):
            cube = patches[PatchRequest(epoch, 0, 16)]["labels"].numpy()
            if find(cube, train[0]):
                plain += 1
                continue
            spliced += 1
            for rows in (slice(8), slice(8, 16)):
                for columns in (slice(8), slice(8, 16)):
                    quadrant = cube[:, rows, columns]
                    holders = [place for place, each in enumerate(train) if find(quadrant, each)]
                    assert len(holders) == 1
                    sources.update(holders)
        assert plain + spliced == 60
        assert 20 <= plain <= 40
        assert sources == {0, 1, 2}

    def test_without_augmentation_every_patch_is_an_upright_window(self, cave) -> None:
        root, cubes = cave
        patches = cassi_patches(root, augment=False)
        for epoch in range(12):
            cube = patches[PatchRequest(epoch, 1, 16)]["labels"].numpy()
            [(row, column)] = find(cube, cubes["cave_1024_28/scene2"])
            window = cubes["cave_1024_28/scene2"][:, row : row + 16, column : column + 16]
            np.testing.assert_array_equal(cube, window)

    @pytest.mark.parametrize("form", ["shifted", "plain"])
    def test_inputs_are_what_the_processor_makes_of_the_snapshot(self, cave, form: str) -> None:
        root, _ = cave
        patches = cassi_patches(root, mask_form=form)
        sample = patches[PatchRequest(0, 0, 32)]
        snapshot = patches.system.measure(sample["labels"])
        expected = SnapshotProcessor(mask_form=form)(snapshot, mask=patches.system.mask)
        torch.testing.assert_close(sample["pixel_values"], expected["pixel_values"][0])
        constants = patches.constant_inputs(32)
        assert constants.keys() == {"mask"}
        torch.testing.assert_close(constants["mask"], expected["mask"], rtol=0, atol=0)

    @pytest.mark.parametrize("form", ["shifted", "plain"])
    def test_smaller_patches_carry_their_window_of_the_mask(self, cave, form: str) -> None:
        root, _ = cave
        patches = cassi_patches(root, mask_form=form)
        assert patches.constant_inputs(16) == {}
        corners = set()
        for epoch in range(12):
            sample = patches[PatchRequest(epoch, 0, 16)]
            seen = sample["mask"][0, :, :16]  # band 0 is where the mask is
            [corner] = find(seen[None].numpy(), patches.system.mask[None].numpy())
            corners.add(corner)
            mask = patches.system.crop(16, 16, corner=corner).mask
            snapshot = patches.system.crop(16, 16, corner=corner).measure(sample["labels"])
            expected = SnapshotProcessor(mask_form=form)(snapshot, mask=mask)
            torch.testing.assert_close(sample["pixel_values"], expected["pixel_values"][0])
            torch.testing.assert_close(sample["mask"], expected["mask"][0], rtol=0, atol=0)
        assert len(corners) > 6

    def test_what_cannot_be_cut_is_refused(self, cave, tmp_path: Path) -> None:
        root, _ = cave
        patches = cassi_patches(root, tmp_path)
        with pytest.raises(DatasetError, match="17 is odd"):
            patches.check(patch_size=17)
        with pytest.raises(ValueError, match="the mask is 32×32, too small for a 38×38 scene"):
            patches.check(patch_size=38)
        patches.system = CassiSystem(torch.ones(64, 64))
        with pytest.raises(DatasetError, match="scene1: 36×40 is smaller than the 38×38 patch"):
            patches.check(patch_size=38)

    def test_scenes_above_205_are_left_out(self) -> None:
        files = [Path(f"scene{number}.mat") for number in (1, 205, 206, 999)]
        assert published_scenes(files) == files[:2]


@pytest.mark.parametrize("kind", ["ntire", "cassi"])
class TestBoth:
    @pytest.fixture
    def build(self, kind: str, arad, cave):
        if kind == "ntire":
            return lambda **options: ntire_patches(arad[0], **options)
        return lambda **options: cassi_patches(cave[0], **options)

    def test_a_patch_depends_on_seed_epoch_and_number_alone(self, build) -> None:
        request = PatchRequest(4, 2, 16)
        first, patches = build(seed=3)[request], build(seed=3)
        for other in (PatchRequest(4, 1, 16), PatchRequest(0, 0, 20)):
            assert not torch.equal(
                patches[other]["labels"].ravel()[:9], first["labels"].ravel()[:9]
            )
        torch.testing.assert_close(patches[request], first, rtol=0, atol=0)
        assert not torch.equal(build(seed=4)[request]["labels"], first["labels"])
        assert not torch.equal(patches[PatchRequest(5, 2, 16)]["labels"], first["labels"])

    def test_workers_change_nothing(self, build) -> None:
        requests = [[PatchRequest(epoch, 1, 16), PatchRequest(epoch, 2, 16)] for epoch in range(3)]
        alone, shared = (
            list(DataLoader(build(), batch_sampler=requests, num_workers=workers))
            for workers in (0, 2)
        )
        torch.testing.assert_close(alone, shared, rtol=0, atol=0)

    def test_shapes_and_numbers_outside(self, build) -> None:
        patches = build()
        sample = patches[0]
        assert sample.pop("mask", torch.ones(28, 16, 70)).shape == (28, 16, 70)
        assert all(each.shape[1:] == (16, 16) for each in sample.values())
        assert all(each.dtype == torch.float32 for each in sample.values())
        with pytest.raises(IndexError, match="patch 3 of 3"):
            patches[3]
        with pytest.raises(ValueError, match=r"^(ARAD_1K_0001|scene1): .* smaller than the"):
            patches[PatchRequest(0, 0, 100)]
