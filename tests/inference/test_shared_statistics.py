import numpy as np
import pytest
import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from glmha_hf import RestormerConfig
from glmha_hf.analysis.benchmark import tile_macs
from glmha_hf.analysis.complexity import profile
from glmha_hf.inference.restoration import Restorer, restore
from glmha_hf.inference.shared_statistics import can_share, mosaic, sharing_statistics
from glmha_hf.inference.tiling import plan_tiles, reader, run_tiled
from glmha_hf.models.attention import MIXERS
from tests.models.small import random_inputs, small_model


def attentive(form, **fields):
    """A model whose output hangs on its attention maps, as a trained one's does."""
    model = small_model(form, **fields)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("temperature"):
                parameter.fill_(20)
            elif form.startswith("mst") and parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.15)
    return model


def two_lights(height=192, width=256):
    """A picture whose left half is red and smooth, and whose right half is blue and rough."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, height, width, generator=generator)
    picture[..., : width // 2] *= torch.tensor([0.1, 0.02, 0.01])[:, None, None]
    picture[..., : width // 2] += torch.tensor([0.8, 0.2, 0.1])[:, None, None]
    picture[..., width // 2 :] *= torch.tensor([0.1, 0.3, 1.0])[:, None, None]
    return {"pixel_values": picture}


@pytest.mark.parametrize(
    ("attention", "fused"), [*((name, True) for name in MIXERS), ("csa", False), ("glmha", False)]
)
@pytest.mark.parametrize("form", ["restormer_features", "mst_rgb"])  # the two families
def test_tiles_with_the_statistics_of_the_whole_are_the_whole(form, attention, fused):
    model = attentive(form, attention=attention, fused=fused)
    inputs = random_inputs(model, 122, 187, batch=2)
    inputs["pixel_values"][1] **= 3
    twin = sharing_statistics(model)
    plan = plan_tiles(122, 187, tile=96, overlap=48, multiple=model.config.size_multiple)

    def in_tiles(network):
        def run(tiles):
            return network(**tiles).reconstruction

        return run_tiled(run, reader(inputs), plan, batch_size=4)

    with torch.inference_mode():
        whole = twin(**inputs).reconstruction
        torch.testing.assert_close(whole, model(**inputs).reconstruction, atol=1e-6, rtol=0)
        assert (in_tiles(model) - whole).abs().max() > 1e-3
        torch.testing.assert_close(in_tiles(twin), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", ["csa", "glmha"])
@pytest.mark.parametrize("form", ["restormer_features", "mst_plus_plus"])
def test_tiles_come_closer_to_the_whole(form, attention):
    model = attentive(form, attention=attention)
    inputs = {"pixel_values": two_lights()["pixel_values"].repeat(1, 2, 1, 1)}
    inputs["pixel_values"] = inputs["pixel_values"][:, : model.config.in_channels]
    whole = Restorer(network=model, processor=None, tile=None).reconstruct(inputs)
    own, shared = (
        Restorer(network=model, processor=None, tile=96, shared_statistics=share)
        .reconstruct(inputs)
        .sub(whole)
        .square()
        .mean()
        for share in (False, True)
    )
    assert 0 < shared < own / 4


def test_the_model_itself_is_left_alone():
    model = small_model("restormer")
    picture = (two_lights()["pixel_values"][0] * 255).byte().movedim(0, -1).numpy()
    before = restore(picture, model=model, tile=None)
    restore(picture, model=model, tile=96)
    assert all(getattr(module, "statistics", None) is None for module in model.modules())
    np.testing.assert_array_equal(restore(picture, model=model, tile=None), before)


def test_a_copy_shares_its_weights():
    model = small_model("mst_plus_plus")
    twin = sharing_statistics(model)
    pairs = zip(model.parameters(), twin.parameters(), strict=True)
    assert all(one is other for one, other in pairs)
    assert twin is not model


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_copy_of_a_compiled_model_is_compiled(monkeypatch, dynamic):
    compiled = []
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda block, dynamic, **_: compiled.append((block, dynamic))
    )
    model = small_model("restormer")
    sharing_statistics(model)
    assert compiled == []
    model.compile_blocks(dynamic=dynamic)
    twin = sharing_statistics(model)
    blocks = [block for one in (model, twin) for block in one.modules() if is_block(block)]
    assert compiled == [(block, dynamic) for block in blocks]


def is_block(module):
    return isinstance(module, GradientCheckpointingLayer)


def test_a_mosaic_is_of_a_tiles_size_and_from_corner_to_corner():
    rows, columns = torch.meshgrid(torch.arange(500.0), torch.arange(300.0), indexing="ij")
    picture = torch.stack([rows, columns])[None]
    found = mosaic(reader({"pixel_values": picture}), plan_tiles(500, 300, tile=128))
    rows, columns = found["pixel_values"][0]
    # Tiles of 113×111, and so 4×4 patches of 30×30 pixels, 3 of which are blended with the next.
    assert rows.shape == (111, 111)
    assert rows[3::27, 0].tolist() == [3, 159, 316, 473]
    assert columns[0, 3::27].tolist() == [3, 93, 183, 273]
    assert (rows[-1, 0], columns[0, -1]) == (499, 299)
    shares = torch.tensor([1, 3, 5]) / 6
    expected = (1 - shares) * torch.arange(27, 30) + shares * torch.arange(156, 159)
    torch.testing.assert_close(rows[27:30, 0], expected)


@pytest.mark.parametrize("size", [*range(9, 40), 63, 64, 65, 129, 500])
def test_a_mosaic_is_never_larger_than_a_tile(size):
    plan = plan_tiles(size, 8, tile=8)
    picture = {"pixel_values": torch.ones(1, 1, size, 8)}
    found = mosaic(reader(picture), plan)["pixel_values"]
    assert torch.equal(found, torch.ones_like(found))
    assert plan.rows.tile // 2 < found.shape[-2] <= plan.rows.tile


def test_a_side_that_is_not_cut_stays_in_one_piece():
    picture = torch.arange(60).expand(1, 1, 500, 60)
    found = mosaic(reader({"pixel_values": picture.float()}), plan_tiles(500, 60, tile=128))
    assert found["pixel_values"][0, 0, 0].tolist() == list(range(60))


def test_masks_and_graphs_keep_to_themselves():
    assert can_share(small_model("mst_plus_plus"))
    assert can_share(small_model("mst_rgb"))
    assert not can_share(small_model("mst"))
    assert not can_share(small_model("mst_plus_plus_cassi"))
    assert not can_share(object())


def test_a_tile_is_spared_queries_and_keys():
    sizes = {"num_blocks": (1, 1), "num_refinement_blocks": 1, "num_heads": (1, 2)}
    config = RestormerConfig(dim=16, ffn_expansion=2, **sizes)
    saved = 0
    for channels, heads, pixels in ((16, 1, 64**2), (32, 2, 32**2), (32, 1, 64**2), (32, 1, 64**2)):
        queries_and_keys = 2 * (channels**2 + 9 * channels)
        products = 2 * channels**2 // heads
        merged_with_the_output = channels**3 // heads
        saved += pixels * (queries_and_keys + products) - merged_with_the_output
    total = profile(config, height=64, width=64).total.macs
    assert tile_macs(config, height=64, width=64) == total - saved
