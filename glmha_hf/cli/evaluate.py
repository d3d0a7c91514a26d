"""Score models on test sets as the papers do: a table, every picture's scores, the worst cases."""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..evaluation.run import Processes

EXAMPLES = """A MODEL is a zoo name, a folder, a Hub id, or the word `input`, which scores the
degraded pictures themselves. A SET is a folder: input/ and target/, test/NAME/{input,target},
clean pictures to be noised (denoising), ARAD-1K (Train_RGB/, Train_Spec/, split_txt/),
CASSI scenes (scene*.mat, mask.mat), SIDD's .mat blocks, a saved Hugging Face dataset;
or INPUTS,TARGETS; or a dataset's name on the Hub. The same command resumes.

examples:
  glmha evaluate my-model input --data Datasets/test/Rain100L Datasets/test/Test100
  glmha evaluate my-model --data photos/rainy,photos/clean --protocol deraining --worst 5
  glmha evaluate denoiser --data CBSD68 --sigma 15 25 50 --json
  glmha evaluate my-mst --data TSA_simu_data --baseline gap-tv
  glmha evaluate glmha-restormer-derain input --data photos --degrade rain validation_rain
  glmha evaluate my-deblurrer --data GoPro --local 256 384"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models", metavar="MODEL", nargs="*", help="zoo name, folder, Hub id, or input"
    )
    parser.add_argument("--data", metavar="SET", nargs="+", required=True, help="test sets")
    parser.add_argument(
        "--protocol", help="deraining, deblurring, denoising, ntire2022 or cassi; told by the set"
    )
    parser.add_argument(
        "--sigma", type=float, nargs="+", default=[], help="noise levels (15 25 50)"
    )
    parser.add_argument(
        "--degrade",
        nargs="+",
        default=[],
        metavar="HOW",
        help="the set is clean pictures: rain, validation_rain, motion_blur, none, ...",
    )
    parser.add_argument("--split", help="of a dataset (test) or of ARAD-1K (valid)")
    parser.add_argument(
        "--columns",
        nargs=2,
        default=("input", "target"),
        metavar=("INPUT", "TARGET"),
        help="a dataset's picture columns (input target)",
    )
    parser.add_argument(
        "--baseline",
        nargs="+",
        default=[],
        metavar="NAME",
        help="score beside: linear, polynomial (RGB to cubes), gap-tv (snapshots), bm3d (noise)",
    )
    parser.add_argument(
        "--fit", type=Path, metavar="FOLDER", help="whose train split regressions are fitted to"
    )
    parser.add_argument("--limit", type=int, help="only so many pictures of each set")
    parser.add_argument(
        "--output", type=Path, default=Path("evaluation"), help="folder of the results (evaluation)"
    )
    parser.add_argument("--fresh", action="store_true", help="do not resume an earlier run")
    parser.add_argument("--save-pictures", action="store_true", help="keep what the models make")
    parser.add_argument("--worst", type=int, default=3, help="pictures on a worst-case sheet (3)")
    parser.add_argument("--device", help="cpu, cuda, ... (cuda where there is one)")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="precision"
    )
    parser.add_argument(
        "--local",
        type=int,
        nargs="+",
        default=[],
        metavar="SIZE",
        help="score each model also with its attention on SIZE×SIZE windows",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")


def run(arguments: argparse.Namespace, processes: "Processes | None" = None) -> None:
    """One process's part; the first one prints and writes the reports."""
    _check(arguments)
    from ..evaluation.opening import open_sets

    sets = [
        each
        for place in arguments.data
        for each in open_sets(
            place,
            protocol=arguments.protocol,
            sigmas=arguments.sigma,
            split=arguments.split,
            columns=tuple(arguments.columns),
            degradations=arguments.degrade,
        )
    ]
    import torch

    from ..evaluation.baselines import load_baselines
    from ..evaluation.report import as_json, as_table, write_reports
    from ..evaluation.restorers import INPUT, load_restorer
    from ..evaluation.run import Processes, evaluate
    from ..hub.facts import portable_command

    processes = processes or Processes()
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = getattr(torch, arguments.dtype)
    restorers = [
        load_restorer(name, device=device, dtype=dtype, local_window=window)
        for name in arguments.models
        for window in ([None] if name == INPUT else [None, *arguments.local])
    ]
    restorers += load_baselines(arguments.baseline, sets, training=arguments.fit, device=device)
    results = evaluate(
        restorers,
        sets,
        output=arguments.output,
        limit=arguments.limit,
        fresh=arguments.fresh,
        save_pictures=arguments.save_pictures,
        processes=processes,
    )
    if not processes.is_main:
        return
    told = {
        "command": portable_command("glmha", arguments.words),
        "baselines": arguments.baseline,
        **as_json(results),
    }
    as_text = json.dumps(told, indent=2, ensure_ascii=False)
    write_reports(results, arguments.output, json_text=as_text, baselines=arguments.baseline)
    if arguments.worst:
        from ..evaluation.worst import write_worst_sheets

        write_worst_sheets(
            results, restorers, sets, arguments.output / "worst", count=arguments.worst
        )
    print(as_text if arguments.json else as_table(results, baselines=arguments.baseline))
    print(f"reports and sheets: {arguments.output}", file=sys.stderr)


def _check(arguments: argparse.Namespace) -> None:
    if not (arguments.models or arguments.baseline):
        raise ValueError("there is nothing to score: name a MODEL, input, or a --baseline")
    if arguments.limit is not None and arguments.limit < 1:
        raise ValueError(f"--limit starts at 1, not {arguments.limit}")
    if arguments.worst < 0:
        raise ValueError(f"--worst starts at 0, not {arguments.worst}")
    for sigma in arguments.sigma:
        if not 0 < sigma < math.inf:
            raise ValueError(f"--sigma is above 0, in 8-bit levels, not {sigma:g}")
    if arguments.output.exists() and not arguments.output.is_dir():
        raise NotADirectoryError(f"{arguments.output} is a file; --output needs a folder")
