import json

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from glmha_hf import PictureProcessor, SnapshotProcessor, cube_to_srgb, reconstruct
from glmha_hf.baselines.gap_tv import gap_tv
from glmha_hf.cli import main
from glmha_hf.data.cassi import CassiSystem
from glmha_hf.data.cube_formats import read_cube
from glmha_hf.data.spectral_sets import CASSI_WAVELENGTHS
from tests.evaluation.conftest import draw_cube
from tests.models.small import small_model

SEVEN = [400.0, 450.0, 500.0, 550.0, 600.0, 650.0, 700.0]
SIX = SEVEN[1:]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of each kind of input, with the wavelengths of its few bands."""
    folder = tmp_path_factory.mktemp("models")
    processors = {
        "mst_plus_plus": PictureProcessor(value_range="min_max", wavelengths=SEVEN),
        "mst": SnapshotProcessor(bands=6, wavelengths=SIX),
        "mst_plus_plus_cassi": SnapshotProcessor(bands=6, mask_form="plain", wavelengths=SIX),
        "restormer": PictureProcessor(),
    }
    for form, processor in processors.items():
        small_model(form).save_pretrained(folder / form)
        processor.save_pretrained(folder / form)
    return folder


@pytest.fixture
def run(capsys, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def command(*arguments, model="mst_plus_plus"):
        place = models / model
        name = str(place) if place.exists() else model
        try:
            status = main(["reconstruct", *map(str, arguments), "--model", name])
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().err

    return command


def write_picture(path, height=24, width=32, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    Image.fromarray(values).save(path)
    return path


@pytest.fixture
def camera(tmp_path):
    """A mask and two snapshots taken with it, 20×24 pixels of six bands."""
    system = CassiSystem(torch.rand(20, 24, generator=torch.Generator().manual_seed(0)), bands=6)
    scipy.io.savemat(tmp_path / "mask.mat", {"mask": system.mask.numpy()})
    for seed in range(2):
        snapshot = system.measure(torch.from_numpy(draw_cube(6, 20, 24, seed=seed)))
        np.save(tmp_path / f"shot{seed}.npy", snapshot.numpy())
    return system


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_picture_becomes_a_cube_with_views_and_wavelengths(run, models, tmp_path):
    picture = write_picture(tmp_path / "a.png")
    assert run("a.png", "-o", "out") == (0, "1 reconstructed, 0 done before, 0 failed\n")
    expected = ["a.npy", "a.spectra.png", "a.srgb.png", "a.wavelengths.txt"]
    assert names(tmp_path / "out") == expected
    cube = read_cube(tmp_path / "out/a.npy")
    assert cube.wavelengths == tuple(SEVEN)
    in_python = reconstruct(picture, model=models / "mst_plus_plus")
    np.testing.assert_allclose(cube.values, in_python.clip(0), atol=1e-6)
    with Image.open(tmp_path / "out/a.srgb.png") as preview:
        assert preview.text["exposure"] == "1"
        np.testing.assert_array_equal(preview, cube_to_srgb(cube.values, SEVEN))


@pytest.mark.parametrize(
    ("output", "options", "made"),
    [
        ("out", ["--format", "mat"], ["a.mat"]),
        ("out", ["--format", "envi"], ["a.hdr", "a.img"]),
        ("out/b.mat", [], ["b.mat"]),
        ("out/b.hdr", ["--format", "envi"], ["b.hdr", "b.img"]),
    ],
)
def test_formats(run, tmp_path, output, options, made):
    write_picture(tmp_path / "a.png")
    assert run("a.png", "-o", output, "--no-preview", *options)[0] == 0
    assert names(tmp_path / "out") == made
    run("a.png", "-o", "npy", "--no-preview")
    found, same = (read_cube(tmp_path / each) for each in (f"out/{made[0]}", "npy/a.npy"))
    np.testing.assert_array_equal(found.values, same.values)
    assert found.wavelengths == same.wavelengths


def test_a_folder_of_good_and_bad_files_skips_what_is_done(run, tmp_path):
    write_picture(tmp_path / "in/good.png")
    write_picture(tmp_path / "in/deep/odd.jpg", height=17, width=23)
    write_picture(tmp_path / "in/huge.png", height=200, width=300)
    (tmp_path / "in/text.png").write_text("no picture")
    Image.new("L", (8, 8)).save(
        tmp_path / "in/moving.gif", save_all=True, append_images=[Image.new("L", (8, 8), 9)]
    )
    arguments = ("in", "-r", "-o", "out", "--max-pixels", 50_000, "--no-preview")
    status, err = run(*arguments)
    assert status == 1
    assert {"good.npy", "deep/odd.npy"} < set(names(tmp_path / "out"))
    for bad in ("huge.png has 60,000 pixels", "text.png is not", "moving.gif has 2 frames"):
        assert f"in/{bad}" in err
    assert "2 reconstructed, 0 done before, 3 failed" in err
    written = (tmp_path / "out/good.npy").stat().st_mtime_ns
    assert "0 reconstructed, 2 done before, 3 failed" in run(*arguments)[1]
    assert (tmp_path / "out/good.npy").stat().st_mtime_ns == written
    assert "2 reconstructed" in run(*arguments, "--overwrite")[1]
    assert (tmp_path / "out/good.npy").stat().st_mtime_ns > written


def test_what_is_done_costs_no_model(run, tmp_path, monkeypatch):
    write_picture(tmp_path / "a.png")
    assert run("a.png", "-o", "out", "-q", "--no-preview") == (0, "")
    monkeypatch.setattr("glmha_hf.cli.reconstruct._cube_run", pytest.fail)
    assert run("a.png", "-o", "out") == (0, "0 reconstructed, 1 done before, 0 failed\n")


def test_tiles_and_batches_give_cubes_of_the_whole_size(run, tmp_path):
    for seed in range(3):
        write_picture(tmp_path / f"in/{seed}.png", 100, 90, seed=seed)
    options = ("--no-preview", "--tile")
    assert run("in", "-o", "whole", *options, "none", "--batch-size", 2)[0] == 0
    assert run("in", "-o", "tiled", *options, 64)[0] == 0
    whole, tiled = (read_cube(tmp_path / f"{name}/2.npy").values for name in ("whole", "tiled"))
    assert whole.shape == tiled.shape == (7, 100, 90)
    assert 0 < np.abs(whole - tiled).max() < 1


@pytest.mark.parametrize("model", ["mst", "mst_plus_plus_cassi"])
def test_snapshots_become_cubes(run, models, tmp_path, camera, model):
    status, err = run(
        *("shot0.npy", "shot1.npy", "--mask", "mask.mat", "-o", "out", "--batch-size", 2),
        model=model,
    )
    assert (status, err) == (0, "2 reconstructed, 0 done before, 0 failed\n")
    cube = read_cube(tmp_path / "out/shot1.npy")
    assert cube.wavelengths == tuple(SIX)
    expected = reconstruct(np.load(tmp_path / "shot1.npy"), mask=camera.mask, model=models / model)
    np.testing.assert_allclose(cube.values, expected.clip(0), atol=1e-5)


def test_a_folder_of_snapshots_may_hold_its_mask_and_its_cubes(run, tmp_path, camera):
    (tmp_path / "in").mkdir()
    for name in ("mask.mat", "shot0.npy", "shot1.npy"):
        (tmp_path / name).rename(tmp_path / "in" / name)
    arguments = ("in", "--mask", "in/mask.mat", "-o", "in", "--format", "mat")
    for made, done in ((2, 0), (0, 2)):
        status, err = run(*arguments, model="mst")
        assert (status, err) == (0, f"{made} reconstructed, {done} done before, 0 failed\n")


def test_views_beside_pictures_are_not_taken_for_pictures(run, tmp_path):
    write_picture(tmp_path / "in/a.png")
    for made, done in ((1, 0), (0, 1)):
        expected = f"{made} reconstructed, {done} done before, 0 failed\n"
        assert run("in", "-o", "in") == (0, expected)


def test_gap_tv_needs_no_model(run, tmp_path):
    system = CassiSystem(torch.rand(16, 20, generator=torch.Generator().manual_seed(0)))
    np.save(tmp_path / "mask.npy", system.mask.numpy())
    snapshot = system.measure(torch.from_numpy(draw_cube(28, 16, 20)))
    np.save(tmp_path / "shot.npy", snapshot.numpy())
    options = ("--iterations", 4, "--tv-weight", 0.2)
    assert run("shot.npy", "--mask", "mask.npy", "-o", "out", *options, model="gap-tv")[0] == 0
    cube = read_cube(tmp_path / "out/shot.npy")
    assert cube.wavelengths == CASSI_WAVELENGTHS
    expected = gap_tv(snapshot, system, iterations=4, tv_weight=0.2).clamp_min(0)
    np.testing.assert_allclose(cube.values, expected, atol=1e-6)


def test_a_captured_snapshot_is_scaled(run, tmp_path, camera):
    snapshot = np.load(tmp_path / "shot0.npy")
    counts = np.rint(snapshot / snapshot.max() * 65535).astype(np.uint16)
    Image.fromarray(counts).save(tmp_path / "shot.png")
    np.save(tmp_path / "same.npy", counts / counts.max() * (0.8 * 6 / 2))
    options = ("--mask", "mask.mat", "-o", "out", "--no-preview")
    assert run("shot.png", "same.npy", *options, model="mst")[0] == 0
    png, npy = (read_cube(tmp_path / f"out/{name}.npy").values for name in ("shot", "same"))
    np.testing.assert_allclose(png, npy, atol=1e-5)
    assert run("shot0.npy", *options[:-1], "--peak", 0.8, "--no-preview", model="mst")[0] == 0
    np.testing.assert_allclose(read_cube(tmp_path / "out/shot0.npy").values, png, atol=1e-3)


def test_one_snapshot_of_another_size_does_not_stop_the_others(run, tmp_path, camera):
    np.save(tmp_path / "wide.npy", np.ones((20, 36)))
    arguments = ("wide.npy", "shot0.npy", "--mask", "mask.mat", "-o", "out", "--no-preview")
    status, err = run(*arguments, model="mst")
    assert status == 1
    assert (
        "wide.npy: a snapshot of 20×36 needs a mask of 20×26 with 6 bands 2 columns apart; "
        "mask.mat is 20×24"
    ) in err
    assert "1 reconstructed, 0 done before, 1 failed" in err


@pytest.mark.parametrize(
    ("arguments", "model", "message"),
    [
        (["shot0.npy", "-o", "out"], "mst", "takes snapshots: give --mask"),
        (["shot0.npy", "-o", "out"], "gap-tv", "takes snapshots: give --mask"),
        (["a.png", "-o", "out", "--mask", "mask.mat"], "mst_plus_plus", "leave --mask out"),
        (["a.png", "-o", "out", "--tv-weight", "1"], "mst_plus_plus", "is for gap-tv only"),
        (["a.png", "-o", "out"], "restormer", "makes pictures, not cubes: use glmha restore"),
        (["shot0.npy", "-o", "out", "--mask", "none.mat"], "mst", "no file none.mat"),
        (["shot0.npy", "-o", "out", "--mask", "shot0.npy"], "mst", "within 0 and 1"),
        (["a.png", "b.png", "-o", "all.npy"], "mst_plus_plus", "all.npy is one file"),
        (["a.png", "-o", "a.npy", "--format", "mat"], "mst_plus_plus", "does not end in .mat"),
        (["shot0.npy", "-o", ".", "--mask", "mask.mat"], "mst", "replaced by its own cube"),
        (["a.png", "a.jpg", "-o", "out"], "mst_plus_plus", "would both become out/a.npy"),
    ],
)
def test_what_makes_no_sense_is_one_line(run, tmp_path, camera, arguments, model, message):
    for name in ("a.png", "b.png", "a.jpg"):
        write_picture(tmp_path / name)
    status, err = run(*arguments, model=model)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_unknown_wavelengths_are_told_before_anything_runs(run, models, tmp_path):
    write_picture(tmp_path / "a.png")
    settings = models / "mst_plus_plus" / "preprocessor_config.json"
    text = settings.read_text()
    settings.write_text(json.dumps({**json.loads(text), "wavelengths": None}))
    status, err = run("a.png", "-o", "out")
    settings.write_text(text)
    assert (status, "the wavelengths of this model's 7 bands are not known" in err) == (2, True)
