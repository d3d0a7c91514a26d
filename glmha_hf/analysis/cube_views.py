"""Cubes to look at: colours, false colour, bands, and the spectra of marked places."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from ..data.cube_formats import SpectralCube, view_files
from ..files import replaced_file
from .plots import COLOURS, plot_style
from .sheets import MARGIN, PAPER, Panel, draw_sheet, label_font
from .spectra import band_picture, cube_to_srgb, false_colour, natural_exposure, nearest_bands

Exposure = float | Literal["auto"]
LINES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Place:
    """A square of a cube, by its centre; its spectrum is the mean over it."""

    row: int
    column: int
    side: int

    def spectrum(self, values: np.ndarray) -> np.ndarray:
        reach = self.side // 2
        rows = slice(max(0, self.row - reach), self.row + reach + 1)
        columns = slice(max(0, self.column - reach), self.column + reach + 1)
        return values[:, rows, columns].mean(axis=(1, 2))


def place_at(cube: SpectralCube, row: int, column: int) -> Place:
    """A square of a fortieth of the cube's shorter side, and of 3 pixels at least."""
    H, W = cube.values.shape[1:]
    if not (0 <= row < H and 0 <= column < W):
        raise ValueError(f"no pixel {row},{column} in a cube of {H}×{W} (row, column)")
    return Place(row, column, _side(H, W))


def different_places(cube: SpectralCube, count: int = 5) -> list[Place]:
    """Places whose spectra differ most in shape: the brightest, then ever the farthest from those.

    Squares with less than half of the median brightness are left out, as noise has any shape.
    """
    H, W = cube.values.shape[1:]
    side = min(_side(H, W), H, W)
    rows, columns = H // side, W // side
    blocks = cube.values[:, : rows * side, : columns * side]
    means = (
        blocks.reshape(-1, rows, side, columns, side).mean(axis=(2, 4)).reshape(-1, rows * columns)
    )
    brightness = means.mean(axis=0)
    shapes = means / np.maximum(np.linalg.norm(means, axis=0), 1e-12)
    distance = np.where(brightness >= np.median(brightness) / 2, np.inf, -1.0)
    chosen = [int(brightness.argmax())]
    while len(chosen) < min(count, rows * columns):
        distance = np.minimum(distance, 1 - shapes[:, chosen[-1]] @ shapes)
        if distance.max() <= 1e-6:
            break
        chosen.append(int(distance.argmax()))
    return [
        Place(index // columns * side + side // 2, index % columns * side + side // 2, side)
        for index in sorted(chosen)
    ]


def _side(H: int, W: int) -> int:
    return max(3, min(H, W) // 40) | 1


def exposure_of(cube: SpectralCube, exposure: Exposure) -> float:
    return natural_exposure(cube.values, cube.wavelengths) if exposure == "auto" else exposure


def write_views(cube: SpectralCube, path: Path, *, exposure: Exposure = 1.0) -> None:
    """Both views beside a cube's file. The colours are the CIE's of the cube times `exposure`."""
    colours, spectra = view_files(path)
    factor = exposure_of(cube, exposure)
    text = PngInfo()
    text.add_text("exposure", f"{factor:.6g}")
    text.add_text("wavelengths", " ".join(f"{each:g}" for each in cube.wavelengths))
    picture = Image.fromarray(cube_to_srgb(cube.values, cube.wavelengths, exposure=factor))
    with replaced_file(colours) as unfinished:
        picture.save(unfinished, format="PNG", pnginfo=text)
    places = different_places(cube)
    title = Panel(
        marked(np.asarray(picture), places, width=480), title=f"{path.stem}, exposure {factor:.3g}"
    )
    sheet = beside(draw_sheet([[title]], panel_width=480), draw_spectra({"": cube}, places))
    with replaced_file(spectra) as unfinished:
        sheet.save(unfinished, format="PNG")


def cube_sheet(
    cubes: Mapping[str, SpectralCube],
    *,
    places: Sequence[Place],
    shown: Sequence[float] | None = None,
    exposure: Exposure = "auto",
    title: str = "",
    panel_width: int = 210,
) -> Image.Image:
    """A row a cube: colours with the places marked, false colour, bands; below, the spectra.

    Every cube has an exposure of its own with "auto"; its bands and spectra have the same one.
    """
    rows, exposed = [], {}
    for name, cube in cubes.items():
        factor = exposure_of(cube, exposure)
        exposed[name] = SpectralCube(cube.values * np.float32(factor), cube.wavelengths)
        rows.append(_sheet_row(name, exposed[name], factor, places, shown, panel_width))
    sheet = draw_sheet(rows, title=title, panel_width=panel_width)
    return below(sheet, draw_spectra(exposed, places, width=sheet.width - 2 * MARGIN))


def _sheet_row(
    name: str,
    cube: SpectralCube,
    factor: float,
    places: Sequence[Place],
    shown: Sequence[float] | None,
    width: int,
) -> list[Panel]:
    known = cube.wavelengths
    span = known[-1] - known[0]
    wanted = shown or [known[0] + span * share for share in (0.1, 0.37, 0.63, 0.9)]
    three = [known[0] + span * share for share in (0.85, 0.5, 0.15)]
    names = "/".join(f"{known[band]:g}" for band in nearest_bands(known, three))
    colours = marked(cube_to_srgb(cube.values, known), places, width=width)
    stretched = false_colour(cube.values, known, shown=three)
    bands = [
        Panel(band_picture(cube.values[band], known[band]), title=f"{known[band]:g} nm")
        for band in nearest_bands(known, wanted)
    ]
    return [
        Panel(colours, title=name, caption=f"sRGB, exposure {factor:.3g}"),
        Panel(stretched, title="false colour", caption=f"{names} nm, stretched"),
        *bands,
    ]


def marked(picture: np.ndarray, places: Sequence[Place], *, width: int) -> np.ndarray:
    """The picture at a width, each place as a numbered square in the colour of its curve."""
    image = Image.fromarray(picture)
    scale = width / image.width
    how = Image.Resampling.NEAREST if scale >= 1.5 else Image.Resampling.LANCZOS
    image = image.resize((width, max(1, round(image.height * scale))), how)
    draw, font = ImageDraw.Draw(image), label_font(15)
    for number, place in enumerate(places, start=1):
        x, y = (place.column + 0.5) * scale, (place.row + 0.5) * scale
        reach = max(3.0, place.side * scale / 2)
        colour = COLOURS[(number - 1) % len(COLOURS)]
        draw.rectangle(
            (x - reach - 1, y - reach - 1, x + reach + 1, y + reach + 1), outline="white", width=3
        )
        draw.rectangle((x - reach, y - reach, x + reach, y + reach), outline=colour, width=2)
        corner = (min(x + reach + 4, width - 14), min(max(y - 9, 0), image.height - 18))
        draw.text(corner, str(number), "white", font, stroke_width=2, stroke_fill="black")
    return np.asarray(image)


def draw_spectra(
    cubes: Mapping[str, SpectralCube], places: Sequence[Place], *, width: int = 640
) -> Image.Image:
    """Reflectance against wavelength: a colour a place, a line style a cube."""
    dots = 100
    with plot_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width / dots, 3.6), dpi=dots, layout="constrained")
        axis: Any = figure.subplots()
        for index, (name, cube) in enumerate(cubes.items()):
            line = LINES[index % len(LINES)]
            for number, place in enumerate(places, start=1):
                axis.plot(
                    cube.wavelengths,
                    place.spectrum(cube.values),
                    line,
                    color=COLOURS[(number - 1) % len(COLOURS)],
                    linewidth=1.5,
                    label=None if index else f"{number}: row {place.row}, column {place.column}",
                )
            if len(cubes) > 1:
                axis.plot([], [], line, color="black", label=name)
        side = places[0].side
        axis.set(xlabel="wavelength (nm)", ylabel=f"reflectance, mean of {side}×{side} pixels")
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        contents = io.BytesIO()
        figure.savefig(contents, format="png", dpi=dots)
    return Image.open(contents).convert("RGB")


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    whole = Image.new("RGB", (left.width + right.width, max(left.height, right.height)), PAPER)
    whole.paste(left, (0, 0))
    whole.paste(right, (left.width, (whole.height - right.height) // 2))
    return whole


def below(upper: Image.Image, lower: Image.Image) -> Image.Image:
    size = (max(upper.width, lower.width), upper.height + lower.height + MARGIN)
    whole = Image.new("RGB", size, PAPER)
    whole.paste(upper, (0, 0))
    whole.paste(lower, ((whole.width - lower.width) // 2, upper.height))
    return whole
