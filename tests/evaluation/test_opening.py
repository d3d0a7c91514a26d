import numpy as np
import pytest
import scipy.io
from PIL import Image

from glmha_hf.data.degradations import benchmark_noise
from glmha_hf.evaluation.downloads import DOWNLOADS
from glmha_hf.evaluation.opening import open_sets
from glmha_hf.metrics import PROTOCOLS
from tests.data.scenes import save_scenes

from .conftest import save_arad, save_cassi, save_pairs


def test_a_benchmark_is_known_by_its_name(rain):
    (found,) = open_sets(str(rain))
    assert (found.name, found.protocol, len(found)) == ("Rain100L", "deraining", 5)
    sample = found.sample(2)
    assert sample.name == "2.png"
    assert sample.picture.shape == sample.target.shape == (24, 28, 3)


def test_a_root_gives_all_its_test_sets(tmp_path):
    save_pairs(tmp_path / "test" / "Rain100L", 2)
    save_pairs(tmp_path / "test" / "GoPro", 1)
    found = open_sets(str(tmp_path))
    assert {(each.name, each.protocol) for each in found} == {
        ("Rain100L", "deraining"),
        ("GoPro", "deblurring"),
    }
    assert [each.name for each in open_sets(str(tmp_path), protocol="deblurring")] == ["GoPro"]


def test_other_folders_need_a_protocol(tmp_path):
    save_pairs(tmp_path / "mine", 2, names=("blur", "sharp"))
    with pytest.raises(ValueError, match="mine is no benchmark known by name: give --protocol"):
        open_sets(str(tmp_path / "mine"))
    (found,) = open_sets(str(tmp_path / "mine"), protocol="deblurring")
    assert len(found) == 2
    place = f"{tmp_path}/mine/blur,{tmp_path}/mine/sharp"
    assert len(open_sets(place, protocol="deblurring")[0]) == 2


def test_names_that_do_not_match_pair_by_sorted_listing(tmp_path):
    folder = save_pairs(tmp_path / "Rain100L", 3)
    for path in sorted((folder / "input").iterdir()):
        path.rename(path.with_name(f"rain-{path.name}"))
    (found,) = open_sets(str(folder))
    degraded, clean = found.source.files[2]
    assert (degraded.name, clean.name) == ("rain-2.png", "2.png")


def test_clean_pictures_get_the_benchmarks_noise(tmp_path):
    save_scenes(tmp_path / "CBSD68", 2, height=20, width=22)
    found = open_sets(str(tmp_path / "CBSD68"))
    assert [each.settings["sigma"] for each in found] == [15, 25, 50]
    sample = found[1].sample(0)
    np.testing.assert_array_equal(sample.picture, benchmark_noise(sample.target, sigma=25))
    gray = found[1].sample(0, gray=True)
    assert gray.target.shape == (20, 22, 1)
    np.testing.assert_array_equal(gray.picture, benchmark_noise(gray.target, sigma=25))


def test_arad(tmp_path):
    (found,) = open_sets(str(save_arad(tmp_path)))
    assert (found.name, found.protocol, len(found)) == ("ARAD-1K valid", "ntire2022", 2)
    assert found.sample(0).target.shape == (31, 24, 20)


def test_scenes_laid_out_as_arad_keep_their_own_name(tmp_path):
    root = save_arad(tmp_path / "meadows")
    for path in sorted(root.rglob("*ARAD_1K*")):
        path.rename(path.with_name(path.name.replace("ARAD_1K", "scene")))
    for path in root.rglob("*_list.txt"):
        path.write_text(path.read_text().replace("ARAD_1K", "scene"))
    (found,) = open_sets(str(root))
    assert (found.name, len(found)) == ("meadows valid", 2)


def test_cassi_scenes_are_measured_through_their_mask(tmp_path):
    (found,) = open_sets(str(save_cassi(tmp_path / "TSA_simu_data")))
    assert (found.name, found.protocol) == ("KAIST", "cassi")
    sample = found.sample(1)
    assert sample.snapshot.shape == (32, 86)
    assert sample.mask.shape == (32, 32)
    assert open_sets(str(tmp_path / "TSA_simu_data" / "Truth"))[0].name == "KAIST"


def test_sidd_blocks_are_scored_as_floats(tmp_path):
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (2, 3, 8, 8, 3)).astype(np.uint8)
    for key, blocks in (("Noisy", 255 - clean), ("Gt", clean)):
        name = f"Validation{key}BlocksSrgb"
        scipy.io.savemat(tmp_path / f"{name}.mat", {name: blocks})
    (found,) = open_sets(str(tmp_path))
    assert len(found) == 6
    sample = found.sample(4)
    assert sample.name == "scene-02-block-02"
    restored = np.moveaxis(sample.target / np.float32(255), -1, 0) + np.float32(0.001)
    prediction = found.finish(restored, sample.target)
    assert prediction.dtype == np.float32
    assert found.score(prediction, sample.target)["psnr"] == pytest.approx(60, abs=0.1)


def test_a_saved_dataset(tmp_path):
    datasets = pytest.importorskip("datasets")
    pictures = [Image.fromarray(np.full((8, 9, 3), value, np.uint8)) for value in (10, 20)]
    columns = {"rainy": pictures, "clean": pictures}
    features = datasets.Features({"rainy": datasets.Image(), "clean": datasets.Image()})
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(tmp_path / "set")
    (found,) = open_sets(str(tmp_path / "set"), protocol="deraining", columns=("rainy", "clean"))
    assert len(found) == 2
    assert found.sample(1).picture[0, 0, 0] == 20
    assert found.identity(0) != found.identity(1)


def test_a_wrong_folder_is_told_what_was_expected_and_found(tmp_path):
    (tmp_path / "inputs").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match="expected input/ and target/") as raised:
        open_sets(str(tmp_path), protocol="deraining")
    message = str(raised.value)
    assert "found inputs/, notes.txt" in message
    assert "did you mean to rename inputs (for input)?" in message
    assert "github.com/swz30/Restormer" in message
    assert "\n" not in message


def test_a_missing_folder_names_its_neighbours(tmp_path):
    save_pairs(tmp_path / "Rain100L", 1)
    with pytest.raises(FileNotFoundError, match=r"Rain100; did you mean Rain100L\?"):
        open_sets(str(tmp_path / "Rain100"))


def test_a_missing_partner_is_named(rain):
    (rain / "target" / "3.png").unlink()
    with pytest.raises(ValueError, match=r"3\.png has no target; 4 have a partner"):
        open_sets(str(rain))


def test_unequal_sizes_are_found_by_the_headers(rain):
    Image.new("RGB", (28, 20)).save(rain / "target" / "1.png")
    with pytest.raises(ValueError, match=r"input 1\.png is 28×24 but its target 28×20"):
        open_sets(str(rain))


def test_scenes_without_a_mask_say_where_it_comes_from(tmp_path):
    (save_cassi(tmp_path) / "mask.mat").unlink()
    with pytest.raises(ValueError, match=r"2 scenes but no mask\.mat") as raised:
        open_sets(str(tmp_path))
    assert "github.com/caiyuanhao1998/MST" in str(raised.value)


def test_half_of_sidd_names_the_other_half(tmp_path):
    (tmp_path / "ValidationGtBlocksSrgb.mat").write_bytes(b"")
    with pytest.raises(ValueError, match=r"but not ValidationNoisyBlocksSrgb\.mat"):
        open_sets(str(tmp_path))


@pytest.mark.parametrize(
    ("protocol", "message"),
    [("derain", "did you mean deraining"), ("cassi", "holds pictures, but cassi scores cubes")],
)
def test_a_protocol_that_does_not_fit_is_refused(rain, protocol, message):
    with pytest.raises(ValueError, match=message):
        open_sets(str(rain), protocol=protocol)


def test_every_protocol_of_a_paper_has_its_download():
    assert set(PROTOCOLS) - {"mst_training"} <= set(DOWNLOADS)
    for download in DOWNLOADS.values():
        assert download.page.startswith("https://")
        assert "data/" in download.advice("data")


def test_a_set_without_scenes_is_refused(tmp_path):
    for folder in ("Train_RGB", "Train_Spec"):
        (tmp_path / folder).mkdir()
    with pytest.raises(ValueError, match="there are no pairs; 0 have a partner"):
        open_sets(str(tmp_path))
