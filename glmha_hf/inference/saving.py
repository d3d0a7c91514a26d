"""Writing pictures as their source was: format, depth, EXIF and ICC, complete or not at all."""

import contextlib
import math
import struct
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..files import replaced_file
from .png import write_png16
from .tiff import write_tiff16

ORIENTATION = 0x0112
# TIFF keeps the layout of its pixels among the EXIF tags: only what describes the picture is kept.
DESCRIPTIVE_TAGS = frozenset({270, 271, 272, 305, 306, 315, 33432, 34665, 34853})
KEEPS = {
    "JPEG": ("exif", "icc_profile", "dpi"),
    "PNG": ("exif", "icc_profile", "dpi"),
    "TIFF": ("exif", "icc_profile", "dpi", "compression"),
    "WEBP": ("exif", "icc_profile"),
}
DEEP_WRITERS = {"PNG": write_png16, "TIFF": write_tiff16}
# Restored detail is what the reader wants: nothing is subsampled or compressed away.
QUALITY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "method": 4},
}
# What Pillow raises over tags of the wrong type, beside its own errors.
BROKEN = (struct.error, TypeError, AttributeError, KeyError, ArithmeticError)
LOSSLESS_TIFF = frozenset({"raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"})


@dataclass(frozen=True)
class PictureFacts:
    """What a file says about itself before its pixels are read."""

    format: str
    width: int
    height: int
    frames: int = 1
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def pixels(self) -> int:
        return self.width * self.height * self.frames


def read_facts(path: Path, *, max_pixels: int | None = None) -> PictureFacts:
    """Reads a file's header; a picture over the limit is refused before it is decoded."""
    try:
        with without_pillow_limit(), Image.open(path) as image:
            width, height = image.size
            check_size(path, width * height, max_pixels)
            # A camera's second picture in one JPEG is a preview or a gain map, not a frame.
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            check_size(path, width * height * frames, max_pixels)
            known = "JPEG" if image.format == "MPO" else str(image.format)
            return PictureFacts(known, width, height, frames, read_metadata(image))
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not a picture that can be read") from None
    except (SyntaxError, EOFError, *BROKEN) as error:
        raise ValueError(f"{path} is not a picture that can be read: {error}") from None


def check_size(path: Path, pixels: int, max_pixels: int | None) -> None:
    if max_pixels is not None and pixels > max_pixels:
        raise ValueError(
            f"{path} has {pixels:,} pixels, over the limit of {max_pixels:,}; "
            "raise it with --max-pixels if the file can be trusted"
        )


class PillowLimit:
    """Pillow warns and fails at sizes of its own: while threads read, the limit is theirs."""

    def __init__(self) -> None:
        self._lock, self._readers = threading.Lock(), 0
        self._usual = Image.MAX_IMAGE_PIXELS

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        with self._lock:
            if not self._readers:
                self._usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    Image.MAX_IMAGE_PIXELS = self._usual


without_pillow_limit = PillowLimit().lifted


def read_metadata(image: Image.Image) -> dict[str, Any]:
    """EXIF with the picture upright, the ICC profile where its colours stay, and the density."""
    metadata: dict[str, Any] = {}
    with contextlib.suppress(ValueError, *BROKEN):  # tags are no reason to lose the picture
        if exif := _upright_exif(image):
            metadata["exif"] = exif
    if image.info.get("icc_profile") and image.mode not in ("CMYK", "LAB", "YCbCr", "HSV"):
        metadata["icc_profile"] = image.info["icc_profile"]
    with contextlib.suppress(ValueError, *BROKEN):
        densities = tuple(float(density) for density in image.info.get("dpi", ()))
        if densities and all(0 < density < math.inf for density in densities):
            metadata["dpi"] = densities
    if image.info.get("compression") in LOSSLESS_TIFF:
        metadata["compression"] = image.info["compression"]
    return metadata


def _upright_exif(image: Image.Image) -> bytes:
    exif = image.getexif()
    for tag in list(exif):
        if image.format == "TIFF" and tag not in DESCRIPTIVE_TAGS:
            del exif[tag]
    if ORIENTATION in exif:
        exif[ORIENTATION] = 1
    return exif.tobytes() if len(exif) else b""


def format_of(target: Path, source: Path, facts: PictureFacts) -> str:
    """The source's own format where the name keeps its ending, otherwise what the name says."""
    name = facts.format
    if target.suffix.lower() != source.suffix.lower():
        name = Image.registered_extensions().get(target.suffix.lower(), "")
    Image.init()
    if name not in Image.SAVE:
        raise ValueError(f"{target}: {name or 'such'} pictures cannot be written; use a .png name")
    return name


def check_writable(pixels: np.ndarray, target: Path, *, format: str) -> None:
    """Before the work: what a format cannot hold is not what a picture has."""
    if format == "JPEG" and (pixels.shape[-1] in (2, 4) or pixels.dtype != np.uint8):
        raise ValueError(f"{target}: a JPEG has no alpha and 8 bits; use a .png or .tif name")


def save_picture(
    picture: Image.Image | np.ndarray, target: Path, *, format: str, metadata: dict[str, Any]
) -> None:
    """One picture; 16-bit colour comes as an array and needs PNG or TIFF."""
    kept = {name: metadata[name] for name in KEEPS.get(format, ()) if name in metadata}
    if isinstance(picture, np.ndarray):
        if format not in DEEP_WRITERS or picture.dtype != np.uint16:
            raise ValueError(f"{target}: {picture.dtype} colour can be written as PNG or TIFF only")
        with replaced_file(target) as unfinished, unfinished.open("wb") as file:
            DEEP_WRITERS[format](picture, file, metadata=kept)
        return
    with replaced_file(target) as unfinished:
        picture.save(unfinished, format=format, **kept, **QUALITY.get(format, {}))


def save_frames(
    frames: Iterable[Image.Image],
    target: Path,
    *,
    format: str,
    durations: list[int],
    loop: int | None,
) -> None:
    """An animation, or a file of several pages, written as its frames come."""
    if format not in Image.SAVE_ALL:
        raise ValueError(f"{target}: {format} has no frames; use a .gif or .tif name")
    iterator = iter(frames)
    first = next(iterator)
    # Pillow goes through the frames of a PNG twice.
    others = list(iterator) if format == "PNG" else iterator
    timing: dict[str, Any] = {}
    if any(durations):
        timing["duration"] = durations
        timing |= {} if loop is None else {"loop": loop}
        timing["disposal"] = 2 if first.mode == "RGBA" and format == "GIF" else 0
    if format == "WEBP":
        timing.pop("disposal", None)
        timing |= QUALITY["WEBP"]
    with replaced_file(target) as unfinished:
        first.save(unfinished, format=format, save_all=True, append_images=others, **timing)
