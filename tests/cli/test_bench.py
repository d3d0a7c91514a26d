import json

import numpy as np
import pytest
from PIL import Image

from glmha_hf.cli.bench import picture_size
from tests.cli.test_cli import run
from tests.models.small import SMALL_CONFIGS, small_model


@pytest.fixture
def config(tmp_path):
    SMALL_CONFIGS["restormer_features"]().save_pretrained(tmp_path)
    return tmp_path / "config.json"


def test_sizes_are_sides_or_width_by_height():
    assert picture_size("256") == (256, 256)
    assert picture_size("1920x1080") == (1920, 1080)


def test_figures_that_were_not_measured_have_no_column(capsys, config):
    arguments = ("bench", config, "--attention", "csa", "--repeats", 1)
    status, out, _ = run(capsys, *arguments, "--size", "17x10", "--dtype", "float32")
    title, header, *lines = out.splitlines()
    assert status == 0
    assert title.startswith(f"{config}: random weights and input; torch ")
    assert header.split()[:4] == ["case", "median", "s", "µs/pixel"]
    assert header.endswith("PSNR dB")
    assert [line.partition("  ")[0] for line in lines] == [
        "csa, published, float32, 17×10",
        "csa, fused, float32, 17×10",
    ]
    assert lines[0].split()[-2:] == ["–", "–"]


def test_tiles_and_a_plot(capsys, config, tmp_path):
    pytest.importorskip("matplotlib")
    plot = tmp_path / "ratios.png"
    words = "--attention csa glmha --form fused --dtype float32 --size 24 --tile 16 --repeats 1"
    status, out, _ = run(capsys, "bench", config, *words.split(), "--plot", plot)
    assert status == 0
    assert out.splitlines()[1].endswith("seam")
    assert [line.count("%") for line in out.splitlines()[2:]] == [1, 2, 1, 2]
    drawn = np.asarray(Image.open(plot).convert("L"))
    assert drawn.shape[1] == 1125
    assert drawn.std() > 10


def test_trained_weights_on_a_picture(capsys, tmp_path):
    small_model("mst_plus_plus", attention="glmha").save_pretrained(tmp_path / "model")
    Image.effect_noise((21, 18), 60).save(tmp_path / "picture.png")
    arguments = ("bench", tmp_path / "model", "--picture", tmp_path / "picture.png")
    status, out, _ = run(capsys, *arguments, "--repeats", 1, "--json")
    assert status == 0
    rows = json.loads(out)
    assert [row["case"]["attention"] for row in rows] == ["glmha"] * 3
    assert (rows[0]["case"]["width"], rows[0]["case"]["height"]) == (21, 18)
    assert rows[0]["psnr"] is None
    assert rows[2]["psnr"] > 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["restormer", "--size", "12x"], "'12x' is neither a side nor WIDTHxHEIGHT"),
        (["restormer", "--size", "1x2x3"], "'1x2x3' is neither a side nor WIDTHxHEIGHT"),
        (["restormer", "--repeats", "0"], "'0' is not a positive number"),
        (["restormer", "--plot", "ratios.txt"], "--plot writes .png, .pdf, .svg, not ratios.txt"),
        (["restormer", "--picture", "a.png"], "'restormer' is neither a folder nor a model"),
        (["restormer-derain", "--picture", "a.png"], "a.png: No such file"),
        (["restormer-derain", "--picture", "a.png", "--size", "64"], "leave out --size"),
        (["restormer-derain", "alpha=1", "--picture", "a.png"], "leave out --size"),
        (["mst-cassi", "--picture", "a.png"], "mst-cassi takes CASSI snapshots"),
    ],
)
def test_options_that_do_not_fit_are_told_in_one_line(arguments, message, capsys):
    status, out, err = run(capsys, "bench", *arguments)
    assert status == 2
    assert out == ""
    assert message in err.splitlines()[-1]


@pytest.mark.parametrize("can", [True, False])
def test_pages_are_kept_if_asked_for(capsys, config, can, monkeypatch):
    asked = []
    monkeypatch.setattr("glmha_hf.cpu.keep_pages", lambda: asked.append(True) or can)
    arguments = ("bench", config, "--form", "fused", "--size", 8, "--repeats", 1)
    assert run(capsys, *arguments)[1].splitlines()[0].endswith(" threads, cpu")
    assert not asked
    status, out, err = run(capsys, *arguments, "--keep-pages")
    assert asked == [True]
    if can:
        assert (status, out.splitlines()[0][-12:]) == (0, ", pages kept")
    else:
        assert (status, out) == (2, "")
        assert err == "glmha bench: only glibc can be told to keep pages\n"
