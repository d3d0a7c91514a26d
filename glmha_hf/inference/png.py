"""Writing 16-bit colour PNG, which Pillow cannot."""

import struct
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
INCH = 0.0254


def write_png16(
    pixels: np.ndarray, file: BinaryIO, *, metadata: Mapping[str, Any] | None = None
) -> None:
    """H×W×C uint16 with 1 to 4 channels; metadata as Pillow names it: icc_profile, exif, dpi."""
    if pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] not in COLOUR_TYPES:
        raise ValueError(f"16-bit PNG takes H×W×C uint16, not {pixels.shape} {pixels.dtype}")
    height, width, channels = pixels.shape
    file.write(b"\x89PNG\r\n\x1a\n")
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    _write_chunk(file, b"IHDR", header)
    _write_metadata(file, metadata or {})
    for block in _compressed(pixels):
        _write_chunk(file, b"IDAT", block)
    _write_chunk(file, b"IEND", b"")


def _compressed(pixels: np.ndarray, rows: int = 256):
    """Scan lines as differences to the line above (filter 2), a few rows at a time."""
    compressor = zlib.compressobj(6)
    above = np.zeros((1, pixels.shape[1] * pixels.shape[2] * 2), np.uint8)
    for top in range(0, len(pixels), rows):
        lines = pixels[top : top + rows].astype(">u2")
        lines = lines.reshape(len(lines), -1).view(np.uint8)
        differences = lines - np.concatenate([above, lines[:-1]])
        filters = np.full((len(lines), 1), 2, np.uint8)
        yield compressor.compress(np.hstack([filters, differences]).tobytes())
        above = lines[-1:]
    yield compressor.flush()


def _write_metadata(file: BinaryIO, metadata: Mapping[str, Any]) -> None:
    if profile := metadata.get("icc_profile"):
        _write_chunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))
    if dpi := metadata.get("dpi"):
        per_metre = (round(float(density) / INCH) for density in dpi)
        _write_chunk(file, b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if exif := metadata.get("exif"):
        _write_chunk(file, b"eXIf", exif.removeprefix(b"Exif\0\0"))


def _write_chunk(file: BinaryIO, kind: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + kind + content)
    file.write(struct.pack(">I", zlib.crc32(kind + content)))
