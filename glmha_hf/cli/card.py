"""Make a model folder's card from the facts in it, or add facts to it first."""

import argparse
from pathlib import Path

EXAMPLES = """Facts are recipe.yaml and training.json (how it was trained), evaluation.json (what
glmha evaluate measured), data.md (what the data are, in words) and before-after.png. --results
takes the model's scores out of an evaluation, with the command that made them; --picture
restores a degraded picture with the model and keeps both, side by side. Costs are counted anew.

examples:
  glmha card runs/my-derainer/best --licence mit
  glmha card my-model --results evaluation/results.json --data PROVENANCE.md
  glmha card my-model --picture rainy.png --credit 'Jane Doe, CC-BY-4.0'"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="a model folder")
    parser.add_argument(
        "--results", metavar="FILE", type=Path, help="results.json of an evaluation"
    )
    parser.add_argument("--data", metavar="FILE", type=Path, help="what the data are, in Markdown")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="a degraded picture to show")
    parser.add_argument("--credit", default="", help="whose picture it is, and its licence")
    parser.add_argument("--licence", metavar="ID", help="of the weights, by its SPDX id")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a README.md that was written by hand"
    )


def run(arguments: argparse.Namespace) -> None:
    import shutil

    from ..hub.card import CARD, write_card
    from ..hub.facts import DATA, record_evaluation
    from ..hub.pull import model_folder
    from ..hub.showcase import write_before_after
    from ..hub.snippets import MADE_BY

    folder = arguments.folder
    if not folder.exists():
        folder = model_folder(folder)
    model_folder(folder)
    card = folder / CARD
    by_hand = card.is_file() and MADE_BY not in card.read_text(encoding="utf-8")
    if by_hand and not arguments.overwrite:
        raise FileExistsError(f"{card} was not made by this command; add --overwrite to replace it")
    for file in (arguments.results, arguments.data, arguments.picture):
        if file is not None and not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
    if arguments.results:
        record_evaluation(folder, arguments.results)
    if arguments.data and arguments.data.resolve() != (folder / DATA).resolve():
        shutil.copyfile(arguments.data, folder / DATA)
    if arguments.picture:
        write_before_after(folder, arguments.picture, credit=arguments.credit)
    print(write_card(folder, licence=arguments.licence))
