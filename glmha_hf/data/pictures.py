"""Reading pictures: whatever a file holds becomes 8-bit RGB, or one sentence says why not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
Pixels = NDArray[np.uint8]


class PictureError(ValueError):
    """A picture that cannot be read or cannot become RGB without a guess."""


def list_pictures(folder: Path | str) -> list[Path]:
    """Every picture below a folder, sorted, hidden files left out."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    )


def read_picture(source: Path | str | bytes) -> Pixels:
    """Decode a file or its bytes to H×W×3 uint8, turned upright as its EXIF says."""
    name = "picture" if isinstance(source, bytes) else str(source)
    try:
        with _opened(source) as image:
            image.load()
            return to_rgb(ImageOps.exif_transpose(image))
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureError(f"{name}: cannot be read ({error})") from None


def is_gray(source: Path | str | bytes) -> bool:
    """Whether a file, by its header, has no colour."""
    try:
        with _opened(source) as image:
            return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False  # which reading it will tell


def _opened(source: Path | str | bytes) -> Image.Image:
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


def to_rgb(image: Image.Image) -> Pixels:
    """Gray, palette and CMYK become RGB; 16-bit gray loses its low byte; opaque alpha is dropped.

    Real transparency is refused, because what lies behind it is unknown.
    """
    if image.mode == "F":
        raise PictureError("holds floating-point gray; save it as 8-bit first")
    if image.mode.startswith("I"):
        return _from_deep_gray(np.asarray(image))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        lowest = image.getchannel("A").getextrema()[0]
        if lowest != 255:
            raise PictureError("is partly transparent; flatten it onto a background first")
    return np.array(image.convert("RGB"))


def _from_deep_gray(values: NDArray[np.integer]) -> Pixels:
    if values.min() < 0 or values.max() > 65535:
        raise PictureError("holds 32-bit integers; save it as 8 or 16 bits first")
    gray = np.rint(values / 257).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)
