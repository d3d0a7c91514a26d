import numpy as np
import pytest
from PIL import Image

from glmha_hf.demo.pictures import for_screen, open_upload, save_like, shown

from .conftest import save_picture


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "the picture is not a picture that can be read"),
        (b"<html>not a picture</html>", "the picture is not a picture that can be read"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "the picture"),
    ],
)
def test_what_is_no_picture_is_told_without_the_servers_paths(contents, message, tmp_path):
    path = tmp_path / "upload.png"
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=message) as told:
        open_upload(path)
    assert str(tmp_path) not in str(told.value)


def test_a_truncated_picture_is_told(picture):
    picture.write_bytes(picture.read_bytes()[:600])
    with pytest.raises(ValueError, match="the picture cannot be read: image file is truncated"):
        open_upload(picture)


def test_no_picture_is_told():
    with pytest.raises(ValueError, match="there is no picture yet"):
        open_upload(None)


def test_a_large_picture_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "large.png"
    Image.new("1", (5_000, 5_000)).save(path)
    with pytest.raises(ValueError, match="has 25 megapixels; up to 12 are taken"):
        open_upload(path)


def test_an_animation_is_refused(tmp_path):
    path = tmp_path / "moving.gif"
    frames = [Image.new("L", (8, 8), level) for level in (0, 255)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="has 2 frames"):
        open_upload(path)


@pytest.mark.parametrize(
    ("dtype", "channels", "expected"),
    [(np.uint8, 1, 200), (np.uint8, 4, 200), (np.uint16, 3, 200), (np.uint16, 2, 200)],
)
def test_every_picture_can_be_shown_in_8_bits(dtype, channels, expected):
    level = 200 * 257 if dtype == np.uint16 else 200
    seen = for_screen(np.full((4, 5, channels), level, dtype))
    assert seen.shape == (4, 5, 3)
    assert seen.dtype == np.uint8
    assert (seen == expected).all()


@pytest.mark.parametrize(
    ("suffix", "own"), [(".png", None), (".jpg", ".jpg"), (".webp", ".webp"), (".bmp", None)]
)
def test_results_come_as_png_and_in_the_uploads_format(suffix, own, tmp_path, results):
    upload = open_upload(save_picture(tmp_path / f"name{suffix}"))
    lossless, own_format = save_like(upload, upload.pixels, results)
    assert lossless.name == "name-restored.png"
    assert np.array_equal(np.asarray(Image.open(lossless)), upload.pixels)
    assert (own_format.suffix if own_format else None) == own
    if own_format:
        assert Image.open(own_format).format == upload.facts.format


def test_what_browsers_cannot_show_becomes_png(tmp_path, results):
    tiff = open_upload(save_picture(tmp_path / "scan.tif"))
    seen = shown(tiff, results)
    assert seen.suffix == ".png"
    assert np.array_equal(np.asarray(Image.open(seen)), tiff.pixels)
    jpeg = open_upload(save_picture(tmp_path / "photo.jpg"))
    assert shown(jpeg, results) == jpeg.path


def test_floats_come_as_16_bit_png_and_as_floats(tmp_path, results):
    values = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)
    Image.fromarray(values).save(tmp_path / "float.tif")
    upload = open_upload(tmp_path / "float.tif")
    png, own = save_like(upload, upload.pixels, results)
    np.testing.assert_array_equal(np.asarray(Image.open(own)), values)
    np.testing.assert_array_equal(np.asarray(Image.open(png)), np.rint(values * 65535))
