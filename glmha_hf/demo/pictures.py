"""Pictures that strangers send: looked at before they are decoded, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..inference.restoration import as_pil
from ..inference.saving import PictureFacts, read_facts, save_picture, without_pillow_limit
from ..models.image_processing_picture import as_array

MAX_PIXELS = 12_000_000
MAX_FILE_SIZE = "30mb"
SHOWN_BY_BROWSERS = ("JPEG", "PNG", "WEBP")
WRITTEN = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp"}
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Upload:
    """A file that is a picture of a size that can be worked on, and its pixels in their depth."""

    path: Path
    facts: PictureFacts
    pixels: np.ndarray  # H×W×C, upright

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]


def open_upload(
    path: Path | str | None, *, what: str = "picture", max_pixels: int = MAX_PIXELS
) -> Upload:
    """The picture, or one line without the server's paths that says what is wrong with it."""
    if path is None:
        raise ValueError(f"there is no {what} yet: upload one, paste it, or take an example")
    path = Path(path)
    try:
        facts = read_facts(path)
        check_upload(facts, max_pixels=max_pixels)
        with without_pillow_limit():
            return Upload(path, facts, as_array(path))
    except (ValueError, OSError) as error:
        reason = str(error).replace(str(path), f"the {what}")
        told = reason if what in reason else f"the {what} cannot be read: {reason}"
        raise ValueError(told) from None


def check_upload(facts: PictureFacts, *, max_pixels: int) -> None:
    if facts.frames > 1:
        raise ValueError(
            f"the picture has {facts.frames} frames: animations are for the command "
            "`glmha restore`; send one frame here"
        )
    if facts.pixels > max_pixels:
        raise ValueError(
            f"the picture has {megapixels(facts.pixels)} megapixels; up to "
            f"{megapixels(max_pixels)} are taken here, larger ones by the command `glmha restore`"
        )


def megapixels(pixels: int) -> str:
    return f"{pixels / 1e6:.3g}"


def for_screen(pixels: np.ndarray) -> Pixels:
    """H×W×3 in 8 bits of any picture; alpha is left out."""
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / 257).astype(np.uint8)
    if pixels.shape[-1] in (2, 4):
        pixels = pixels[..., :-1]
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def shown(upload: Upload, folder: Path) -> Path:
    """The upload itself where browsers can show it, otherwise a PNG of it."""
    if upload.facts.format in SHOWN_BY_BROWSERS:
        return upload.path
    return save_pixels(for_screen(upload.pixels), folder / f"{upload.path.stem}.png")


def save_pixels(pixels: np.ndarray, path: Path) -> Path:
    """Lossless, for the page to show."""
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=1)
    return path


def save_like(upload: Upload, pixels: np.ndarray, folder: Path) -> tuple[Path, Path | None]:
    """A PNG, and a file of the upload's own format where that is another one and can be had."""
    picture, facts = as_pil(pixels), upload.facts
    stem = f"{upload.path.stem}-restored"
    lossless = folder / f"{stem}.png"
    save_picture(_for_png(picture), lossless, format="PNG", metadata=facts.metadata)
    if facts.format == "PNG" or facts.format not in WRITTEN or not isinstance(picture, Image.Image):
        return lossless, None
    own = folder / f"{stem}{WRITTEN[facts.format]}"
    if facts.format == "JPEG" and picture.mode not in ("L", "RGB", "CMYK"):
        return lossless, None
    save_picture(picture, own, format=facts.format, metadata=facts.metadata)
    return lossless, own


def _for_png(picture: Image.Image | np.ndarray) -> Image.Image | np.ndarray:
    """PNG has no floats: they become 16 bits."""
    if isinstance(picture, np.ndarray) or picture.mode != "F":
        return picture
    counts = np.rint(np.asarray(picture).clip(0, 1) * 65535)
    return Image.fromarray(counts.astype(np.uint16))
