"""Exported models, called as the trained ones are: by ONNX Runtime or as a torch program.

The graph takes sides that are the model's multiple; padding and cropping are done here.
"""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig
from transformers.modeling_outputs import ImageSuperResolutionOutput

from ..models.configuration_attention import ChannelAttentionConfig
from ..models.layers import pad_to_multiple
from ..models.spectral import shift, shift_back

ONNX_FILE = "model.onnx"
PROGRAM_FILE = "model.pt2"
Graph = Callable[[dict[str, Tensor]], Tensor]


class ExportedNetwork:
    """A graph with its configuration; the same call as the model's that it was made from."""

    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, config: ChannelAttentionConfig, graph: Graph):
        self.config = config
        self.graph = graph

    @classmethod
    def from_folder(cls, folder: str | Path) -> "ExportedNetwork":
        file = exported_file(folder)
        if file is None:
            raise FileNotFoundError(f"{folder} has neither {ONNX_FILE} nor {PROGRAM_FILE}")
        open_graph = _onnx_graph if file.name == ONNX_FILE else _program_graph
        return cls(AutoConfig.from_pretrained(folder), open_graph(file))

    def __call__(self, pixel_values: Tensor, mask: Tensor | None = None) -> Any:
        channels = self.config.in_channels
        if pixel_values.ndim != 4 or pixel_values.shape[1] != channels:
            shape = "×".join(map(str, pixel_values.shape))
            raise ValueError(f"pixel_values must be B×{channels}×H×W; they are {shape}")
        if takes_mask(self.config) != (mask is not None):
            raise ValueError(f"this model takes {'a' if mask is None else 'no'} mask")
        H, W = pixel_values.shape[-2:]
        inputs = {"pixel_values": pad_to_multiple(pixel_values, self.config.size_multiple)}
        if mask is not None:
            inputs["mask"] = padded_mask(mask, W, self.config).expand(len(pixel_values), -1, -1, -1)
        reconstruction = self.graph(inputs)[..., :H, :W]
        return ImageSuperResolutionOutput(reconstruction=reconstruction)


def takes_mask(config: Any) -> bool:
    return getattr(config, "mask_input", False) or getattr(config, "guidance", "") == "mask"


def padded_mask(mask: Tensor, width: int, config: Any) -> Tensor:
    """The mask of the scene padded as its measurement is, in the form it came in."""
    if mask.shape[-1] == width:
        return pad_to_multiple(mask, config.size_multiple)
    if mask.shape[-2] % config.size_multiple == width % config.size_multiple == 0:
        return mask
    plain = shift_back(mask, config.dispersion_step, width)
    return shift(pad_to_multiple(plain, config.size_multiple), config.dispersion_step)


def exported_file(folder: str | Path) -> Path | None:
    """The exported graph of a folder."""
    files = [Path(folder) / name for name in (ONNX_FILE, PROGRAM_FILE)]
    return next((file for file in files if file.is_file()), None)


def _onnx_graph(file: Path) -> Graph:
    try:
        import onnxruntime
    except ImportError:
        raise ValueError(f"{file} needs ONNX Runtime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Tiles of several shapes: a memory plan for each would keep all of them.
    options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def graph(inputs: dict[str, Tensor]) -> Tensor:
        feed = {name: values.contiguous().numpy() for name, values in inputs.items()}
        return torch.from_numpy(session.run(None, feed)[0])

    return graph


def _program_graph(file: Path) -> Graph:
    refuse_pickles(file)
    program = torch.export.load(file)
    try:  # guards would rule out sides that are as short as those the program was traced with
        module = program.module(check_guards=False)
    except TypeError:  # of a PyTorch that has none
        module = program.module()
    return lambda inputs: module(**inputs)


def refuse_pickles(file: Path) -> None:
    """`torch.export.load` would run what a program's pickles hold besides tensors."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            pickled = [name for name in names if name.endswith((".pt", ".pkl"))]
            for name in pickled:
                torch.load(io.BytesIO(archive.read(name)), weights_only=True)
            for name in (name for name in names if name.endswith("_config.json")):
                entries = json.loads(archive.read(name))["config"].values()
                if any(entry["use_pickle"] or "custom" in entry["path_name"] for entry in entries):
                    raise pickle.UnpicklingError(f"{name} names pickled objects")
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{file} holds more than tensors and is not loaded, as that could run code: {reason}"
        ) from None
    except (zipfile.BadZipFile, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{file} is not a torch.export program: {error}") from None
