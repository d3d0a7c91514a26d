import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glmha_hf.cli import main
from glmha_hf.inference import folder as folder_run
from glmha_hf.inference import processes
from glmha_hf.inference.png import write_png16
from glmha_hf.inference.restoration import restore
from glmha_hf.models.image_processing_picture import PictureProcessor, as_array
from tests.models.small import small_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    small_model("restormer").save_pretrained(folder)
    PictureProcessor().save_pretrained(folder)
    return folder


@pytest.fixture
def run(capsys, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def command(*arguments, model=model):
        try:
            status = main(["restore", *map(str, arguments), "--model", str(model)])
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().err

    return command


def pixels(height=24, width=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def write(path, **size):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(**size)).save(path)
    return path


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_of_good_odd_and_bad_files(run, tmp_path, model):
    write(tmp_path / "in/good.png")
    write(tmp_path / "in/deep/odd.jpg", height=17, width=23)
    write(tmp_path / "in/huge.png", height=200, width=300)
    good = (tmp_path / "in/good.png").read_bytes()
    (tmp_path / "in/corrupt.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "in/text.jpg").write_text("no picture")
    (tmp_path / "in/empty.png").touch()
    arguments = ("in", "-r", "-o", "out", "--max-pixels", 50_000)
    status, err = run(*arguments)
    assert status == 1
    assert names(tmp_path / "out") == ["deep/odd.jpg", "good.png"]
    for bad in ("corrupt.png", "text.jpg", "empty.png", "huge.png"):
        assert f"in/{bad}" in err
    assert "over the limit of 50,000" in err
    assert "2 restored, 0 done before, 4 failed" in err
    expected = np.asarray(restore(tmp_path / "in/good.png", model=model))
    np.testing.assert_array_equal(as_array(tmp_path / "out/good.png"), expected)

    written = (tmp_path / "out/good.png").stat().st_mtime_ns
    status, err = run(*arguments)
    assert (status, "0 restored, 2 done before, 4 failed" in err) == (1, True)
    assert (tmp_path / "out/good.png").stat().st_mtime_ns == written


def test_what_is_done_costs_no_model(run, tmp_path, monkeypatch):
    write(tmp_path / "a.png")
    assert run("a.png")[0] == 0
    assert names(tmp_path) == ["a.png", "a_restored.png"]
    monkeypatch.setattr("glmha_hf.cli.restore._folder_run", pytest.fail)
    status, err = run("a.png")
    assert (status, err) == (0, "0 restored, 1 done before, 0 failed\n")


def test_overwrite_restores_again_and_quiet_says_nothing(run, tmp_path):
    write(tmp_path / "a.png")
    (tmp_path / "a_restored.png").write_text("old")
    assert run("a.png", "--overwrite", "--quiet") == (0, "")
    assert as_array(tmp_path / "a_restored.png").shape == (24, 32, 3)


def test_batches_give_the_same_pictures(run, tmp_path):
    for index in range(5):
        write(tmp_path / f"in/{index}.png", seed=index, height=24 if index < 3 else 32)
    run("in", "-o", "one")
    run("in", "-o", "many", "--batch-size", 2)
    assert names(tmp_path / "one") == names(tmp_path / "many")
    for name in names(tmp_path / "one"):
        one, many = as_array(tmp_path / "one" / name), as_array(tmp_path / "many" / name)
        np.testing.assert_allclose(one.astype(int), many, atol=1)


def test_16_bit_colour_stays_16_bit(run, tmp_path, model):
    deep = pixels().astype(np.uint16) * 257 + 1
    with (tmp_path / "deep.png").open("wb") as file:
        write_png16(deep, file)
    assert run("deep.png", "-o", "out.png")[0] == 0
    restored = as_array(tmp_path / "out.png")
    assert restored.dtype == np.uint16
    np.testing.assert_array_equal(restored, restore(deep, model=model))
    assert len(np.unique(restored % 257)) > 100
    assert run("deep.png", "-o", "out.tif")[0] == 0
    np.testing.assert_array_equal(as_array(tmp_path / "out.tif"), restored)
    status, err = run("deep.png", "-o", "out.bmp")
    assert (status, "can be written as PNG or TIFF only" in err) == (1, True)


def test_exif_is_kept_and_the_picture_upright(run, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[271] = 6, "camera"
    Image.fromarray(pixels(24, 40)).save(tmp_path / "a.jpg", exif=exif, icc_profile=b"profile")
    assert run("a.jpg", "-o", "out")[0] == 0
    with Image.open(tmp_path / "out/a.jpg") as image:
        assert (image.size, image.format) == ((24, 40), "JPEG")
        assert (image.getexif()[0x0112], image.getexif()[271]) == (1, "camera")
        assert image.info["icc_profile"] == b"profile"


def test_an_animation_keeps_frames_timing_and_loop(run, tmp_path):
    frames = [Image.fromarray(pixels(seed=seed)) for seed in range(4)]
    frames[0].save(
        tmp_path / "a.gif",
        save_all=True,
        append_images=frames[1:],
        duration=[50, 60, 70, 80],
        loop=3,
    )
    assert run("a.gif", "-o", "out", "--batch-size", 3)[0] == 0
    with Image.open(tmp_path / "out/a.gif") as image:
        assert (image.n_frames, image.info["loop"]) == (4, 3)
        durations = []
        for index in range(4):
            image.seek(index)
            durations.append(image.info["duration"])
    assert durations == [50, 60, 70, 80]


def test_frames_stay_in_formats_that_have_them(run, tmp_path):
    frames = [Image.fromarray(pixels(seed=seed)) for seed in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=50)
    assert run("a.png", "-o", "out")[0] == 0
    with Image.open(tmp_path / "out/a.png") as image:
        assert image.n_frames == 3
    status, err = run("a.png", "-o", "a.jpg")
    assert status == 1
    assert "a.jpg: JPEG has no frames; use a .gif or .tif name" in err
    assert names(tmp_path) == ["a.png", "out/a.png"]


def test_frames_are_turned_upright(run, tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    frames = [Image.fromarray(pixels(seed=seed)) for seed in range(2)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], exif=exif)
    assert run("a.webp", "-o", "out")[0] == 0
    with Image.open(tmp_path / "out/a.webp") as image:
        assert (image.n_frames, image.size) == (2, (24, 32))


def test_pages_of_16_bits_are_refused(run, tmp_path):
    pages = [Image.fromarray(pixels()[..., 0].astype(np.uint16) * 257) for _ in range(2)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    status, err = run("a.tif", "-o", "out")
    assert status == 1
    assert "a.tif: pages of 16 bits cannot be restored together" in err


def test_tags_of_a_wrong_type_cost_no_picture(run, tmp_path):
    """Pillow reads a text where a number belongs, and cannot write it again."""
    entry = struct.pack("<HHI4s", 0x0103, 2, 4, b"abc\0")
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    Image.fromarray(pixels()).save(tmp_path / "a.jpg", exif=exif)
    write(tmp_path / "b.png")
    assert run("a.jpg", "b.png", "-o", "out")[0] == 0
    assert names(tmp_path / "out") == ["a.jpg", "b.png"]


def test_what_cannot_be_written_is_named(run, tmp_path):
    write(tmp_path / "a.png")
    (tmp_path / "file").touch()
    status, err = run("a.png", "-o", "file/out.png")
    assert status == 1
    assert "glmha restore: file: " in err


def test_pages_of_a_document_may_differ_in_size(run, tmp_path):
    pages = [Image.fromarray(pixels(height=height)) for height in (24, 40)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert run("a.tif", "-o", "out")[0] == 0
    with Image.open(tmp_path / "out/a.tif") as image:
        assert image.n_frames == 2
        image.seek(1)
        assert image.size == (32, 40)


def test_standard_input_to_standard_output(run, tmp_path, model, monkeypatch):
    picture = write(tmp_path / "a.png")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(picture.read_bytes())))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written))
    assert run("-")[0] == 0
    with Image.open(io.BytesIO(written.getvalue())) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), restore(pixels(), model=model))


def test_standard_input_that_is_no_picture(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"text")))
    status, err = run("-", "-o", "out.png")
    assert status == 1
    assert "is not a picture that can be read" in err
    assert not Path("out.png").exists()


def test_the_sheet_shows_before_and_after(run, tmp_path):
    for name in ("a.png", "b.png"):
        write(tmp_path / name)
    assert run("a.png", "b.png", "-o", "out", "--compare", "sheet.png")[0] == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 2 * 512
        assert sheet.height > 2 * 24


def test_a_sheet_takes_nobodys_place_unasked(run, tmp_path):
    write(tmp_path / "a.png")
    write(tmp_path / "mine.png", seed=1)
    mine = (tmp_path / "mine.png").read_bytes()
    status, err = run("a.png", "-o", "out.png", "--compare", "mine.png")
    assert (status, "mine.png exists; add --overwrite" in err) == (2, True)
    assert (tmp_path / "mine.png").read_bytes() == mine
    assert "names no picture format" in run("a.png", "-o", "out.png", "--compare", "sheet.doc")[1]
    assert not (tmp_path / "out.png").exists()
    assert run("a.png", "-o", "out.png", "--compare", "mine.png", "--overwrite")[0] == 0
    assert run("a.png", "-o", "out.png", "--compare", "sheet.webp")[0] == 0
    with Image.open(tmp_path / "sheet.webp") as sheet:
        assert sheet.format == "WEBP"


def test_a_full_disk_ends_the_run_and_leaves_no_half_file(run, tmp_path, monkeypatch):
    write(tmp_path / "in/a.png")
    write(tmp_path / "in/b.png")

    def run_out_of_space(image, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", run_out_of_space)
    status, err = run("in", "-o", "out")
    assert status == 2
    assert err.count("\n") == 1
    assert "No space left on device" in err
    assert names(tmp_path / "out") == []


def test_an_interruption_leaves_no_half_file(run, tmp_path, monkeypatch):
    write(tmp_path / "in/a.png")

    def interrupt(image, path, **_):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupt)
    assert run("in", "-o", "out")[0] == 130
    assert names(tmp_path / "out") == []


def test_lack_of_memory_is_one_files_failure(run, tmp_path, monkeypatch):
    write(tmp_path / "a.png")
    write(tmp_path / "b.png", height=40)
    whole = folder_run.Restorer.restore_batch

    def restore_batch(self, pictures, **settings):
        if len(pictures[0]) == 24:
            raise RuntimeError("not enough memory: you tried to allocate\n9 bytes")
        return whole(self, pictures, **settings)

    monkeypatch.setattr(folder_run.Restorer, "restore_batch", restore_batch)
    status, err = run("a.png", "b.png")
    assert status == 1
    assert "a.png: not enough memory: you tried to allocate 9 bytes" in err
    assert (tmp_path / "b_restored.png").exists()


def test_each_process_takes_its_share(tmp_path, model, monkeypatch):
    shares = []
    for rank in ("0", "1", "2"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "3")
        shares.append(processes.share(range(8)))
    assert sorted(item for share in shares for item in share) == list(range(8))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.slow
def test_two_processes_give_the_same_and_end_together(tmp_path, model):
    for index in range(3):
        write(tmp_path / f"in/{index}.png", seed=index)
    (tmp_path / "in/bad.png").write_text("no picture")
    launcher = ("torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    command = ("glmha_hf", "restore", "in", "--model", str(model), "-o", "out")
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "-m", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.count("3 restored, 0 done before, 1 failed") == 1, done.stderr
    assert names(tmp_path / "out") == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.png"], "missing.png: No such file or directory"),
        (["a.png", "--tile", "0"], "argument --tile"),
        (["a.png", "--batch-size", "0"], "argument --batch-size"),
        (["a.png", "--tile", "16", "--overwrite"], "glmha restore: tile must be at least 64"),
        (["a.png", "--tile", "64", "--overlap", "-4"], "glmha restore: overlap must be from 0"),
        (["-", "--compare", "sheet.png"], "--compare needs pictures in files"),
        (["*.gif"], "nothing matches *.gif"),
        (["a.png", "b.png", "-o", "one.png"], "one.png is one file, but there may be several"),
        (["-", "-o", "folder/"], "folder/ is a folder: give the file's name"),
        (["a.png", "-", "-o", "out"], "- takes one picture"),
    ],
)
def test_bad_arguments_are_said_in_one_line(run, tmp_path, arguments, message):
    write(tmp_path / "a.png")
    status, err = run(*arguments)
    assert status in (1, 2)
    assert message in err
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("named", ["nothing", "empty"])
def test_a_folder_that_is_no_model_is_named(run, tmp_path, named):
    write(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    status, err = run("a.png", model=named)
    assert status == 2
    assert err.count("\n") == 1
    assert named in err


def test_a_model_of_cubes_is_refused(run, tmp_path):
    small_model("mst_plus_plus").save_pretrained(tmp_path / "cubes")
    write(tmp_path / "a.png")
    status, err = run("a.png", model=tmp_path / "cubes")
    assert (status, "use reconstruct" in err) == (2, True)
