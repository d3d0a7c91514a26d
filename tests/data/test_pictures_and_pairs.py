"""Reading pictures by clear rules, pairing them, and the check before training."""

import numpy as np
import pytest
from PIL import Image

from glmha_hf.data.checks import DatasetError, check_pairs, find_problems
from glmha_hf.data.layouts import find_sets, open_set
from glmha_hf.data.pairs import CleanFolder, ColumnPairs, FolderPairs, open_dataset_on_disk
from glmha_hf.data.pictures import PictureError, list_pictures, read_picture
from tests.data.scenes import draw_scene, save_scenes


class TestReading:
    def test_gray_palette_and_opaque_alpha_become_rgb(self, tmp_path):
        rgb = Image.fromarray(draw_scene())
        opaque = rgb.convert("RGBA")
        for name, image in [("gray", rgb.convert("L")), ("alpha", opaque), ("cmyk", rgb)]:
            image = image.convert("CMYK") if name == "cmyk" else image
            image.save(tmp_path / f"{name}.tif")
        rgb.quantize(16).save(tmp_path / "palette.png")
        for path in list_pictures(tmp_path):
            pixels = read_picture(path)
            assert (pixels.shape, pixels.dtype) == ((96, 112, 3), np.uint8)
        np.testing.assert_array_equal(read_picture(tmp_path / "alpha.tif"), draw_scene())

    def test_sixteen_bit_gray_keeps_its_full_scale(self, tmp_path):
        ramp = np.array([[0, 257, 32896, 65535]], np.uint16)
        Image.fromarray(ramp).save(tmp_path / "deep.png")
        assert read_picture(tmp_path / "deep.png")[0, :, 1].tolist() == [0, 1, 128, 255]

    def test_pictures_are_turned_upright(self, tmp_path):
        image = Image.fromarray(draw_scene(40, 60))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / "turned.png", exif=exif)
        np.testing.assert_array_equal(
            read_picture(tmp_path / "turned.png"), np.rot90(draw_scene(40, 60), -1)
        )

    def test_reads_bytes_too(self, clean_folder):
        path = list_pictures(clean_folder)[0]
        np.testing.assert_array_equal(read_picture(path.read_bytes()), read_picture(path))

    def test_transparency_floats_and_damage_are_refused_in_one_line(self, tmp_path):
        clear = Image.fromarray(draw_scene()).convert("RGBA")
        clear.putalpha(100)
        clear.save(tmp_path / "clear.png")
        Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
        whole = list_pictures(save_scenes(tmp_path / "one", 1))[0].read_bytes()
        (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
        (tmp_path / "text.png").write_text("hello")
        for name, reason in [
            ("clear.png", "partly transparent"),
            ("float.tif", "floating-point"),
            ("cut.png", "cannot be read"),
            ("text.png", "cannot be read"),
            ("absent.png", "cannot be read"),
        ]:
            with pytest.raises(PictureError, match=reason) as caught:
                read_picture(tmp_path / name)
            assert name in str(caught.value)
            assert "\n" not in str(caught.value)


class TestFolderPairs:
    def test_pairs_by_name_in_sorted_order_whatever_the_suffix(self, pair_folders):
        pairs = FolderPairs(*pair_folders)
        assert [pairs.name(index) for index in range(len(pairs))] == [
            f"scene-{number}.jpg" for number in range(4)
        ]
        pair = pairs.load(2)
        np.testing.assert_array_equal(pair.target, draw_scene(seed=2))
        assert pair.input.shape == pair.target.shape
        check_pairs(pairs, patch_size=64)

    def test_two_pictures_of_one_name_are_refused(self, pair_folders):
        inputs, targets = pair_folders
        save_scenes(inputs, 1, suffix=".png")
        with pytest.raises(ValueError, match="more than one picture named scene-0"):
            FolderPairs(inputs, targets)

    def test_a_missing_folder_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
            FolderPairs(tmp_path / "nowhere", tmp_path)


class TestCheck:
    def test_lists_every_problem_in_one_message(self, pair_folders):
        inputs, targets = pair_folders
        (inputs / "scene-0.jpg").unlink()
        (inputs / "scene-1.jpg").write_bytes(b"broken")
        Image.fromarray(draw_scene(50, 60)).save(inputs / "scene-2.jpg")
        Image.fromarray(draw_scene(30, 40)).save(inputs / "small.jpg")
        Image.fromarray(draw_scene(30, 40)).save(targets / "small.png")
        with pytest.raises(DatasetError) as caught:
            check_pairs(FolderPairs(inputs, targets), patch_size=64)
        message = str(caught.value)
        assert message.startswith("4 problems in the dataset:")
        assert "scene-0.png has no input" in message
        assert "scene-1.jpg: cannot be read" in message
        assert "scene-2.jpg: the input is 60×50 but the target is 112×96" in message
        assert "small.jpg: 40×30 is smaller than the 64×64 patch" in message

    def test_a_long_list_is_cut_short(self, tmp_path):
        folder = save_scenes(tmp_path / "many", 23, height=8, width=8)
        with pytest.raises(DatasetError, match=r"23 problems[\s\S]*and 3 more$"):
            check_pairs(CleanFolder(folder), patch_size=16)

    def test_an_empty_folder_is_a_problem(self, tmp_path):
        assert find_problems(CleanFolder(tmp_path)) == ["there are no pictures"]


class TestLayouts:
    @pytest.fixture
    def root(self, tmp_path):
        for inside in ("train/Rain13K", "test/Rain100L", "test/GoPro"):
            save_scenes(tmp_path / inside / "input", 2)
            save_scenes(tmp_path / inside / "target", 2)
        save_scenes(tmp_path / "train/GoPro/input_crops", 1)
        save_scenes(tmp_path / "train/GoPro/target_crops", 1)
        save_scenes(tmp_path / "test/CBSD68", 3)
        (tmp_path / "test/notes").mkdir()
        return tmp_path

    def test_finds_what_is_there(self, root):
        found = {(each.split, each.name, each.task) for each in find_sets(root)}
        assert found == {
            ("train", "Rain13K", "derain"),
            ("train", "GoPro", "deblur"),
            ("test", "Rain100L", "derain"),
            ("test", "GoPro", "deblur"),
            ("test", "CBSD68", "denoise"),
        }

    def test_opens_pairs_and_clean_pictures(self, root):
        assert len(open_set(root, "rain13k")) == 2
        assert len(open_set(root, "GoPro", split="train")) == 1
        assert isinstance(open_set(root, "CBSD68"), CleanFolder)

    def test_a_wrong_name_gets_a_hint_and_the_layout(self, root):
        with pytest.raises(ValueError, match=r"did you mean Rain100L\?.*Rain100M/input"):
            open_set(root, "Rain100M")
        with pytest.raises(ValueError, match="no set train/HIDE"):
            open_set(root, "HIDE", split="train")


class TestColumns:
    @pytest.fixture
    def dataset(self, pair_folders):
        datasets = pytest.importorskip("datasets")
        columns = {
            name: [str(path) for path in list_pictures(folder)]
            for name, folder in zip(("input", "target"), pair_folders, strict=True)
        }
        features = datasets.Features(dict.fromkeys(columns, datasets.Image()))
        return datasets.Dataset.from_dict(columns, features=features)

    def test_gives_the_same_pixels_as_the_folders(self, dataset, pair_folders):
        columns, folders = ColumnPairs(dataset), FolderPairs(*pair_folders)
        assert len(columns) == len(folders) == 4
        for index in range(4):
            np.testing.assert_array_equal(columns.load(index).input, folders.load(index).input)
            np.testing.assert_array_equal(columns.load(index).target, folders.load(index).target)

    def test_clean_column_alone(self, dataset):
        pairs = ColumnPairs(dataset, input_column=None)
        assert not pairs.paired
        assert pairs.load(0).input is None

    def test_wrong_column_is_named(self, dataset):
        with pytest.raises(ValueError, match="no column rainy; it has input, target"):
            ColumnPairs(dataset, input_column="rainy")

    def test_arrays_are_pictures_and_words_are_not(self):
        datasets = pytest.importorskip("datasets")
        pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
        features = {
            "target": datasets.Array3D((4, 5, 3), "uint8"),
            "input": datasets.Value("string"),
        }
        rows = {"target": [pixels], "input": ["a.png"]}
        dataset = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
        found = ColumnPairs(dataset, input_column=None).load(0).target
        np.testing.assert_array_equal(found, pixels)
        with pytest.raises(ValueError, match="is no picture but str"):
            ColumnPairs(dataset).load(0)

    def test_saved_to_disk(self, dataset, tmp_path):
        dataset.save_to_disk(str(tmp_path / "saved"))
        check_pairs(ColumnPairs(open_dataset_on_disk(tmp_path / "saved")), patch_size=90)
