import numpy as np
import pytest
from PIL import Image

from glmha_hf.cli import main
from glmha_hf.data.cube_formats import SpectralCube, write_cube
from glmha_hf.data.spectral_sets import CASSI_WAVELENGTHS, NTIRE_WAVELENGTHS
from tests.evaluation.conftest import draw_cube


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_cube(SpectralCube(draw_cube(31, 40, 50), NTIRE_WAVELENGTHS), tmp_path / "a.npy")
    write_cube(SpectralCube(draw_cube(28, 40, 50, seed=1), CASSI_WAVELENGTHS), tmp_path / "b.mat")
    write_cube(SpectralCube(draw_cube(28, 40, 60), CASSI_WAVELENGTHS), tmp_path / "wide.hdr")

    def command(*arguments):
        try:
            status = main(["view", *map(str, arguments)])
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().err

    return command


def test_one_row_a_cube(run, tmp_path):
    assert run("a.npy", "-o", "one.png") == (0, "")
    assert run("first=a.npy", "second=b.mat", "-o", "two.png", "--at", "3,7")[0] == 0
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert one.width == two.width
        assert two.height > one.height + 150


def test_bands_and_exposure_change_what_is_shown(run, tmp_path):
    run("a.npy", "-o", "four.png")
    run("a.npy", "-o", "two.png", "--bands", 450, 600)
    run("a.npy", "-o", "dark.jpg", "--exposure", 0.2)
    four, two, dark = (
        np.asarray(Image.open(tmp_path / name).convert("L"))
        for name in ("four.png", "two.png", "dark.jpg")
    )
    assert two.shape[1] < four.shape[1]
    assert dark[60:160, 30:200].mean() < 0.6 * four[60:160, 30:200].mean()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.npy", "-o", "s.gif"], "a sheet ends in .png or .jpg"),
        (["a.npy", "-o", "a.npy"], "exists; add --overwrite"),
        (["none.npy", "-o", "s.png"], "no file none.npy"),
        (["a.npy", "wide.hdr", "-o", "s.png"], "wide makes it 40×50 and 40×60"),
        (["a.npy", "a.npy", "-o", "s.png"], "two cubes have one name"),
        (["a.npy", "-o", "s.png", "--at", "40,3"], "no pixel 40,3 in a cube of 40×50"),
        (["a.npy", "-o", "s.png", "--at", "x"], "'x' is not ROW,COLUMN"),
        (["a.npy", "-o", "s.png", "--bands", "900"], "no band near 900 nm"),
        (["a.npy", "-o", "s.png", "--exposure", "0"], "'0' is not a number above 0"),
    ],
)
def test_what_cannot_be_shown_is_one_line(run, tmp_path, arguments, message):
    status, err = run(*arguments)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "s.png").exists()
