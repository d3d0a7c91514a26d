"""Contact sheets of pictures with titles: before, after, truth and error side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # top, left, height, width
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PAPER, INK, FAINT, ACCENT = (255, 255, 255), (25, 28, 35), (110, 116, 128), (255, 196, 0)
MARGIN, GAP = 24, 10

HEAT = np.array(
    [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]]
)
"""From no error (black) to the scale's end (pale yellow), rising evenly in lightness."""


@dataclass(frozen=True)
class Panel:
    """A picture, what stands above and below it, and boxes drawn on it."""

    picture: Pixels  # H×W×3 or H×W
    title: str = ""
    caption: str = ""
    boxes: tuple[Box, ...] = ()


def draw_sheet(
    rows: Sequence[Sequence[Panel]], *, title: str = "", panel_width: int = 320
) -> Image.Image:
    """Rows of panels of one width; small pictures are enlarged pixel by pixel."""
    if not rows or not any(rows):
        raise ValueError("a sheet needs at least one panel")
    font, small, heading = (label_font(size) for size in (17, 14, 22))
    prepared = [[(panel, _fit(panel, panel_width)) for panel in row] for row in rows]
    columns = max(map(len, rows))
    tops = [MARGIN + (44 if title else 0)]
    for row in prepared:
        tops.append(tops[-1] + _row_height(row))
    width = 2 * MARGIN + columns * panel_width + (columns - 1) * GAP
    image = Image.new("RGB", (width, tops[-1] + MARGIN - GAP), PAPER)
    draw = ImageDraw.Draw(image)
    if title:
        draw.text((MARGIN, MARGIN - 4), _shorten(title, heading, width - 2 * MARGIN), INK, heading)
    for top, row in zip(tops, prepared, strict=False):
        left, below_title = MARGIN, top + _title_height(row)
        for panel, picture in row:
            if panel.title:
                draw.text((left, top), _shorten(panel.title, font, panel_width), INK, font)
            image.paste(picture, (left, below_title))
            if panel.caption:
                place = (left, below_title + picture.height + 4)
                draw.text(place, _shorten(panel.caption, small, panel_width), FAINT, small)
            left += panel_width + GAP
    return image


def label_font(size: int) -> Font:
    return ImageFont.load_default(size)


def error_map(
    prediction: np.ndarray, truth: np.ndarray, *, peak: float, channel_axis: int = -1
) -> Pixels:
    """Mean absolute difference over the channels as heat, `peak` and above at the bright end."""
    difference = np.abs(prediction.astype(np.float64) - truth.astype(np.float64))
    if difference.ndim == 3:
        difference = difference.mean(axis=channel_axis)
    place = np.clip(difference / peak, 0, 1) * (len(HEAT) - 1)
    stops = np.arange(len(HEAT))
    channels = [np.interp(place, stops, HEAT[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def crop(picture: np.ndarray, box: Box, *, channels_first: bool = False) -> np.ndarray:
    """The part of a picture (H×W×C, H×W) or cube (C×H×W) inside a box."""
    top, left, height, width = box
    inside = (slice(top, top + height), slice(left, left + width))
    return picture[(slice(None), *inside)] if channels_first else picture[inside]


def check_box(box: Box, height: int, width: int) -> None:
    top, left, rows, columns = box
    if (
        min(top, left) < 0
        or min(rows, columns) < 1
        or top + rows > height
        or left + columns > width
    ):
        raise ValueError(
            f"the box (top {top}, left {left}, {rows}×{columns}) does not lie within "
            f"the {height}×{width} picture"
        )


def worst_box(difference: np.ndarray, *, height: int, width: int) -> Box:
    """The box of this size that holds the most of an H×W error."""
    H, W = difference.shape
    rows, columns = min(height, H), min(width, W)
    total = np.pad(difference, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    bands = total[rows:] - total[:-rows]
    inside = bands[:, columns:] - bands[:, :-columns]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(top), int(left), rows, columns


def _fit(panel: Panel, width: int) -> Image.Image:
    """The picture at the panel's width, its boxes drawn after scaling so that they stay sharp."""
    picture = np.asarray(panel.picture)
    if picture.ndim == 3 and picture.shape[-1] == 1:
        picture = picture[..., 0]
    image = Image.fromarray(picture).convert("RGB")
    scale = width / image.width
    how = Image.Resampling.NEAREST if scale >= 1.5 else Image.Resampling.LANCZOS
    image = image.resize((width, max(1, round(image.height * scale))), how)
    draw = ImageDraw.Draw(image)
    for top, left, height, columns in panel.boxes:
        corners = [left * scale, top * scale, (left + columns) * scale, (top + height) * scale]
        draw.rectangle(corners, outline=ACCENT, width=2)
    return image


def _title_height(row: Sequence[tuple[Panel, Image.Image]]) -> int:
    return 26 if any(panel.title for panel, _ in row) else 0


def _row_height(row: Sequence[tuple[Panel, Image.Image]]) -> int:
    captions = 24 if any(panel.caption for panel, _ in row) else 0
    tallest = max((picture.height for _, picture in row), default=0)
    return _title_height(row) + tallest + captions + GAP


def _shorten(text: str, font: Font, width: int) -> str:
    """The text, its middle left out where it would be wider than its panel."""
    if font.getlength(text) <= width:
        return text
    kept = len(text)
    while kept > 2:
        kept -= 1
        shorter = f"{text[: (kept + 1) // 2].rstrip()}…{text[-(kept // 2) :].lstrip()}"
        if font.getlength(shorter) <= width:
            return shorter
    return "…"
