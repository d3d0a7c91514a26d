"""A model and its processor by name, ready to run: trained or exported, on any device."""

import contextlib
import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from huggingface_hub.utils import are_progress_bars_disabled
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageToImage
from transformers.utils import IMAGE_PROCESSOR_NAME, logging

from ..convert.conversion import processor_for
from ..hub.pull import model_folder
from ..models.configuration_attention import ChannelAttentionConfig
from ..models.modeling_base import ChannelAttentionModel
from ..registration import model_class_of
from .exported import ExportedNetwork, exported_file


class Network(Protocol):
    """What inference asks of a model, trained or exported."""

    config: Any

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def __call__(self, pixel_values: Tensor, mask: Tensor | None = None) -> Any: ...


def load_network(
    model: Any, *, dtype: torch.dtype | str | None = None, device: torch.device | str | None = None
) -> Network:
    """A model by its name (see `model_folder`), or the given one, copied if moved or cast."""
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise ValueError("dtype is a torch type such as bfloat16")
    if not isinstance(model, (str, Path)):
        same = dtype in (None, model.dtype) and device in (None, str(model.device), model.device)
        return model if same else copy.deepcopy(model).to(device=device, dtype=dtype)
    folder = model_folder(model)
    if exported_file(folder) is not None:
        if dtype not in (None, torch.float32) or torch.device(device or "cpu").type != "cpu":
            raise ValueError(f"{model} is an exported model: it runs in float32 on the CPU")
        return ExportedNetwork.from_folder(folder)
    try:
        with _without_bars():
            network = AutoModelForImageToImage.from_pretrained(
                folder, **({"dtype": dtype} if dtype else {})
            )
    except SafetensorError as error:
        raise ValueError(f"the weights in {folder} are damaged: {error}") from None
    if not isinstance(network.config, ChannelAttentionConfig):
        raise ValueError(f"{model} holds a {network.config.model_type}, which is not of the zoo")
    return network.to(default_device() if device is None else device).eval()


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Weights of a few megabytes are there before a bar is; who wants none is left alone."""
    shown = logging.is_progress_bar_enabled() and not are_progress_bars_disabled()
    if shown:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def load_processor(model: Any, network: Network) -> Any:
    """The folder's processor; the one that suits the model's input where there is none."""
    if isinstance(model, (str, Path)):
        folder = model_folder(model)
        if (folder / IMAGE_PROCESSOR_NAME).is_file():
            return AutoImageProcessor.from_pretrained(folder)
    return processor_for(network.config)


def input_dtype(network: Network) -> torch.dtype:
    """Inputs stay in float32 where weights are narrower, so that what is kept of them is exact."""
    return torch.promote_types(network.dtype, torch.float32)


def default_device() -> torch.device:
    """This process's GPU where there is one."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def reference_form(network: ChannelAttentionModel) -> ChannelAttentionModel:
    """The same weights in a model that computes as published, operation by operation."""
    config = copy.deepcopy(network.config)
    config.fused = False
    with torch.device("meta"):
        reference = model_class_of(config)(config)
    reference.load_state_dict(network.state_dict(), assign=True)
    return reference.train(network.training)
