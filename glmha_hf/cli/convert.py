"""Turn a published checkpoint into a zoo folder, or a zoo folder into a published checkpoint."""

import argparse
from pathlib import Path

EXAMPLES = """Architecture and hyperparameters are read off the checkpoint's keys and shapes.

examples:
  glmha convert deraining.pth restormer-derain
  glmha convert mst_plus_plus.pth mst-plus-plus --dtype float16
  glmha convert --to-published restormer-derain restormer.pth"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SRC", type=Path, help=".pth file, or model")
    parser.add_argument("destination", metavar="DST", type=Path, help="folder, or .pth file")
    parser.add_argument(
        "--dtype", choices=("float32", "float16", "bfloat16"), help="how to store the weights"
    )
    parser.add_argument(
        "--to-published", action="store_true", help="write a checkpoint for the published code"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace DST if it exists")


def run(arguments: argparse.Namespace) -> None:
    if not arguments.to_published and not arguments.source.exists():
        raise FileNotFoundError(f"{arguments.source} does not exist")
    if arguments.destination.exists() and not arguments.overwrite:
        raise FileExistsError(f"{arguments.destination} exists; add --overwrite to replace it")
    from transformers.utils import logging

    logging.disable_progress_bar()
    if arguments.to_published:
        _to_published(arguments)
    else:
        _from_published(arguments)


def _from_published(arguments: argparse.Namespace) -> None:
    import torch

    from ..convert.conversion import convert_checkpoint

    done = convert_checkpoint(
        arguments.source,
        arguments.destination,
        dtype=getattr(torch, arguments.dtype) if arguments.dtype else None,
        overwrite=arguments.overwrite,
    )
    wrapper = f" (from its {done.wrapper})" if done.wrapper else ""
    print(f"{done.architecture}, {done.parameters:,} parameters{wrapper}: {done.folder}")


def _to_published(arguments: argparse.Namespace) -> None:
    import torch
    from transformers import AutoModelForImageToImage

    from ..convert.conversion import export_checkpoint
    from ..hub.pull import model_folder

    dtype = getattr(torch, arguments.dtype or "float32")
    folder = model_folder(arguments.source)
    model = AutoModelForImageToImage.from_pretrained(folder, dtype=dtype)
    print(export_checkpoint(model, arguments.destination, overwrite=arguments.overwrite))
