import numpy as np
import pytest
import torch

from glmha_hf import MstConfig, MstForSpectralReconstruction
from glmha_hf.inference.restoration import Restorer
from glmha_hf.inference.streaming import Raster, restore_bands
from glmha_hf.inference.tiling import cut, plan_tiles, reader, run_tiled, tiled_bands
from glmha_hf.models.image_processing_picture import PictureProcessor
from tests.models.small import random_inputs, small_model


def local(model):
    """Without attention, which alone looks at the whole picture."""
    for name, parameter in model.named_parameters():
        if "attention.project_out" in name:
            torch.nn.init.zeros_(parameter)
    return model


def restorer(model, **settings):
    return Restorer(network=model, processor=PictureProcessor(), **settings)


SIZES = [(97, 64, 8, 8), (1000, 128, 16, 8), (1001, 128, 64, 4), (129, 128, 64, 8), (257, 64, 0, 8)]


@pytest.mark.parametrize(("size", "tile", "overlap", "multiple"), SIZES)
def test_weights_add_up_to_exactly_one(size, tile, overlap, multiple):
    axis = cut(size, tile=tile, overlap=overlap, multiple=multiple)
    total = torch.zeros(size)
    for index in range(len(axis)):
        total[axis.kept(index)] += axis.weights(index)
    assert torch.equal(total, torch.ones(size))
    assert sum(axis.own(index) for index in range(len(axis))) == size


@pytest.mark.parametrize("overlap", [0, 8, 32, 64])
def test_tiles_lie_on_the_multiple_and_blend_well_inside(overlap):
    for size in range(120, 900, 7):
        axis = cut(size, tile=128, overlap=overlap, multiple=8)
        assert all(origin % 8 == 0 for origin in axis.origins)
        assert axis.extent(len(axis) - 1).stop == size
        for index, blend in enumerate(axis.blends):
            shared = slice(axis.origins[index + 1], axis.extent(index).stop)
            assert blend.start - shared.start >= overlap // 4
            assert axis.origins[index] + axis.tile - blend.stop >= overlap // 4
            assert index == 0 or blend.start >= axis.blends[index - 1].stop


@pytest.mark.parametrize(
    ("size", "tiles", "tile"), [(128, 1, 128), (136, 2, 80), (232, 2, 128), (488, 5, 112)]
)
def test_tiles_are_no_larger_than_their_number_asks_for(size, tiles, tile):
    axis = cut(size, tile=128, overlap=16, multiple=8)
    assert (len(axis), axis.tile) == (tiles, tile)


def test_corners_add_up_to_exactly_one_too():
    plan = plan_tiles(300, 210, tile=96, overlap=48, multiple=8)
    inputs = {"pixel_values": torch.ones(2, 1, 300, 210)}
    whole = run_tiled(lambda inputs: inputs["pixel_values"], reader(inputs), plan, batch_size=8)
    assert torch.equal(whole, torch.ones(2, 1, 300, 210))


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("form", ["restormer_features", "mst_plus_plus"])
def test_tiled_equals_whole_where_the_model_is_local(form, batch_size):
    model = local(small_model(form))
    inputs = random_inputs(model, 219, 331)
    whole = restorer(model, tile=None).reconstruct(inputs)
    tiled = restorer(model, tile=192, overlap=96, batch_size=batch_size).reconstruct(inputs)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def mask_guided():
    torch.manual_seed(0)
    config = MstConfig(in_channels=4, out_channels=4, dim=4, num_blocks=(1, 1))
    model = MstForSpectralReconstruction(config).eval()
    for name, parameter in model.named_parameters():
        if "calibration" not in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def test_the_mask_goes_along_with_its_tile():
    """Attention kept but made constant, so that values, and through them the mask, do matter."""
    model = mask_guided()
    for module in model.modules():
        if hasattr(module, "temperature"):
            torch.nn.init.zeros_(module.temperature)
    inputs = random_inputs(model, 150, 262, batch=2)
    inputs["mask"] = random_inputs(model, 150, 262)["mask"]
    whole = restorer(model, tile=None).reconstruct(inputs)
    tiled = restorer(model, tile=128, overlap=64, batch_size=4).reconstruct(inputs)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=1e-5)
    inputs["mask"] = inputs["mask"].flip(-1)
    assert (restorer(model, tile=None).reconstruct(inputs) - whole).abs().max() > 1e-2


def test_a_picture_smaller_than_a_tile_runs_whole():
    model = small_model("restormer")
    inputs = random_inputs(model, 37, 61)
    with torch.no_grad():
        expected = model(**inputs).reconstruction
    found = restorer(model, tile=128).reconstruct(inputs)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_progress_counts_every_pixel_once():
    done = []
    model = local(small_model("restormer_features"))
    inputs = random_inputs(model, 150, 170, batch=2)
    restorer(model, tile=64).reconstruct(inputs, progress=done.append)
    assert len(done) > 4
    assert sum(done) == 2 * 150 * 170


def test_bands_are_finished_in_order_and_hold_no_more_than_a_tile_needs():
    read = []
    picture = torch.rand(1, 3, 400, 150)

    def read_tile(rows, columns):
        read.append(rows.stop)
        return {"pixel_values": picture[..., rows, columns]}

    plan = plan_tiles(400, 150, tile=64, overlap=16, multiple=8)
    next_row = 0
    for top, band in tiled_bands(lambda inputs: inputs["pixel_values"], read_tile, plan):
        assert top == next_row
        assert band.shape[-2] <= 64
        assert max(read) <= top + 2 * 64
        torch.testing.assert_close(band, picture[..., top : top + band.shape[-2], :])
        next_row = top + band.shape[-2]
    assert next_row == 400


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_raster_streams_from_a_memory_map(tmp_path, dtype):
    raster = np.memmap(tmp_path / "raster", dtype=dtype, mode="w+", shape=(210, 130, 4))
    raster[:] = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, raster.shape)
    model = local(small_model("restormer"))
    engine = restorer(model, tile=128)
    bands = list(restore_bands(raster, restorer=engine, tile=128))
    assert len(bands) > 1
    restored = np.concatenate([band for _, band in bands])
    assert restored.dtype == dtype
    np.testing.assert_array_equal(restored[..., 3], raster[..., 3])
    expected = engine.restore_batch([np.asarray(raster)])[0]
    step = np.abs(restored.astype(int) - expected.astype(int)).max()
    assert step <= np.iinfo(dtype).max // 255


def test_a_raster_may_be_a_function():
    def read(rows, columns):
        return np.full((rows.stop - rows.start, columns.stop - columns.start, 3), 128, np.uint8)

    bands = restore_bands(
        Raster(200, 100, read), restorer=restorer(small_model("restormer")), tile=128
    )
    assert sum(len(band) for _, band in bands) == 200


def test_a_stretched_picture_cannot_be_streamed():
    engine = Restorer(
        network=small_model("restormer"), processor=PictureProcessor(value_range="min_max")
    )
    with pytest.raises(ValueError, match="needs the whole picture"):
        next(restore_bands(np.zeros((300, 300, 3), np.uint8), restorer=engine))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tile": 32}, "tile must be at least 64"),
        ({"tile": 128, "overlap": 65}, "overlap must be from 0 to 64"),
        ({"tile": 128, "overlap": -8}, "overlap must be from 0 to 64"),
    ],
)
def test_impossible_tiles_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        plan_tiles(300, 300, multiple=8, **settings)
