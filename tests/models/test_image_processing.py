import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor

from glmha_hf import PictureProcessor, SnapshotProcessor, SpectralCubeProcessor
from glmha_hf.models.image_processing_picture import as_array
from tests.models.small import small_model

rng = np.random.default_rng(0)
RGB = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GRAY = RGB[..., 0]
ALPHA = rng.integers(0, 256, (5, 7, 1), dtype=np.uint8)


def pixels_of(image, **settings):
    return PictureProcessor(**settings)(image)["pixel_values"]


def unit(array):
    return torch.from_numpy(array.copy()).movedim(-1, 0).float()[None] / 255


@pytest.mark.parametrize(
    "image",
    [
        RGB,
        Image.fromarray(RGB),
        torch.from_numpy(RGB).movedim(-1, 0),
        torch.from_numpy(RGB).movedim(-1, 0).float() / 255,
        (RGB / 255).astype(np.float32),
        RGB.astype(np.uint16) * 257,
        Image.fromarray(np.concatenate([RGB, ALPHA], -1)),
        np.concatenate([RGB, ALPHA], -1),
    ],
    ids=["uint8", "pil", "tensor", "float tensor", "float", "uint16", "rgba", "rgba array"],
)
def test_every_kind_of_colour_picture_gives_the_same_values(image):
    torch.testing.assert_close(pixels_of(image), unit(RGB))


@pytest.mark.parametrize(
    "image",
    [
        GRAY,
        GRAY[..., None],
        Image.fromarray(GRAY),
        Image.fromarray(np.stack([GRAY, GRAY], -1), "LA"),
        GRAY.astype(np.uint16) * 257,
        Image.fromarray(GRAY.astype(np.uint16) * 257),
        torch.from_numpy(GRAY),
    ],
    ids=["2-D", "3-D", "L", "LA", "uint16", "I;16", "tensor"],
)
def test_gray_becomes_three_equal_channels_or_stays_one(image):
    gray = unit(GRAY[..., None])
    torch.testing.assert_close(pixels_of(image), gray.expand(-1, 3, -1, -1))
    torch.testing.assert_close(pixels_of(image, channels=1), gray)


def test_colour_becomes_luminance_for_a_gray_model():
    luminance = pixels_of(RGB, channels=1)
    expected = np.asarray(Image.fromarray(RGB).convert("L")) / 255
    assert float((luminance[0, 0] - torch.from_numpy(expected)).abs().max()) < 1 / 255


def test_palettes_become_colours():
    palette = Image.fromarray(RGB).quantize(16)
    torch.testing.assert_close(pixels_of(palette), unit(np.asarray(palette.convert("RGB"))))


def test_exif_orientation_is_applied(tmp_path):
    picture = Image.fromarray(RGB)
    exif = picture.getexif()
    exif[0x0112] = 6  # to be shown turned clockwise by 90°
    picture.save(tmp_path / "turned.png", exif=exif)
    expected = unit(np.rot90(RGB, -1).copy())
    torch.testing.assert_close(pixels_of(tmp_path / "turned.png"), expected)


def test_floats_are_within_0_and_1_but_for_noise():
    noisy = RGB / np.float32(255) * 1.5 - 0.2
    torch.testing.assert_close(pixels_of(noisy)[0], torch.from_numpy(noisy).movedim(-1, 0))
    with pytest.raises(ValueError, match=r"floats lie in \[0, 1\], and these reach 2\d\d"):
        pixels_of(RGB.astype(np.float32))
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        pixels_of(torch.from_numpy(RGB).movedim(-1, 0).double())


def test_lab_has_no_alpha(tmp_path):
    Image.fromarray(RGB).convert("LAB").save(tmp_path / "lab.tiff")
    assert as_array(tmp_path / "lab.tiff").shape[-1] == 3


def test_unknown_forms_are_refused():
    with pytest.raises(ValueError, match="value_range is full or min_max, not 'minmax'"):
        PictureProcessor(value_range="minmax")
    with pytest.raises(ValueError, match="mask_form is shifted or plain, not 'round'"):
        SnapshotProcessor(mask_form="round")


def test_min_max_stretches_each_picture():
    stretched = pixels_of([RGB // 4 + 30, RGB // 2], value_range="min_max")
    assert stretched.amin((1, 2, 3)).tolist() == [0, 0]
    assert stretched.amax((1, 2, 3)).tolist() == [1, 1]
    assert torch.isfinite(pixels_of(RGB * 0 + 9, value_range="min_max")).all()


def write_16_bit_png(path, pixels):
    """A PNG of 16-bit colour, which Pillow cannot write."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_files_keep_their_depth(channels, tmp_path):
    deep = rng.integers(0, 65536, (4, 6, channels), dtype=np.uint16)
    path = tmp_path / "deep.png"
    write_16_bit_png(path, deep)
    for source in (path, Image.open(path)):
        values = pixels_of(source)
        expected = torch.from_numpy(deep[..., :3].astype(np.float32) / 65535).movedim(-1, 0)
        torch.testing.assert_close(values[0], expected)
    (back,) = PictureProcessor().post_process(values, path)
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, deep)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(RGB),
        Image.fromarray(GRAY),
        Image.fromarray(np.concatenate([RGB, ALPHA], -1)),
        Image.fromarray(np.concatenate([GRAY[..., None], ALPHA], -1), "LA"),
        Image.fromarray(GRAY.astype(np.uint16) * 200),
        RGB,
        GRAY,
        RGB.astype(np.uint16) * 200,
        (RGB / 255).astype(np.float32),
        torch.from_numpy(RGB).movedim(-1, 0),
    ],
    ids=["RGB", "L", "RGBA", "LA", "I;16", "uint8", "gray", "uint16", "float", "tensor"],
)
def test_post_process_gives_back_the_kind_depth_and_alpha(image):
    processor = PictureProcessor()
    (back,) = processor.post_process(processor(image)["pixel_values"], image)
    assert type(back) is type(image)
    if isinstance(image, Image.Image):
        assert back.mode == image.mode
    torch.testing.assert_close(
        torch.as_tensor(np.asarray(back)), torch.as_tensor(np.asarray(image))
    )


def test_post_process_without_pictures_gives_8_bit_pictures_and_cubes():
    processor = PictureProcessor()
    (picture,) = processor.post_process(torch.tensor([-1, 0.5, 2]).view(1, 3, 1, 1))
    assert picture.getpixel((0, 0)) == (0, 128, 255)
    (cube,) = processor.post_process(torch.full((1, 31, 2, 2), 0.25))
    assert cube.shape == (31, 2, 2)
    assert cube.dtype == np.float32


def test_a_batch_has_one_size():
    assert pixels_of([RGB, RGB]).shape == (2, 3, 5, 7)
    assert pixels_of(np.stack([RGB, RGB])).shape == (2, 3, 5, 7)
    with pytest.raises(ValueError, match="must have one size; these have 3×4×7, 3×5×7"):
        pixels_of([RGB, RGB[1:]])
    with pytest.raises(ValueError, match="no pictures were given"):
        pixels_of([])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((3, 4, 3), np.nan, np.float32), "36 values that are NaN or infinite"),
        (np.zeros((3, 4, 5), np.uint8), "has 5 channels, the model takes 3"),
        (np.zeros((4,), np.uint8), "must be H×W or H×W×C; it is 4"),
        (np.zeros((0, 4, 3), np.uint8), "it is 0×4×3"),
        (np.zeros((3, 4, 3), np.int64), "must be uint8, uint16 or floating-point, not torch.int64"),
        (Image.fromarray(np.full((2, 2), 70000, np.int32)), "32-bit integer picture"),
    ],
)
def test_what_cannot_be_used_is_told(image, message):
    with pytest.raises(ValueError, match=message):
        pixels_of(image)


def test_corrupt_files_are_told(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    for name in ("cut.png", "text.png"):
        with pytest.raises(ValueError, match=f"{name} is not a picture that can be read"):
            pixels_of(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        pixels_of(tmp_path / "missing.png")


def test_snapshots_become_what_the_model_takes():
    bands, step, H, W = 6, 2, 8, 12
    processor = SnapshotProcessor(bands=bands)
    snapshot = rng.random((H, W + step * (bands - 1)), dtype=np.float32)
    mask = rng.random((H, W), dtype=np.float32)
    inputs = processor(snapshot, mask=mask)
    assert inputs["mask"].shape == (1, bands, H, W + step * (bands - 1))
    for band in range(bands):
        columns = slice(step * band, step * band + W)
        expected = torch.from_numpy(snapshot[:, columns] / bands * 2)
        torch.testing.assert_close(inputs["pixel_values"][0, band], expected)
        assert torch.equal(inputs["mask"][0, band, :, columns], torch.from_numpy(mask))
    with torch.no_grad():
        output = small_model("mst")(**inputs)
    (cube,) = processor.post_process(output)
    assert cube.shape == (bands, H, W)
    assert cube.min() >= 0


def test_plain_masks_and_real_snapshots():
    processor = SnapshotProcessor(bands=4, dispersion_step=1, mask_form="plain", scale_maximum=0.8)
    snapshots = rng.random((2, 5, 9)) * 300
    inputs = processor(snapshots, mask=np.ones((5, 6)))
    assert inputs["mask"].shape == (1, 4, 5, 6)
    assert inputs["pixel_values"].shape == (2, 4, 5, 6)
    assert inputs["pixel_values"].amax((1, 2, 3)).tolist() == pytest.approx([0.8, 0.8])


@pytest.mark.parametrize(
    ("snapshot", "mask", "message"),
    [
        (np.ones((4, 20)), None, "needs the mask it was taken with"),
        (np.ones((4, 20)), np.ones((4, 20)), "a snapshot of 4×20 needs a mask of 4×10; it is 4×20"),
        (np.ones((4, 10)), np.ones((4, 4)), r"must be H×\(W \+ 10\)"),
        (np.full((4, 20), np.inf), np.ones((4, 10)), "80 values that are NaN or infinite"),
        (np.ones((4, 20)), np.ones((6, 4, 10)), "must be the plain H×W one; it is 6×4×10"),
    ],
)
def test_snapshots_and_masks_that_do_not_fit_are_told(snapshot, mask, message):
    with pytest.raises(ValueError, match=message):
        SnapshotProcessor(bands=6)(snapshot, mask=mask)


def test_cubes(tmp_path):
    cube = rng.random((4, 5, 6), dtype=np.float32)
    np.save(tmp_path / "cube.npy", cube)
    processor = SpectralCubeProcessor(bands=4, wavelengths=[400, 500, 600, 700])
    for source in (cube, tmp_path / "cube.npy", torch.from_numpy(cube)):
        torch.testing.assert_close(processor(source)["pixel_values"][0], torch.from_numpy(cube))
    (back,) = processor.post_process(torch.from_numpy(cube)[None])
    np.testing.assert_array_equal(back, cube)
    with pytest.raises(ValueError, match="must be 4×H×W; it is 5×6×4"):
        processor(cube.transpose(1, 2, 0))
    with pytest.raises(ValueError, match="3 wavelengths for 4 bands"):
        SpectralCubeProcessor(bands=4, wavelengths=[1, 2, 3])
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad\.npy is not a \.npy array"):
        processor(tmp_path / "bad.npy")


@pytest.mark.parametrize(
    ("processor", "form"),
    [
        (PictureProcessor(channels=1, value_range="min_max"), "restormer"),
        (PictureProcessor(), "mst_rgb"),
        (SpectralCubeProcessor(bands=7, wavelengths=range(7)), "restormer"),
        (SnapshotProcessor(bands=6, scale_maximum=0.8, wavelengths=range(6)), "mst"),
        (SnapshotProcessor(bands=6, mask_form="plain"), "mst_plus_plus_cassi"),
    ],
)
def test_processors_are_saved_and_loaded(processor, form, tmp_path):
    small_model(form).save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = AutoImageProcessor.from_pretrained(tmp_path)
    assert type(loaded) is type(processor)
    assert loaded.to_dict() == processor.to_dict()
