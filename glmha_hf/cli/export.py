"""Write a model as an ONNX graph or a torch.export program, checked against the model."""

import argparse
from pathlib import Path

EXAMPLES = """Height, width and batch stay free. `glmha restore --model DIR` runs the result.

examples:
  glmha export restormer-derain -o restormer-derain-onnx
  glmha export my-model -o my-program --format torch-export"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model folder, zoo name or Hub id")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, type=Path, help="folder")
    parser.add_argument("--format", choices=("onnx", "torch-export"), default="onnx")
    parser.add_argument("--overwrite", action="store_true", help="replace DIR if it exists")


def run(arguments: argparse.Namespace) -> None:
    if arguments.output.exists() and not arguments.overwrite:
        raise FileExistsError(f"{arguments.output} exists; add --overwrite to replace it")

    from transformers.utils.logging import disable_progress_bar

    from ..hub.pull import model_folder
    from ..inference.export import export_model
    from ..inference.network import load_network, load_processor
    from ..models.modeling_base import ChannelAttentionModel

    disable_progress_bar()
    folder = model_folder(arguments.model)
    model = load_network(folder, device="cpu")
    if not isinstance(model, ChannelAttentionModel):
        raise ValueError(f"{folder} is an exported model already")
    done = export_model(
        model,
        arguments.output,
        format=arguments.format,
        processor=load_processor(folder, model),
        overwrite=arguments.overwrite,
    )
    print(f"{done.file}: deviates by at most {done.deviation:.1e} from the model")
