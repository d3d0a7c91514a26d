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
    for tag, value in {
        **{WIDTH: width, HEIGHT: height, BITS: (16,) * channels, COMPRESSION: UNCOMPRESSED},
        **{KIND_OF_COLOUR: RGB, OFFSET: 0, CHANNELS: channels, ROWS: height},
        **{BYTES: pixels.nbytes, **_described(metadata or {})},
    }.items():
        directory[tag] = value
    if channels == 4:
        directory[EXTRA_CHANNELS] = ALPHA
    if profile := (metadata or {}).get("icc_profile"):
        directory.tagtype[ICC_PROFILE] = UNDEFINED
        directory[ICC_PROFILE] = profile
    start = len(HEADER)
    file.write(HEADER + directory.tobytes(start))  # which counts the offset from its own end
    for row in pixels:
        file.write(row.astype("<u2").tobytes())


def _described(metadata: Mapping[str, Any]) -> dict[int, Any]:
    """Density and what is told in words."""
    exif = Image.Exif()
    if "exif" in metadata:
        exif.load(metadata["exif"])
    found: dict[int, Any] = {tag: exif[tag] for tag in TEXT_TAGS if isinstance(exif.get(tag), str)}
    if dpi := metadata.get("dpi"):
        found |= {X_DENSITY: dpi[0], Y_DENSITY: dpi[1], DENSITY_UNIT: INCH}
    return found
