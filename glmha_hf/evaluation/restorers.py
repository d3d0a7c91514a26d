"""What restores a sample: a zoo model, or nothing at all (`input`), which scores the input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..inference.exported import takes_mask
from ..inference.local_statistics import local_statistics
from ..inference.network import input_dtype, load_network, load_processor
from ..models.modeling_base import ChannelAttentionModel
from .baselines import Baseline
from .sets import Sample, TestSet, degraded_input, digest

INPUT = "input"


class InputRestorer:
    """Leaves the input as it is: what every model has to beat."""

    name = INPUT
    gray = False
    fingerprint = INPUT
    facts: dict[str, Any] = {}  # noqa: RUF012

    def require_fit(self, test_set: TestSet) -> None:
        if test_set.input_kind == "rgb":
            raise ValueError(
                f"{test_set.name}: an RGB picture has no bands to score; leave {INPUT} out"
            )

    def restore(self, sample: Sample) -> np.ndarray:
        return degraded_input(sample)


class ModelRestorer:
    """A model with its processor, on one device, one sample at a time and never in tiles.

    With a `local_window` it is another model: its statistics are those of windows.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        name: str,
        device: str | torch.device = "cpu",
        local_window: int | None = None,
    ) -> None:
        self.name = name
        self.model = model.to(device).eval()
        self.processor = processor
        self.local_window = local_window
        self.fingerprint = fingerprint(model, processor, torch.device(device).type)
        if local_window is not None:
            self.name += f", windows of {local_window}"
            self.model = local_statistics(self.model, window=local_window)
            self.fingerprint = digest(self.fingerprint.encode(), str(local_window).encode())

    @property
    def config(self) -> Any:
        return self.model.config

    @property
    def gray(self) -> bool:
        return self.config.in_channels == self.config.out_channels == 1

    @property
    def facts(self) -> dict[str, Any]:
        """What tells the model's row in a table of the paper."""
        reduction = self.config.kv_reduction
        attention = self.config.attention
        return {
            "architecture": self.config.model_type,
            "attention": attention if isinstance(attention, str) else list(attention),
            "kv_reduction": reduction if isinstance(reduction, (int, float)) else list(reduction),
            "alpha": self.config.alpha,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            **({} if self.local_window is None else {"local_window": self.local_window}),
        }

    def require_fit(self, test_set: TestSet) -> None:
        """Refuse a set of another kind before anything runs."""
        takes, gives = self.config.in_channels, self.config.out_channels
        masked = takes_mask(self.config)
        wanted = {
            "picture": not masked and takes == gives and takes in (1, 3),
            "rgb": not masked and takes == 3 and gives > 3,
            "snapshot": masked,
        }
        if not wanted[test_set.input_kind]:
            model = f"{takes} channels{' and a mask' if masked else ''} to {gives}"
            needs = {
                "picture": "pictures to pictures",
                "rgb": "3 channels to the bands of a cube",
                "snapshot": "a snapshot and its mask to a cube",
            }[test_set.input_kind]
            raise ValueError(
                f"{self.name} ({self.config.model_type}) maps {model}, but {test_set.name} "
                f"({test_set.protocol}) needs a model from {needs}"
            )

    def restore(self, sample: Sample) -> np.ndarray:
        """The reconstruction, C×H×W floats, as the network gives it."""
        with torch.inference_mode():
            return self.model(**self.inputs(sample)).reconstruction[0].float().cpu().numpy()

    def inputs(self, sample: Sample) -> dict[str, Tensor]:
        """The processor's tensors of one sample, on the model's device and in its precision."""
        if sample.snapshot is not None:
            made = self.processor(images=sample.snapshot, mask=sample.mask)
        else:
            made = self.processor(images=sample.picture)
        dtype = input_dtype(self.model)
        return {key: value.to(self.model.device, dtype) for key, value in made.items()}


Restorer = InputRestorer | ModelRestorer | Baseline


def load_restorer(
    name: str,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    local_window: int | None = None,
) -> Restorer:
    """`input`, or a folder, a zoo name or a Hub id; `local_window` as in `local_statistics`."""
    if name == INPUT:
        return InputRestorer()
    model = load_network(name, dtype=dtype, device=device)
    if not isinstance(model, ChannelAttentionModel):
        raise ValueError(f"{name} is an exported model: score the one that it was made from")
    label = Path(name).resolve().name if Path(name).is_dir() else name
    return ModelRestorer(
        model, load_processor(name, model), name=label, device=device, local_window=local_window
    )


def fingerprint(model: Any, processor: Any, device: str) -> str:
    """Digest of weights, configuration, processor and precision; where they lie is no matter."""
    config = model.config.to_dict()
    for passing in ("_name_or_path", "transformers_version", "auto_map"):
        config.pop(passing, None)
    settings = json.dumps([config, processor.to_dict(), str(model.dtype), device], sort_keys=True)
    weights = (
        part
        for key, tensor in sorted(model.state_dict().items())
        for part in (
            key.encode(),
            tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(),
        )
    )
    return digest(settings.encode(), *weights)
