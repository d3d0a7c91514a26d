import math
import mmap
import os
import platform
from functools import partialmethod
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from glmha_hf.analysis.benchmark import Measurement, as_rows, benchmark, tile_macs
from glmha_hf.analysis.benchmark_cases import Case, cases_of, compared_with
from glmha_hf.analysis.benchmark_subjects import RandomWeights, TrainedWeights, prepared
from glmha_hf.analysis.complexity import profile
from glmha_hf.analysis.machine import peak_memory, peak_of_this_program
from glmha_hf.analysis.seams import seam
from glmha_hf.inference.restoration import reconstruct
from glmha_hf.inference.tiling import plan_tiles
from tests.models.small import SMALL_CONFIGS, small_model


def random_weights(form="restormer_features", attentions=("glmha",), sizes=((16, 16),)):
    return RandomWeights(SMALL_CONFIGS[form](), attentions, sizes)


def test_every_case_is_measured_against_the_published_form():
    reported = []
    measured = benchmark(
        random_weights("mst", ["csa", "performer"]),
        dtypes=["float32", "bfloat16"],
        repeats=2,
        report=reported.append,
    )
    assert [one.case.name for one in measured] == [
        "csa, published, float32, 16×16",
        "csa, fused, float32, 16×16",
        "csa, fused, bfloat16, 16×16",
        "performer, published, float32, 16×16",
        "performer, fused, float32, 16×16",
        "performer, fused, bfloat16, 16×16",
    ]
    assert len(reported) == (1 + 2) * len(measured)
    assert measured[0].ratio == 1
    for one in measured:
        assert 0 < one.fastest <= one.seconds
        assert one.first > 0
        assert one.ratio == measured[0].seconds / one.seconds
        assert one.microseconds_per_pixel == pytest.approx(1e6 * one.seconds / 256)
        if one.case.form == "published":
            assert one.relative_difference is one.psnr is None
        elif one.case.dtype == "float32":
            assert one.relative_difference < 2e-5
        else:
            assert 1e-4 < one.relative_difference < 0.1
            assert 30 < one.psnr < 80
    assert as_rows(measured)[1]["case"]["form"] == "fused"


def test_without_the_published_form_the_fused_one_in_float32_is_the_reference():
    measured = benchmark(random_weights(sizes=[(17, 10), (8, 8)]), forms=["fused"], repeats=1)
    assert [one.case.name for one in measured[:2]] == [
        "glmha, fused, float32, 17×10",
        "glmha, fused, bfloat16, 17×10",
    ]
    assert [one.ratio for one in measured[::2]] == [1, 1]
    assert measured[0].psnr is None
    assert 30 < measured[1].psnr < 80
    assert measured[0].microseconds_per_pixel == pytest.approx(1e6 * measured[0].seconds / 170)


def test_the_compiled_form_is_the_published_one_compiled(monkeypatch):
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="eager"))
    subject = random_weights()
    compiled, fused = benchmark(subject, forms=["compiled", "fused"], dtypes=["float32"], repeats=1)
    assert (compiled.case.form, fused.case.form) == ("compiled", "fused")
    assert 0 < compiled.relative_difference < 2e-5
    assert not prepared(subject, compiled.case, "cpu").restorer.network.config.fused


def test_every_first_call_compiles_anew(monkeypatch):
    folders = []

    def keep(graph, inputs, **options):
        folders.append(Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]))
        return graph.forward

    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=keep))
    benchmark(random_weights(), forms=["compiled"], repeats=1)
    assert len(set(folders)) == 2  # float32's and bfloat16's
    assert not any(folder.exists() for folder in folders)


def test_what_a_case_is_compared_with():
    tiled = Case("csa", "fused", "bfloat16", 64, 48, tile=16)
    exact = Case("csa", "fused", "float32", 64, 48)
    cases = cases_of((64, 48), attentions=["csa"], forms=["fused"], dtypes=["bfloat16"], tiles=[16])
    assert cases == [Case("csa", "fused", "bfloat16", 64, 48), tiled]
    assert compared_with(tiled, cases) == cases[0]
    assert compared_with(cases[0], cases) is None
    assert compared_with(cases[0], [*cases, exact]) == exact


def test_tiles_are_measured_against_the_same_untiled():
    subject = random_weights(sizes=[(40, 24)])
    whole, tiled = benchmark(subject, forms=["fused"], dtypes=["float32"], tiles=[16], repeats=1)
    assert tiled.case.name == "glmha, fused, float32, 40×24, tiles of 16"
    outputs = [prepared(subject, one.case, "cpu")() for one in (whole, tiled)]
    difference = (outputs[1] - outputs[0]).abs().max() / outputs[0].abs().max()
    assert tiled.relative_difference == pytest.approx(float(difference))
    plan = plan_tiles(24, 40, tile=16, multiple=2)
    assert tiled.seam == seam(outputs[1], outputs[0], plan)
    assert whole.seam is None
    config = subject.config.changed(attention="glmha")
    sides = {"height": plan.rows.tile, "width": plan.columns.tile}
    mosaic = profile(config, **sides).total.macs
    macs = mosaic + plan.tiles * tile_macs(config, **sides)
    assert plan.tiles == 6
    assert tiled.gmacs == macs / 1e9
    assert whole.gmacs == profile(config, height=24, width=40).total.macs / 1e9


@pytest.mark.parametrize(
    ("tile", "forms", "message"),
    [
        (16, ["published"], "tiles are cut for the fused form"),
        (40, ["fused"], "a tile of 40 holds all of 40×24"),
        (8, ["fused"], "tile must be at least 16"),
    ],
)
def test_tiles_that_would_not_be_measured_are_refused(tile, forms, message):
    with pytest.raises(ValueError, match=message):
        benchmark(random_weights(sizes=[(40, 24)]), forms=forms, tiles=[tile])


@pytest.mark.parametrize("overlap", [0, 4])
def test_a_seam_is_how_much_steeper_borders_are(overlap):
    plan = plan_tiles(16, 40, tile=16, overlap=overlap)
    steps = torch.ones(39)
    for blend in plan.columns.blends:
        steps[blend.start - 1 : blend.stop] = 1.5
    whole, tiled = (
        torch.cat([torch.zeros(1), each.cumsum(0)]).expand(1, 3, 16, 40)
        for each in (torch.ones(39), steps)
    )
    assert plan.tiles == 3
    assert seam(whole, whole, plan) == 0
    assert seam(tiled, whole, plan) == pytest.approx(0.5)
    assert seam(2 * tiled, tiled, plan) == pytest.approx(0)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.effect_noise((81, 66), 60).convert("RGB").save(path)
    return path


def trained(form, folder, picture, **fields):
    model = small_model(form, **fields)
    model.save_pretrained(folder)
    return TrainedWeights.open(str(folder), model.config, picture=picture)


def test_a_trained_model_runs_on_a_picture_as_restore_does(tmp_path, picture):
    subject = trained("mst_rgb", tmp_path / "model", picture, attention=["csa", "glmha"])
    assert list(subject.attentions) == ["csa+glmha"]
    published, fused, tiled = benchmark(subject, dtypes=["float32"], tiles=[64], repeats=1)
    assert tiled.case.size == "81×66"
    assert fused.relative_difference < 2e-5
    assert tiled.psnr < fused.psnr
    assert not prepared(subject, published.case, "cpu").restorer.network.config.fused
    for one in (fused, tiled):
        run = prepared(subject, one.case, "cpu")
        restored = reconstruct(picture, model=tmp_path / "model", tile=one.case.tile)
        assert torch.equal(run()[0].clamp_min(0), torch.from_numpy(restored).clamp_min(0))


def test_pictures_need_weights_and_a_model_of_pictures(tmp_path, picture):
    config = SMALL_CONFIGS["restormer"]()
    config.save_pretrained(tmp_path / "empty")
    with pytest.raises(ValueError, match="empty has no weights"):
        TrainedWeights.open(str(tmp_path / "empty"), config, picture=picture)
    with pytest.raises(ValueError, match="takes CASSI snapshots, not pictures"):
        trained("mst", tmp_path / "mst", picture)


def test_memory_is_that_of_a_process_of_its_own():
    held = torch.ones(500_000_000, dtype=torch.uint8)
    [one] = benchmark(random_weights(), forms=["published"], repeats=1, memory=True)
    assert 0.05 < one.peak_gigabytes < peak_of_this_program() / 1e9 - len(held) / 2e9


def prepare_where_pages_are_kept():
    """A block of 64 MiB is written to and freed, and stays."""
    before = resident_bytes()
    block = bytearray(2**26)
    del block
    assert resident_bytes() - before > 2**25
    return resident_bytes


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another")
def test_the_process_whose_memory_is_taken_keeps_pages_if_told():
    assert peak_memory(prepare_where_pages_are_kept, "cpu", keep_pages=True) > 0.06
    with pytest.raises(AssertionError):
        peak_memory(prepare_where_pages_are_kept, "cpu")


def test_json_has_no_infinite_psnr():
    case = Case("csa", "fused", "float32", 8, 8)
    figures = dict.fromkeys(
        (
            "seconds",
            "fastest",
            "first",
            "microseconds_per_pixel",
            "ratio",
            "gmacs",
            "share_of_peak",
        ),
        1.0,
    )
    [row] = as_rows([Measurement(case=case, **figures, psnr=math.inf)])
    assert row["psnr"] == "inf"
