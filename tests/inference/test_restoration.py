import io
import types

import numpy as np
import pytest
import torch
from PIL import Image

from glmha_hf.analysis.seams import seam
from glmha_hf.inference.network import load_network
from glmha_hf.inference.restoration import Restorer, batches, reconstruct, restore
from glmha_hf.inference.tiling import plan_tiles
from glmha_hf.models.image_processing_picture import PictureProcessor
from tests.models.small import small_model


@pytest.fixture(scope="module")
def model():
    return small_model("restormer")


def pixels(height=40, width=48, channels=3, dtype=np.uint8):
    rng = np.random.default_rng(0)
    shape = (height, width, channels) if channels else (height, width)
    return rng.integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def test_the_pixels_are_the_models(model):
    picture = pixels(37, 41)
    processor = PictureProcessor()
    with torch.no_grad():
        expected = processor.post_process(model(**processor(picture)), picture)[0]
    np.testing.assert_allclose(restore(picture, model=model).astype(int), expected, atol=1)


@pytest.mark.parametrize(
    ("picture", "mode"),
    [
        (pixels(), None),
        (pixels(dtype=np.uint16), None),
        (pixels(channels=4), None),
        (pixels(channels=None), None),
        (torch.rand(3, 40, 48), None),
        (torch.rand(40, 48).bfloat16(), None),
        (torch.randint(0, 256, (1, 40, 48), dtype=torch.uint8), None),
        (torch.randint(0, 256, (4, 40, 48), dtype=torch.uint8), None),
        (pixels()[::-1, :, ::-1], None),
        (Image.fromarray(pixels()), "RGB"),
        (Image.fromarray(pixels(channels=4)), "RGBA"),
        (Image.fromarray(pixels(channels=None)), "L"),
        (Image.fromarray(pixels(channels=None, dtype=np.uint16)), "I;16"),
    ],
)
def test_one_picture_comes_back_in_its_kind(model, picture, mode):
    restored = restore(picture, model=model)
    assert type(restored) is type(picture) or mode
    if mode:
        assert (restored.mode, restored.size) == (mode, picture.size)
    else:
        assert (restored.shape, restored.dtype) == (picture.shape, picture.dtype)


def test_a_path_comes_back_as_a_picture(model, tmp_path):
    Image.fromarray(pixels()).save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        restored = restore(path, model=model)
        assert isinstance(restored, Image.Image)
        np.testing.assert_array_equal(np.asarray(restored), restore(pixels(), model=model))


def test_a_list_of_mixed_kinds_and_sizes_keeps_its_order(model):
    pictures = [
        pixels(40, 48),
        pixels(32, 24),
        Image.fromarray(pixels(40, 48)),
        torch.rand(3, 24, 32),
        pixels(32, 24, channels=4),
    ]
    together = restore(pictures, model=model, batch_size=3)
    assert [type(picture) for picture in together] == [type(picture) for picture in pictures]
    for picture, found in zip(pictures, together, strict=True):
        alone = restore(picture, model=model)
        difference = np.abs(np.asarray(found, dtype=float) - np.asarray(alone, dtype=float))
        assert difference.max() <= (1e-5 if isinstance(picture, torch.Tensor) else 1)


def test_a_batch_counts_as_many(model):
    assert len(restore(np.stack([pixels()] * 2), model=model)) == 2


def test_a_generator_is_answered_by_one_that_reads_no_further_than_a_batch(model):
    read = []

    def frames():
        for index in range(6):
            read.append(index)
            yield pixels(24, 32)

    restored = restore(frames(), model=model, batch_size=2)
    assert isinstance(restored, types.GeneratorType)
    assert read == []
    next(restored)
    assert read == [0, 1]
    assert len(list(restored)) == 5


def test_pictures_of_one_size_run_together():
    sizes = [1, 2, 1, 1, 2]
    assert list(batches(sizes, size=lambda one: (one, one), batch_size=2)) == [[1, 1], [2, 2], [1]]
    in_order = batches(sizes, size=lambda one: (one, one), batch_size=2, in_order=True)
    assert list(in_order) == [[1], [2], [1, 1], [2]]


def test_progress_speaks_in_pixels(model):
    done = []
    restore([pixels(24, 32), pixels(32, 24)], model=model, progress=done.append)
    assert sum(done) == 2 * 24 * 32


def test_a_folder_is_a_model(model, tmp_path):
    model.save_pretrained(tmp_path)
    PictureProcessor().save_pretrained(tmp_path)
    expected = restore(pixels(), model=model)
    np.testing.assert_array_equal(restore(pixels(), model=tmp_path), expected)


def test_another_precision_leaves_the_given_model_alone(model):
    restored = restore(pixels(), model=model, dtype="bfloat16")
    assert model.dtype == torch.float32
    difference = np.abs(restored.astype(int) - restore(pixels(), model=model).astype(int))
    assert 0 < difference.mean() < 3
    assert load_network(model) is model


def test_local_statistics_are_an_option(model):
    large = pixels(160, 160)
    local = restore(large, model=model, local_window=64)
    assert (local != restore(large, model=model)).any()


def test_a_model_of_cubes_is_refused():
    with pytest.raises(ValueError, match="cubes of 7 bands, not pictures"):
        restore(pixels(), model=small_model("mst_plus_plus"))


def test_batches_of_nothing_are_refused(model):
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        restore(pixels(), model=model, batch_size=0)


def test_seams_do_not_show():
    """Between neighbouring pixels nothing changes faster across tile borders than elsewhere.

    Tiles by themselves change as fast as the whole picture does; those that share the statistics of
    a mosaic may do so faster or slower, but everywhere alike.
    """
    model = small_model("restormer")
    rows, columns = np.mgrid[0:320, 0:480] / 37
    scene = np.stack([np.sin(rows + k) * np.cos(columns - k) for k in range(3)], -1) / 2 + 0.5
    picture = torch.from_numpy(scene).float().movedim(-1, 0)
    whole = restore(picture, model=model, tile=None)
    shared = restore(picture, model=model, tile=128, overlap=32)
    assert abs(seam(shared, whole, plan_tiles(320, 480, tile=128, overlap=32, multiple=8))) < 0.02
    alone = Restorer.load(model, tile=128, overlap=32, shared_statistics=False)
    tiled = alone.restore_batch([picture])[0]
    for axis, length in ((1, 320), (2, 480)):
        change = torch.diff(tiled, dim=axis).abs().mean((0, 3 - axis))
        expected = torch.diff(whole, dim=axis).abs().mean((0, 3 - axis))
        borders = torch.arange(96, length - 1, 8)
        assert (change[borders].sum() / expected[borders].sum() - 1).abs() < 0.02


def test_pictures_become_cubes():
    model = small_model("mst_plus_plus")
    cubes = reconstruct([pixels(), pixels(32, 24)], model=model)
    assert [cube.shape for cube in cubes] == [(7, 40, 48), (7, 32, 24)]
    assert cubes[0].dtype == np.float32
    assert reconstruct(pixels(100, 90), model=model, tile=64).shape == (7, 100, 90)
    batch = torch.rand(2, 3, 16, 24)
    for many in (batch, iter(batch)):
        assert [cube.shape for cube in reconstruct(many, model=model)] == [(7, 16, 24)] * 2
    with pytest.raises(ValueError, match="takes no mask"):
        reconstruct(batch, model=model, mask=np.ones((16, 24)))


def test_a_snapshot_and_its_mask_become_a_cube():
    model = small_model("mst")
    rng = np.random.default_rng(0)
    mask = rng.random((72, 90)).astype(np.float32)
    snapshot = rng.random((72, 100)).astype(np.float32)
    cubes = [reconstruct(snapshot, mask=mask, model=model, tile=tile) for tile in (None, 32, 64)]
    assert all(cube.shape == (6, 72, 90) for cube in cubes)
    with pytest.raises(ValueError, match="needs the mask"):
        reconstruct(snapshot, model=model)


def test_models_of_pictures_make_no_cubes(model):
    with pytest.raises(ValueError, match="makes pictures, not cubes"):
        reconstruct(pixels(), model=model)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"tile": "big"}, "'auto' or None, not 'big'"), ({"dtype": "foo"}, "a torch type")],
)
def test_settings_that_mean_nothing_are_refused(model, settings, message):
    with pytest.raises(ValueError, match=message):
        restore(pixels(), model=model, **settings)


@pytest.mark.parametrize("images", [None, 5, io.BytesIO()])
def test_what_is_no_picture_is_refused(model, images):
    with pytest.raises(TypeError, match="a picture is a path"):
        restore(images, model=model)


def test_damaged_weights_are_named(model, tmp_path):
    model.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(ValueError, match=f"the weights in {tmp_path} are damaged"):
        restore(pixels(), model=tmp_path)
