"""Make the GLMHA paper's tables and figures again, the paper's numbers beside ours."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..evaluation.restorers import ModelRestorer
    from ..evaluation.sets import TestSet

TABLE_NAMES = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "eq8")
FIGURE_NAMES = ("figure1", "figure5", "figure6", "figure7")
PAGE = Path("docs/paper.md")

EXAMPLES = """Without a name every table is made, into docs/paper.md where that is. Tables need
no data; figures need models and a test set (see glmha evaluate).

examples:
  glmha paper
  glmha paper 1 7 eq8
  glmha paper --results evaluation/results.json
  glmha paper figure1 --model restormer-derain --data Datasets/test/Rain100L --limit 10
  glmha paper figure5 --model mst-plus-plus-rgb2hsi --data ARAD_1K --picture 3 --box 100 120 64 64
  glmha paper figure7 --model one two --data Datasets/test/GoPro --box 200 300 96 128"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "items", metavar="ITEM", nargs="*", help=", ".join((*TABLE_NAMES, *FIGURE_NAMES))
    )
    parser.add_argument("--output", type=Path, help="file to write (docs/paper.md, figure1.png)")
    parser.add_argument(
        "--results", type=Path, nargs="+", default=[], help="results.json files of glmha evaluate"
    )
    parser.add_argument("--model", nargs="+", default=[], help="models of a figure")
    parser.add_argument("--data", help="test set of a figure")
    parser.add_argument("--protocol", help="where the test set does not tell")
    parser.add_argument("--limit", type=int, help="figure 1: only so many pictures")
    parser.add_argument("--picture", type=int, default=0, help="figures 5-7: which picture (0)")
    parser.add_argument(
        "--box",
        type=int,
        nargs=4,
        metavar=("TOP", "LEFT", "HEIGHT", "WIDTH"),
        help="what to enlarge",
    )
    parser.add_argument(
        "--pixel",
        type=int,
        nargs=2,
        action="append",
        metavar=("ROW", "COLUMN"),
        help="spectra here",
    )
    parser.add_argument("--bands", type=float, nargs="+", help="wavelengths to show, in nm")


def run(arguments: argparse.Namespace) -> None:
    unknown = [each for each in arguments.items if each not in TABLE_NAMES + FIGURE_NAMES]
    if unknown:
        known = ", ".join((*TABLE_NAMES, *FIGURE_NAMES))
        raise ValueError(f"the paper has no {unknown[0]!r} here; there are {known}")
    figures = [each for each in arguments.items if each in FIGURE_NAMES]
    tables = [each for each in arguments.items if each in TABLE_NAMES]
    if figures and (tables or len(figures) > 1):
        raise ValueError("make figures one at a time, and tables without them")
    if figures:
        _figure(figures[0], arguments)
    else:
        _tables(tables, arguments)


def _tables(names: list[str], arguments: argparse.Namespace) -> None:
    from ..analysis.paper import SECTIONS, paper_page, read_results
    from ..evaluation.files import write_text

    results = read_results(arguments.results)
    if names:
        text = "\n\n".join(SECTIONS[name](results) for name in names) + "\n"
        output = arguments.output
    else:
        given = "".join(f" {path}" for path in arguments.results)
        text = paper_page(f"glmha paper{' --results' + given if given else ''}", results)
        is_there = PAGE.is_file() and "```bash\nglmha paper" in PAGE.read_text(encoding="utf-8")
        output = arguments.output or (PAGE if is_there else None)
    if output is None:
        print(text, end="")
        return
    write_text(output, text)
    print(output)


def _figure(name: str, arguments: argparse.Namespace) -> None:
    restorers, test_set = _models_and_set(name, arguments)
    output = arguments.output or Path(f"{name}.png")
    if name == "figure1":
        _eigenvalues(restorers, test_set, output, arguments.limit)
    else:
        _qualitative(restorers, test_set, output, arguments)


def _models_and_set(
    name: str, arguments: argparse.Namespace
) -> tuple[list["ModelRestorer"], "TestSet"]:
    if not arguments.model or not arguments.data:
        raise ValueError(f"{name} needs --model and --data")
    from ..evaluation.opening import open_sets
    from ..evaluation.restorers import ModelRestorer, load_restorer
    from ..evaluation.run import check_fit

    test_set = open_sets(arguments.data, protocol=arguments.protocol)[0]
    kinds = {"figure5": ("rgb",), "figure6": ("snapshot",), "figure7": ("picture",)}
    if test_set.input_kind not in kinds.get(name, (test_set.input_kind,)):
        raise ValueError(f"{name} is not of data such as {test_set.name} ({test_set.protocol})")
    restorers = [load_restorer(each) for each in arguments.model]
    models = [each for each in restorers if isinstance(each, ModelRestorer)]
    if len(models) < len(restorers):
        raise ValueError("figures show models; the input is drawn beside them anyway")
    check_fit(models, [test_set])
    return models, test_set


def _eigenvalues(
    restorers: list["ModelRestorer"], test_set: "TestSet", output: Path, limit: int | None
) -> None:
    from ..analysis.plots import plot_eigenvalues
    from ..analysis.rank import attention_spectra, level_ranks, rank_table
    from ..analysis.tables import markdown_table
    from ..evaluation.run import chosen_pictures

    chosen = chosen_pictures(len(test_set), limit)
    spectra = {}
    for restorer in restorers:
        inputs = (restorer.inputs(test_set.sample(index, gray=restorer.gray)) for index in chosen)
        spectra[restorer.name] = attention_spectra(restorer.model, inputs)
        ranks = level_ranks(spectra[restorer.name])
        header, rows = rank_table(ranks)
        print(f"{restorer.name} on {test_set.name}, pictures: {len(chosen)}\n")
        print(markdown_table(header, rows, left=0))
        reductions = [each.kv_reductions[0.95] for each in ranks]
        print(f"\nkv_reduction={json.dumps(reductions)} leaves 95% of the energy in every block\n")
    plot_eigenvalues(spectra, output)
    print(output)


def _qualitative(
    restorers: list["ModelRestorer"], test_set: "TestSet", output: Path, arguments: Any
) -> None:
    from ..analysis.plots import plot_spectra
    from ..analysis.qualitative import band_sheet, picture_sheet
    from ..evaluation.files import format_named, save_picture
    from ..evaluation.run import restore_sample
    from ..evaluation.worst import shown

    if not 0 <= arguments.picture < len(test_set):
        raise ValueError(f"--picture {arguments.picture}: {test_set.name} has {len(test_set)}")
    format_named(output)  # before all the work
    pairs = [restore_sample(each, test_set, arguments.picture) for each in restorers]
    sample, first = pairs[0]
    predictions = {
        each.name: prediction for each, (_, prediction) in zip(restorers, pairs, strict=True)
    }
    title = f"{test_set.name}: {sample.name}"
    box = tuple(arguments.box) if arguments.box else None
    if test_set.input_kind == "picture":
        truth, _, before = shown(sample, first)
        versions = {name: shown(sample, each)[1] for name, each in predictions.items()}
        sheet = picture_sheet(before, versions, truth, box or _centre(truth.shape[:2]), title=title)
        save_picture(sheet, output)
        print(output)
        return
    pixels = [tuple(pixel) for pixel in arguments.pixel or _two_corners(sample.target.shape[1:])]
    lines = output.with_name(f"{output.stem}-spectra{output.suffix}")
    plot_spectra({"truth": sample.target, **predictions}, pixels, lines)
    sheet = band_sheet(
        predictions,
        sample.target,
        shown=arguments.bands,
        box=box or _centre(sample.target.shape[1:]),
        pixels=pixels,
        title=title,
    )
    save_picture(sheet, output)
    print(output, lines, sep="\n", file=sys.stdout)


def _centre(size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """A box of a fifth of each side in the middle."""
    height, width = (max(1, side // 5) for side in size)
    return (size[0] - height) // 2, (size[1] - width) // 2, height, width


def _two_corners(size: tuple[int, ...]) -> list[tuple[int, int]]:
    """Two pixels away from the middle, where the box is, and from the enlargement."""
    height, width = size
    return [(height // 4, 3 * width // 4), (3 * height // 4, width // 4)]
