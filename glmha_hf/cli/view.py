"""Look at spectral cubes side by side: colours, false colour, bands, and spectra of places."""

import argparse
from pathlib import Path
from typing import Any

from .reconstruct import exposure

EXAMPLES = """A CUBE is a file that `glmha reconstruct` wrote, or a scene of ARAD-1K or KAIST. Cubes
side by side have one size.

examples:
  glmha view cubes/scene1.npy -o scene1.png
  glmha view gap=gap-tv/scene1.npy mst=cubes/scene1.npy -o both.png --at 300,200 --at 410,350
  glmha view scene.mat -o scene.png --bands 450 550 650 --exposure 1"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cubes", metavar="CUBE", nargs="+", help="FILE or NAME=FILE")
    parser.add_argument(
        "-o", "--output", required=True, metavar="SHEET", type=Path, help=".png or .jpg"
    )
    parser.add_argument(
        "--at",
        action="append",
        default=[],
        type=_place,
        metavar="ROW,COLUMN",
        help="draw the spectrum there (default: five places that differ)",
    )
    parser.add_argument(
        "--bands", type=float, nargs="+", metavar="NM", help="wavelengths to show (default: four)"
    )
    parser.add_argument(
        "--exposure",
        type=exposure,
        default="auto",
        metavar="X",
        help="brightness: a factor, or auto, each cube's own (default)",
    )
    parser.add_argument("--title", default="", help="above the sheet")
    parser.add_argument("--overwrite", action="store_true", help="replace SHEET if it exists")


def run(arguments: argparse.Namespace) -> None:
    if arguments.output.exists() and not arguments.overwrite:
        raise FileExistsError(f"{arguments.output} exists; add --overwrite to replace it")
    if arguments.output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ValueError(f"{arguments.output}: a sheet ends in .png or .jpg")
    from ..analysis.cube_views import cube_sheet, different_places, place_at
    from ..data.cube_formats import read_cube
    from ..evaluation.files import save_picture

    cubes = {name: read_cube(path) for name, path in map(_named, arguments.cubes)}
    if len(cubes) < len(arguments.cubes):
        raise ValueError("two cubes have one name: call them NAME=FILE")
    first = next(iter(cubes.values()))
    for name, cube in cubes.items():
        if cube.values.shape[1:] != first.values.shape[1:]:
            sizes = " and ".join(
                "×".join(map(str, each.values.shape[1:])) for each in (first, cube)
            )
            raise ValueError(f"cubes side by side have one size, but {name} makes it {sizes}")
    sheet = cube_sheet(
        cubes,
        places=[place_at(first, *at) for at in arguments.at] or different_places(first),
        shown=arguments.bands,
        exposure=arguments.exposure,
        title=arguments.title,
    )
    save_picture(sheet, arguments.output)


def _named(text: str) -> tuple[str, Path]:
    name, equals, file = text.partition("=")
    return (
        (name, Path(file)) if equals and not Path(text).exists() else (Path(text).stem, Path(text))
    )


def _place(text: str) -> Any:
    row, comma, column = text.partition(",")
    if not (comma and row.strip().isdecimal() and column.strip().isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not ROW,COLUMN")
    return int(row), int(column)
