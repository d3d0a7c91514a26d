"""Reconstruct spectral cubes: RGB pictures to 31 bands, CASSI snapshots and a mask to 28."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..inference.files import Job
from .running import add_running_arguments, positive, progress_bar, run_files

if TYPE_CHECKING:
    from ..data.cube_formats import SpectralCube
    from ..inference.cubes import CubeRun, Reconstructor
    from ..inference.folder import Tally

EXAMPLES = """A snapshot is a .mat (variable meas_real or meas), a .npy or a gray picture, H×W'.
Each cube gets NAME.srgb.png, its colours, and NAME.spectra.png. Wavelengths are inside .mat and
.hdr files; a .npy file has them in NAME.wavelengths.txt. Cubes that are done are skipped,
bad files are named and the exit status is then 1. `gap-tv` inverts snapshots without a model.

examples:
  glmha reconstruct photos -r --model glmha-mst-plus-plus-rgb2hsi -o cubes
  glmha reconstruct scan.tif --model my-model -o scan.hdr --tile 512
  glmha reconstruct scene1.mat --mask mask.mat --model mst-cassi -o cubes --format mat
  glmha reconstruct scene1.mat --mask mask.mat --model gap-tv -o cubes --exposure auto"""

GAP_TV = "gap-tv"
BAR_FORMAT = "{percentage:3.0f}%|{bar}| {n:.1f}/{total} cubes [{elapsed}<{remaining}]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="file, folder or pattern")
    parser.add_argument(
        "-m",
        "--model",
        required=True,
        metavar="MODEL",
        help=f"zoo name, folder, Hub id, or {GAP_TV}",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="folder, or one .npy, .mat or .hdr"
    )
    parser.add_argument("--format", choices=("npy", "mat", "envi"), help="default: npy")
    parser.add_argument(
        "--mask", type=Path, help="H×W, .mat or .npy: what a snapshot was taken with"
    )
    parser.add_argument("--variable", metavar="NAME", help="the snapshot's name in its .mat file")
    parser.add_argument(
        "--peak",
        type=_above_zero,
        metavar="VALUE",
        help="brightest value that a model is given of a snapshot (captured: 0.8; else as it is)",
    )
    parser.add_argument(
        "--tv-weight", type=_above_zero, metavar="W", help=f"smoothing of {GAP_TV} (0.1)"
    )
    parser.add_argument(
        "--iterations", type=positive, metavar="N", help=f"iterations of {GAP_TV} (100)"
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="folders inside folders")
    parser.add_argument("--overwrite", action="store_true", help="reconstruct what is done again")
    parser.add_argument(
        "--preview",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="colours and spectra beside each cube",
    )
    parser.add_argument(
        "--exposure",
        type=exposure,
        default=1.0,
        metavar="X",
        help="brightness of the preview: a factor (1), or auto",
    )
    add_running_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from ..inference.cube_jobs import plan_cubes

    snapshots = _takes_snapshots(arguments)
    _, status = run_files(
        arguments,
        lambda report: plan_cubes(
            arguments.inputs,
            output=arguments.output,
            format=arguments.format,
            snapshots=snapshots,
            mask=arguments.mask,
            recursive=arguments.recursive,
            report=report,
        ),
        lambda mine: _reconstruct_jobs(mine, arguments, snapshots),
        made="reconstructed",
    )
    return status


def _takes_snapshots(arguments: argparse.Namespace) -> bool:
    """Whether the inputs are snapshots, as the model's configuration says; the mask must agree."""
    if arguments.model == GAP_TV:
        snapshots = True
    else:
        from transformers import AutoConfig

        from ..hub.pull import model_folder
        from ..inference.exported import takes_mask

        config: Any = AutoConfig.from_pretrained(model_folder(arguments.model))
        if getattr(config, "out_channels", 3) in (1, 3):
            raise ValueError(f"{arguments.model} makes pictures, not cubes: use glmha restore")
        snapshots = takes_mask(config)
        for option in ("tv_weight", "iterations"):
            if getattr(arguments, option) is not None:
                raise ValueError(f"--{option.replace('_', '-')} is for {GAP_TV} only")
    if snapshots and arguments.mask is None:
        raise ValueError(f"{arguments.model} takes snapshots: give --mask, the one of the camera")
    if not snapshots:
        for option in ("mask", "variable", "peak"):
            if getattr(arguments, option) is not None:
                raise ValueError(f"{arguments.model} takes RGB pictures: leave --{option} out")
    return snapshots


def _reconstruct_jobs(
    jobs: Sequence[Job], arguments: argparse.Namespace, snapshots: bool
) -> "Tally":
    count = len(jobs)
    with progress_bar(
        lambda: count, quiet=arguments.quiet, bar_format=BAR_FORMAT, unit="cubes"
    ) as bar:
        return _cube_run(arguments, bar, snapshots).run(jobs)


def _cube_run(arguments: argparse.Namespace, bar: Any, snapshots: bool) -> "CubeRun":
    from ..inference.cubes import CubeRun

    return CubeRun(
        reconstructor=_reconstructor(arguments, snapshots),
        view=_view(arguments.exposure) if arguments.preview else None,
        progress=bar.update,
        report=lambda line: bar.write(f"glmha reconstruct: {line}", file=sys.stderr),
    )


def _view(exposure: Any) -> "Callable[[SpectralCube, Path], None]":
    from ..analysis.cube_views import write_views
    from ..analysis.plots import plot_style

    plot_style()  # without matplotlib this says so before anything runs
    return lambda cube, path: write_views(cube, path, exposure=exposure)


def _reconstructor(arguments: argparse.Namespace, snapshots: bool) -> "Reconstructor":
    from ..inference import cubes

    reading = {"variable": arguments.variable, "peak": arguments.peak}
    if arguments.model == GAP_TV:
        reader = cubes.SnapshotReader.open(arguments.mask, **reading)
        given = {"iterations": arguments.iterations, "tv_weight": arguments.tv_weight}
        chosen = {name: value for name, value in given.items() if value is not None}
        return cubes.GapTvReconstructor(reader=reader, **chosen)

    from ..inference.restoration import Restorer

    restorer = Restorer.load(
        arguments.model,
        dtype=arguments.dtype,
        device=arguments.device,
        tile=arguments.tile,
        overlap=arguments.overlap,
        batch_size=arguments.batch_size,
    )
    cubes.model_wavelengths(restorer)
    if not snapshots:
        return cubes.PictureReconstructor(restorer=restorer, max_pixels=arguments.max_pixels)
    processor = restorer.processor
    reader = cubes.SnapshotReader.open(
        arguments.mask, bands=processor.bands, step=processor.dispersion_step, **reading
    )
    return cubes.SnapshotReconstructor(restorer=restorer, reader=reader)


def exposure(text: str) -> Any:
    return text if text == "auto" else _above_zero(text)


def _above_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value
