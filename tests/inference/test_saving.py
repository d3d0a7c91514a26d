import io
import zlib
from contextlib import nullcontext

import numpy as np
import pytest
import tifffile
from PIL import Image

from glmha_hf.inference.png import write_png16
from glmha_hf.inference.saving import (
    check_writable,
    format_of,
    read_facts,
    save_picture,
    without_pillow_limit,
)
from glmha_hf.models.image_processing_picture import as_array

COLOURS = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_png_is_read_back_to_the_bit(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 65536, (300, 31, channels)).astype(np.uint16)
    with (tmp_path / "deep.png").open("wb") as file:
        write_png16(pixels, file)
    np.testing.assert_array_equal(as_array(tmp_path / "deep.png"), pixels)


def test_16_bit_png_carries_its_metadata():
    exif = Image.Exif()
    exif[271] = "camera"
    file = io.BytesIO()
    metadata = {"exif": exif.tobytes(), "icc_profile": b"profile" * 9, "dpi": (300, 300)}
    write_png16(np.zeros((2, 3, 3), np.uint16), file, metadata=metadata)
    with Image.open(file) as image:
        assert image.info["icc_profile"] == b"profile" * 9
        assert image.getexif()[271] == "camera"
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_16_bit_png_takes_16_bits_only():
    with pytest.raises(ValueError, match="takes H×W×C uint16"):
        write_png16(np.zeros((2, 3, 3), np.uint8), io.BytesIO())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_and_icc_are_kept_and_the_orientation_reset(tmp_path, format):
    exif = Image.Exif()
    exif[0x0112], exif[271], exif[272] = 6, "camera", "model"
    source, target = tmp_path / f"source.{format.lower()}", tmp_path / f"target.{format.lower()}"
    Image.fromarray(COLOURS).save(source, format, exif=exif.tobytes(), icc_profile=b"profile" * 9)
    facts = read_facts(source)
    save_picture(Image.fromarray(COLOURS), target, format=format, metadata=facts.metadata)
    with Image.open(target) as image:
        assert image.format == format
        assert image.size == (30, 20)
        kept = image.getexif()
        assert (kept[271], kept[272]) == ("camera", "model")
        assert kept.get(0x0112, 1) == 1
        assert image.info["icc_profile"] == b"profile" * 9


def test_a_profile_of_other_colours_is_dropped(tmp_path):
    Image.new("CMYK", (4, 4)).save(tmp_path / "ink.jpg", icc_profile=b"profile")
    assert "icc_profile" not in read_facts(tmp_path / "ink.jpg").metadata


def test_a_failure_while_writing_leaves_nothing(tmp_path, monkeypatch):
    target = tmp_path / "picture.png"
    target.write_bytes(b"before")

    def run_out_of_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zlib, "crc32", run_out_of_space)
    with pytest.raises(OSError, match="No space left"):
        save_picture(np.zeros((9, 9, 3), np.uint16), target, format="PNG", metadata={})
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
    assert target.read_bytes() == b"before"


def test_too_many_pixels_are_refused_unread(tmp_path):
    Image.new("1", (400, 300)).save(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match=r"120,000 pixels, over the limit of 100,000"):
        read_facts(tmp_path / "bomb.png", max_pixels=100_000)
    frames = [Image.new("L", (20, 20), index) for index in range(5)]
    frames[0].save(tmp_path / "bomb.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="2,000 pixels, over the limit of 1,000"):
        read_facts(tmp_path / "bomb.gif", max_pixels=1000)


def test_the_format_follows_the_content_unless_the_name_says_another(tmp_path):
    source = tmp_path / "misnamed.jpg"
    Image.fromarray(COLOURS).save(source, "PNG")
    facts = read_facts(source)
    assert format_of(tmp_path / "out.jpg", source, facts) == "PNG"
    assert format_of(tmp_path / "out.tif", source, facts) == "TIFF"
    with pytest.raises(ValueError, match="cannot be written"):
        format_of(tmp_path / "out.xyz", source, facts)


def test_16_bit_colour_goes_into_png_and_tiff_only(tmp_path):
    with pytest.raises(ValueError, match="uint16 colour can be written as PNG or TIFF only"):
        save_picture(np.zeros((9, 9, 3), np.uint16), tmp_path / "a.bmp", format="BMP", metadata={})


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_tiff_is_read_back_to_the_bit(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 65536, (300, 31, channels)).astype(np.uint16)
    exif = Image.Exif()
    exif[271] = "camera"
    metadata = {"exif": exif.tobytes(), "icc_profile": b"profile" * 9, "dpi": (300.0, 72.0)}
    save_picture(pixels, tmp_path / "deep.tif", format="TIFF", metadata=metadata)
    np.testing.assert_array_equal(as_array(tmp_path / "deep.tif"), pixels)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "deep.tif"), pixels)
    with Image.open(tmp_path / "deep.tif") as image:
        assert image.info["icc_profile"] == b"profile" * 9
        assert image.info["dpi"] == (300, 72)
        assert image.getexif()[271] == "camera"


@pytest.mark.parametrize("settings", [{}, {"compression": "zlib"}, {"byteorder": ">"}])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_tiff_of_others_is_read_to_the_bit(tmp_path, settings, channels):
    pixels = np.random.default_rng(0).integers(0, 65536, (40, 31, channels)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", **settings)
    np.testing.assert_array_equal(as_array(tmp_path / "a.tif"), pixels)


def test_depth_is_never_lost_in_silence(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    (tmp_path / "a.ppm").write_bytes(b"P6 30 20 65535\n" + pixels.astype(">u2").tobytes())
    with (tmp_path / "a.png").open("wb") as file:
        write_png16(pixels[..., :2], file)
    for name in ("a.ppm", "a.png"):
        with pytest.raises(ValueError, match="its 16 bits as 8"):
            as_array(tmp_path / name)
    (tmp_path / "b.ppm").write_bytes(b"P6 30 20 255\n" + pixels.astype(np.uint8).tobytes())
    np.testing.assert_array_equal(as_array(tmp_path / "b.ppm"), pixels.astype(np.uint8))


def test_pillows_limit_comes_back_when_the_last_reader_is_done(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 123)
    first, second = without_pillow_limit(), without_pillow_limit()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert Image.MAX_IMAGE_PIXELS is None
    second.__exit__(None, None, None)
    assert Image.MAX_IMAGE_PIXELS == 123


@pytest.mark.parametrize(
    ("pixels", "fits"),
    [
        (np.zeros((2, 2, 3), np.uint8), True),
        (np.zeros((2, 2, 4), np.uint8), False),
        (np.zeros((2, 2, 1), np.uint16), False),
    ],
)
def test_what_a_jpeg_cannot_hold_is_told_before_the_work(tmp_path, pixels, fits):
    with nullcontext() if fits else pytest.raises(ValueError, match="no alpha and 8 bits"):
        check_writable(pixels, tmp_path / "a.jpg", format="JPEG")
    check_writable(pixels, tmp_path / "a.png", format="PNG")
