"""The published models' goldens: their checkpoints, inputs and outputs."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

GOLDEN = Path(__file__).parent / "golden"
PUBLISHED_MODELS = sorted(
    path.stem for path in GOLDEN.glob("*.safetensors") if not path.stem.startswith("glmha_layer")
)
GLMHA_LAYERS = sorted(path.stem for path in GOLDEN.glob("glmha_layer_*.safetensors"))


@dataclass(frozen=True)
class Golden:
    tensors: dict[str, Tensor]
    meta: dict

    @property
    def weights(self) -> dict[str, Tensor]:
        """The checkpoint under its published key names."""
        prefix = "weights."
        return {
            key.removeprefix(prefix): value
            for key, value in self.tensors.items()
            if key.startswith(prefix)
        }

    @property
    def inputs(self) -> dict[str, Tensor]:
        if "input" not in self.tensors:
            return cassi_inputs()
        inputs = {"pixel_values": self.tensors["input"]}
        if "mask" in self.tensors:
            inputs["mask"] = self.tensors["mask"]
        return inputs

    def deviation(self, reconstruction: Tensor) -> float:
        """The largest difference to the published output, relative to its largest value."""
        stride = self.meta["output_stride"]
        output = self.tensors["output"]
        difference = (reconstruction[..., ::stride, ::stride] - output).abs().max()
        return float(difference / output.abs().max())


def read_golden(name: str) -> Golden:
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return Golden(tensors, json.loads(file.metadata()["meta"]))


def cassi_inputs() -> dict[str, Tensor]:
    """The measurement and shifted mask that the CASSI golden describes by formulas."""
    band, row, column = torch.meshgrid(
        *(torch.arange(size, dtype=torch.float64) for size in (28, 256, 256)), indexing="ij"
    )
    measurement = 0.5 + 0.5 * torch.sin(0.3 * band + 0.05 * row + 0.07 * column)
    row, column = row[0].long(), column[0].long()
    code = (((7 * row + 13 * column + (row * column) % 11) % 5) < 2).float()
    mask = torch.zeros(1, 28, 256, 310)
    for index in range(28):
        mask[0, index, :, 2 * index : 2 * index + 256] = code
    return {"pixel_values": measurement.float()[None], "mask": mask}
