"""Time the fused form against the published one, over attentions, dtypes and sizes."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from .profile import read_config

if TYPE_CHECKING:
    from ..analysis.benchmark import Measurement

EXAMPLES = """Ratios are to the published form in float32 of the first attention, in the same run.
Weights are random.

examples:
  glmha bench restormer
  glmha bench mst --attention csa glmha performer --size 256 512
  glmha bench restormer --size 1024 --memory --repeats 1 --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL_OR_CONFIG", help="as for `glmha profile`")
    parser.add_argument("overrides", metavar="FIELD=VALUE", nargs="*", help="configuration fields")
    parser.add_argument("--attention", nargs="+", default=["csa", "glmha"], metavar="NAME")
    parser.add_argument(
        "--dtype",
        nargs="+",
        default=["float32", "bfloat16"],
        choices=("float32", "bfloat16", "float16"),
    )
    parser.add_argument("--size", nargs="+", type=int, default=[256], metavar="SIDE")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    parser.add_argument("--memory", action="store_true", help="measure each case's peak memory too")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    if min(arguments.size) < 1 or arguments.repeats < 1:
        raise ValueError("--size and --repeats need positive numbers")
    config = read_config(arguments.model, arguments.overrides)
    import torch

    from ..analysis.benchmark import as_rows, benchmark

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    measurements = benchmark(
        config,
        attentions=arguments.attention,
        dtypes=arguments.dtype,
        sizes=arguments.size,
        repeats=arguments.repeats,
        memory=arguments.memory,
        device=arguments.device,
        report=_report if sys.stderr.isatty() else lambda _: None,
    )
    if sys.stderr.isatty():
        _report("")
    if arguments.json:
        print(json.dumps(as_rows(measurements), indent=2))
    else:
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.device}")
        print(as_table(measurements))


def _report(text: str) -> None:
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def as_table(measurements: "list[Measurement]") -> str:
    lines = [
        f"{'case':<44}{'median s':>9}{'ratio':>7}{'GMACs':>9}{'of peak':>8}"
        f"{'max. rel. diff.':>16}{'PSNR dB':>8}{'peak GB':>8}"
    ]
    for one in measurements:
        memory = "" if one.peak_gigabytes is None else f"{one.peak_gigabytes:.2f}"
        lines.append(
            f"{one.case.name:<44}{one.seconds:>9.3f}{one.ratio:>7.2f}{one.gmacs:>9.2f}"
            f"{one.share_of_peak:>8.0%}{one.relative_difference:>16.1e}{one.psnr:>8.1f}{memory:>8}"
        )
    return "\n".join(lines)
