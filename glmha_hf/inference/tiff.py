"""Writing 16-bit colour TIFF, which Pillow cannot."""

import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from PIL.TiffTags import UNDEFINED

WIDTH, HEIGHT, BITS, COMPRESSION, KIND_OF_COLOUR = 256, 257, 258, 259, 262
OFFSET, CHANNELS, ROWS, BYTES = 273, 277, 278, 279
X_DENSITY, Y_DENSITY, DENSITY_UNIT, EXTRA_CHANNELS, ICC_PROFILE = 282, 283, 296, 338, 34675
UNCOMPRESSED, RGB, INCH, ALPHA = 1, 2, 2, 2
HEADER = b"II*\0" + struct.pack("<I", 8)
TEXT_TAGS = (270, 271, 272, 305, 306, 315, 33432)  # description, camera, software, author, …


def write_tiff16(
    pixels: np.ndarray, file: BinaryIO, *, metadata: Mapping[str, Any] | None = None
) -> None:
    """H×W×C uint16 with 3 or 4 channels; metadata as Pillow names it: icc_profile, exif, dpi."""
    if pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise ValueError(f"16-bit TIFF takes H×W×3 or 4 uint16, not {pixels.shape} {pixels.dtype}")
    height, width, channels = pixels.shape
    if pixels.nbytes >= (1 << 32) - (1 << 24):
        raise ValueError(f"{width}×{height} pixels of 16 bits are more than a TIFF file can hold")
    directory = ImageFileDirectory_v2(prefix=b"II")
    directory[WIDTH], directory[HEIGHT], directory[CHANNELS] = width, height, channels
    directory[BITS] = (16,) * channels
    directory[COMPRESSION], directory[KIND_OF_COLOUR] = UNCOMPRESSED, RGB
    directory[ROWS], directory[BYTES] = height, pixels.nbytes
    directory[OFFSET] = 0  # from the directory's end on
    if channels == 4:
        directory[EXTRA_CHANNELS] = ALPHA
    _describe(directory, metadata or {})
    file.write(HEADER + directory.tobytes(len(HEADER)))
    for row in pixels:
        file.write(row.astype("<u2").tobytes())


def _describe(directory: ImageFileDirectory_v2, metadata: Mapping[str, Any]) -> None:
    """Profile, density and what is told in words."""
    exif = Image.Exif()
    if "exif" in metadata:
        exif.load(metadata["exif"])
    for tag in TEXT_TAGS:
        if isinstance(exif.get(tag), str):
            directory[tag] = exif[tag]
    if dpi := metadata.get("dpi"):
        directory[X_DENSITY], directory[Y_DENSITY] = dpi
        directory[DENSITY_UNIT] = INCH
    if profile := metadata.get("icc_profile"):
        directory.tagtype[ICC_PROFILE] = UNDEFINED
        directory[ICC_PROFILE] = profile
