"""Score models on test sets, the pictures shared by several processes or machines.

    accelerate launch training/evaluate.py my-model --data Datasets/test/Rain100L
    torchrun --nproc-per-node 2 training/evaluate.py my-model --data Datasets/test/GoPro --cpu

The first form is for GPUs: on a CPU `accelerate launch` runs one process whatever it is told, and
torchrun runs several. The arguments and the results, to the last digit, are `glmha evaluate`'s;
the same command resumes, with any number of processes.
"""

from __future__ import annotations

import argparse
import sys
import time

from accelerate import Accelerator
from accelerate.utils import gather_object

from glmha_hf.cli import evaluate as command
from glmha_hf.errors import is_bad_input, one_line
from glmha_hf.evaluation.run import Processes


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=command.__doc__,
        epilog=command.EXAMPLES.replace("glmha evaluate", "accelerate launch training/evaluate.py"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    parser.add_argument("--cpu", action="store_true", help="leave the GPUs alone")
    options = parser.parse_args(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    options.words = ["evaluate", *(word for word in words if word != "--cpu")]  # as glmha's own
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    accelerator = Accelerator(cpu=options.cpu)
    options.device = options.device or str(accelerator.device)
    processes = Processes(
        accelerator.process_index,
        accelerator.num_processes,
        gather_object if accelerator.num_processes > 1 else list,
    )
    try:
        command.run(options, processes)
    except Exception as error:
        if not is_bad_input(error):
            raise
        if accelerator.is_local_main_process:
            print(f"evaluate: {one_line(error)}", file=sys.stderr, flush=True)
        else:
            time.sleep(2)  # torchrun ends all processes when the first has failed: let it speak
        return 2
    except KeyboardInterrupt:
        print("\nevaluate: stopped; the same command resumes", file=sys.stderr)
        return 130
    finally:
        accelerator.end_training()
    return 0


if __name__ == "__main__":
    sys.exit(main())
