"""Restore pictures: files, folders, patterns, animations, or standard input."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..inference.files import Job, plan_jobs
from ..inference.processes import rank, world_size
from .running import add_running_arguments, progress_bar, run_files

if TYPE_CHECKING:
    from ..inference.folder import FolderRun, Tally

EXAMPLES = """Names, formats, bit depth, alpha, EXIF and ICC are kept. Pictures that are done are
skipped, so that an interrupted run goes on where it stopped; bad files are named and
the exit status is then 1. Without -o, NAME_restored stands beside NAME.

examples:
  glmha restore rainy.jpg --model restormer-derain
  glmha restore photos -r --model restormer-derain -o restored --compare sheet.png
  glmha restore 'frames/*.png' --model my-model -o clean --batch-size 4
  glmha restore scan.tif --model my-model -o clean.png --tile 512 --dtype bfloat16
  cat rainy.png | glmha restore - --model my-model > clean.png"""

STREAM = "-"
BAR_FORMAT = "{percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} MP [{elapsed}<{remaining}, {rate_fmt}]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs", metavar="INPUT", nargs="+", help="file, folder, pattern, or - for standard input"
    )
    parser.add_argument(
        "-m", "--model", required=True, metavar="NAME", help="zoo name, folder or Hub id"
    )
    parser.add_argument("-o", "--output", metavar="OUT", help="folder, file, or - (stdout)")
    parser.add_argument("-r", "--recursive", action="store_true", help="folders inside folders")
    parser.add_argument("--suffix", help="added to names (default: _restored without -o)")
    parser.add_argument(
        "--overwrite", action="store_true", help="restore what is done again, replace SHEET"
    )
    parser.add_argument("--local", type=int, metavar="SIZE", help="attention on SIZE×SIZE windows")
    parser.add_argument(
        "--compare", metavar="SHEET", type=Path, help="before and after, as a sheet"
    )
    add_running_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from ..hub.pull import model_folder

    model_folder(arguments.model)
    if arguments.compare:
        _check_sheet(arguments.compare, overwrite=arguments.overwrite)
    if STREAM in (*arguments.inputs, arguments.output):
        return _restore_stream(arguments)
    jobs, status = run_files(
        arguments,
        lambda report: plan_jobs(
            arguments.inputs,
            output=arguments.output,
            suffix=arguments.suffix,
            recursive=arguments.recursive,
            overwrite=arguments.overwrite,
            report=report,
        ),
        lambda mine: _restore_jobs(mine, arguments),
        made="restored",
    )
    if rank() == 0 and arguments.compare and any(job.target.exists() for job in jobs):
        _write_sheet(jobs, arguments.compare)
    return status


def _restore_jobs(jobs: Sequence[Job], arguments: argparse.Namespace) -> "Tally":
    def megapixels() -> float:
        return sum(map(_megapixels, jobs))

    with progress_bar(megapixels, quiet=arguments.quiet, bar_format=BAR_FORMAT, unit="MP") as bar:
        return _folder_run(arguments, bar).run(jobs)


def _folder_run(arguments: argparse.Namespace, bar: Any) -> "FolderRun":
    from ..inference.folder import FolderRun
    from ..inference.restoration import Restorer

    restorer = Restorer.load(
        arguments.model,
        dtype=arguments.dtype,
        device=arguments.device,
        local_window=arguments.local,
        tile=arguments.tile,
        overlap=arguments.overlap,
        batch_size=arguments.batch_size,
    )
    restorer.check_restores()
    return FolderRun(
        restorer=restorer,
        max_pixels=arguments.max_pixels,
        progress=lambda pixels: bar.update(pixels / 1e6),
        report=lambda line: bar.write(f"glmha restore: {line}", file=sys.stderr),
    )


def _restore_stream(arguments: argparse.Namespace) -> int:
    """One picture through a temporary folder, because 16-bit colour is read from files only."""
    if len(arguments.inputs) > 1 or world_size() > 1:
        raise ValueError("- takes one picture and one process")
    if arguments.compare:
        raise ValueError("--compare needs pictures in files")
    name, output = arguments.inputs[0], arguments.output
    to_stdout = output in (None, STREAM)
    if not to_stdout:
        if Path(output).is_dir() or output.endswith(("/", os.sep)):
            raise IsADirectoryError(f"{output} is a folder: give the file's name")
        if Path(output).exists() and not arguments.overwrite:
            raise FileExistsError(f"{output} exists; add --overwrite to replace it")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(name)
        if name == STREAM:
            source = Path(folder, "standard input")
            source.write_bytes(sys.stdin.buffer.read())
        # The name's ending tells the format; standard output keeps the input's.
        target = Path(folder, f"restored{source.suffix}") if to_stdout else Path(output)
        tally = _restore_jobs([Job(source, target)], arguments)
        if tally.failed:
            return 1
        if to_stdout:
            sys.stdout.buffer.write(target.read_bytes())
            sys.stdout.buffer.flush()
    return 0


def _check_sheet(path: Path, *, overwrite: bool) -> None:
    """Before hours of work: the sheet's name is that of a picture, and of nobody else's."""
    from ..evaluation.files import format_named

    format_named(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; add --overwrite to replace it")


def _write_sheet(jobs: Sequence[Job], path: Path) -> None:
    from ..evaluation.files import save_picture
    from ..inference.folder import comparison_sheet

    save_picture(comparison_sheet(jobs), path)


def _megapixels(job: Job) -> float:
    from PIL import Image

    try:
        with Image.open(job.source) as image:
            return image.width * image.height * getattr(image, "n_frames", 1) / 1e6
    except Exception:
        return 0.0
