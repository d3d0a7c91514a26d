"""A card's picture: one input and what the model makes of it, side by side."""

from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from ..files import replaced_file
from ..inference.restoration import restore
from .snippets import CREDIT, PICTURE

SIDE = 512
GAP = 8


def write_before_after(folder: Path, picture: Path, *, credit: str = "") -> Path:
    """The middle of the picture, not scaled, before and after; the credit is kept inside."""
    with Image.open(picture) as image:
        before = np.asarray(image.convert("RGB"))
    after = np.asarray(restore(before, model=folder, dtype="float32", device="cpu"))
    H, W = before.shape[:2]
    top, left = max(0, (H - SIDE) // 2), max(0, (W - SIDE) // 2)
    panels = [whole[top : top + SIDE, left : left + SIDE] for whole in (before, after)]
    height = panels[0].shape[0]
    gap = np.full((height, GAP, 3), 255, np.uint8)
    told = PngImagePlugin.PngInfo()
    if credit:
        told.add_itxt(CREDIT, credit)
    path = folder / f"{PICTURE}.png"
    with replaced_file(path) as unfinished:
        Image.fromarray(np.concatenate([panels[0], gap, panels[1]], axis=1)).save(
            unfinished, format="PNG", pnginfo=told, optimize=True
        )
    return path
