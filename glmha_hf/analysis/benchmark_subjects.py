"""What is measured: random weights on noise, or a trained model on a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..convert.conversion import processor_for
from ..hub.pull import model_folder
from ..inference.network import load_processor
from ..inference.restoration import Restorer
from ..inference.tiling import Inputs, TilePlan
from ..models.configuration_attention import ChannelAttentionConfig
from ..models.image_processing_picture import PictureProcessor, as_array
from ..models.modeling_base import ChannelAttentionModel
from ..registration import model_class_of
from .benchmark_cases import Case, Size


class Subject(Protocol):
    """Networks are the same function for all cases of one attention; inputs are of one size."""

    @property
    def config(self) -> ChannelAttentionConfig: ...

    @property
    def attentions(self) -> Sequence[str]: ...

    @property
    def sizes(self) -> Sequence[Size]: ...

    def network(self, case: Case) -> ChannelAttentionModel: ...

    def inputs(self, case: Case, network: ChannelAttentionModel) -> Inputs: ...


@dataclass(frozen=True)
class RandomWeights:
    config: ChannelAttentionConfig
    attentions: Sequence[str] = ("csa", "glmha")
    sizes: Sequence[Size] = ((256, 256),)

    def network(self, case: Case) -> ChannelAttentionModel:
        torch.manual_seed(0)
        config = self.config.changed(attention=case.attention, fused=case.form == "fused")
        return model_class_of(config)(config)

    def inputs(self, case: Case, network: ChannelAttentionModel) -> Inputs:
        generator = torch.Generator().manual_seed(0)
        return {
            name: torch.rand(zeros.shape, generator=generator)
            for name, zeros in network.example_inputs(case.height, case.width).items()
        }


@dataclass(frozen=True)
class TrainedWeights:
    """A model with the attention it was trained with, on a picture file."""

    config: ChannelAttentionConfig
    folder: Path
    picture: Path
    sizes: Sequence[Size]

    @classmethod
    def open(cls, name: str, config: ChannelAttentionConfig, *, picture: Path) -> "TrainedWeights":
        """From a folder, a zoo name or a Hub id."""
        folder = model_folder(name)
        if not any(folder.glob("*.safetensors")):
            raise ValueError(f"{name} has no weights (*.safetensors): a picture needs trained ones")
        if not isinstance(processor_for(config), PictureProcessor):
            raise ValueError(f"{name} takes CASSI snapshots, not pictures")
        height, width = as_array(picture).shape[:2]
        return cls(config, folder, picture, ((width, height),))

    @property
    def attentions(self) -> Sequence[str]:
        """One: the levels' names, where they differ."""
        names = self.config.attention
        return [names if isinstance(names, str) else "+".join(dict.fromkeys(names))]

    def network(self, case: Case) -> ChannelAttentionModel:
        return model_class_of(self.config).from_pretrained(self.folder, fused=case.form == "fused")

    def inputs(self, case: Case, network: ChannelAttentionModel) -> Inputs:
        return dict(load_processor(self.folder, network)(self.picture))


@dataclass(frozen=True)
class Run:
    """One case, ready: a call gives the output, in tiles as `restore` puts it together."""

    restorer: Restorer
    inputs: Inputs

    def __call__(self) -> Tensor:
        whole = self.restorer.tile is None
        return (self.restorer.run if whole else self.restorer.reconstruct)(self.inputs)

    @property
    def plan(self) -> TilePlan:
        return self.restorer.plan(*self.inputs["pixel_values"].shape[-2:])


def prepared(subject: Subject, case: Case, device: str) -> Run:
    network = subject.network(case).eval().to(device, getattr(torch, case.dtype))
    if case.form == "compiled":
        network.compile_blocks()
    inputs = {name: values.to(device) for name, values in subject.inputs(case, network).items()}
    return Run(Restorer(network=network, processor=None, tile=case.tile), inputs)
