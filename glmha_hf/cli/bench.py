"""Time the fused form against the published one, over attentions, dtypes, sizes and tiles."""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .profile import read_config
from .running import positive

if TYPE_CHECKING:
    from ..analysis.benchmark import Measurement
    from ..analysis.benchmark_subjects import Subject

PLOT_FORMATS = (".png", ".pdf", ".svg")

EXAMPLES = """Ratios are to the first case of a size: the published form in float32 of the first
attention, where that is measured. Differences and PSNR are to the published form in
float32 of the same attention, else to the fused one in float32; of tiles, to the same
untiled. The seam is how much steeper the output is across tiles' borders than elsewhere,
less the same of the untiled. Without a picture weights and input are random.

examples:
  glmha bench restormer
  glmha bench mst --attention csa glmha performer --size 256 512
  glmha bench restormer --form fused --size 256 1920x1080 --memory --repeats 1 --json
  glmha bench glmha-restormer-derain --picture photo.jpg --tile 128 256
  glmha bench restormer --form fused compiled --device cuda --size 256 1024
  glmha bench restormer --size 128 256 --plot ratios.png"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL_OR_CONFIG", help="as for `glmha profile`")
    parser.add_argument("overrides", metavar="FIELD=VALUE", nargs="*", help="configuration fields")
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="measure the model's own trained weights on this picture",
    )
    parser.add_argument("--attention", nargs="+", metavar="NAME", help="default: csa glmha")
    parser.add_argument(
        "--form",
        nargs="+",
        default=["fused", "published"],
        choices=("fused", "published", "compiled"),
        help="default: fused published; the published form runs in float32 alone",
    )
    parser.add_argument(
        "--dtype",
        nargs="+",
        default=["float32", "bfloat16"],
        choices=("float32", "bfloat16", "float16"),
        help="of the fused and the compiled form (default: float32 bfloat16)",
    )
    parser.add_argument(
        "--size",
        nargs="+",
        type=picture_size,
        metavar="SIZE",
        help="sides, or WIDTHxHEIGHT (default: 256)",
    )
    parser.add_argument(
        "--tile",
        nargs="+",
        type=positive,
        default=[],
        metavar="SIDE",
        help="run the fused form in tiles of these sides too",
    )
    parser.add_argument("--repeats", type=positive, default=5, metavar="N", help="runs (5)")
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads")
    parser.add_argument("--memory", action="store_true", help="measure each case's peak memory too")
    parser.add_argument(
        "--keep-pages",
        action="store_true",
        help="keep freed memory, as the other commands and the demo do, instead of measuring an "
        "ordinary process",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios as bars (.png)")


def run(arguments: argparse.Namespace) -> None:
    if arguments.plot:
        _check_plot(arguments.plot)
    subject = _subject(arguments)
    import torch
    from transformers.utils.logging import disable_progress_bar

    from ..analysis.benchmark import as_rows, benchmark

    disable_progress_bar()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    measurements = benchmark(
        subject,
        forms=arguments.form,
        dtypes=arguments.dtype,
        tiles=arguments.tile,
        repeats=arguments.repeats,
        memory=arguments.memory,
        keep_pages=arguments.keep_pages,
        device=arguments.device,
        report=_report if sys.stderr.isatty() else lambda _: None,
    )
    if sys.stderr.isatty():
        _report("")
    machine = f"torch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.device}"
    machine += ", pages kept" if arguments.keep_pages else ""
    what = arguments.picture.name if arguments.picture else "random weights and input"
    title = f"{arguments.model}: {what}"
    if arguments.json:
        print(json.dumps(as_rows(measurements), indent=2))
    else:
        print(f"{title}; {machine}")
        print(as_table(measurements))
    if arguments.plot:
        from ..analysis.benchmark_plot import plot_ratios

        plot_ratios(measurements, arguments.plot, title=f"{title}\n{machine}")


def _check_plot(path: Path) -> None:
    """Before anything is measured."""
    from ..analysis.plots import plot_style

    if path.suffix.lower() not in PLOT_FORMATS:
        raise ValueError(f"--plot writes {', '.join(PLOT_FORMATS)}, not {path}")
    plot_style()


def _subject(arguments: argparse.Namespace) -> "Subject":
    chosen = {"attentions": arguments.attention, "sizes": arguments.size}
    given = {name: tuple(values) for name, values in chosen.items() if values}
    if arguments.picture and (given or arguments.overrides):
        raise ValueError(
            "a picture is measured in its own size, with the model's own attention and fields: "
            "leave out --size, --attention and FIELD=VALUE"
        )
    config = read_config(arguments.model, arguments.overrides)
    from ..analysis.benchmark_subjects import RandomWeights, TrainedWeights

    if arguments.picture:
        return TrainedWeights.open(arguments.model, config, picture=arguments.picture)
    return RandomWeights(config, **given)


def picture_size(text: str) -> tuple[int, int]:
    """Width and height."""
    sides = re.fullmatch(r"([1-9]\d*)(?:[x×]([1-9]\d*))?", text)
    if sides is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a side nor WIDTHxHEIGHT in pixels")
    return int(sides[1]), int(sides[2] or sides[1])


def _report(text: str) -> None:
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def as_table(measurements: "list[Measurement]") -> str:
    """Columns that nothing was measured for are left out."""
    compiles = any(one.case.form == "compiled" for one in measurements)
    columns = {
        "case": [one.case.name for one in measurements],
        "median s": [f"{one.seconds:.3f}" for one in measurements],
        "µs/pixel": [f"{one.microseconds_per_pixel:.2f}" for one in measurements],
        "ratio": [f"{one.ratio:.2f}" for one in measurements],
        "first s": [_told(one.first if compiles else None, ".1f") for one in measurements],
        "GMACs": [f"{one.gmacs:.2f}" for one in measurements],
        "of peak": [f"{one.share_of_peak:.0%}" for one in measurements],
        "max. rel. diff.": [_told(one.relative_difference, ".1e") for one in measurements],
        "PSNR dB": [_told(one.psnr, ".1f") for one in measurements],
        "seam": [_told(one.seam, "+.2%") for one in measurements],
        "peak GB": [_told(one.peak_gigabytes, ".2f") for one in measurements],
    }
    shown = {name: cells for name, cells in columns.items() if set(cells) != {"–"}}
    widths = {name: max(map(len, (name, *cells))) for name, cells in shown.items()}
    lines = zip(*((name, *cells) for name, cells in shown.items()), strict=True)
    return "\n".join(
        "  ".join(
            f"{cell:<{width}}" if place == 0 else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(line, widths.values(), strict=True))
        )
        for line in lines
    )


def _told(figure: float | None, form: str) -> str:
    return "–" if figure is None else f"{figure:{form}}"
