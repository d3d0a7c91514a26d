"""What the three backbones' models have in common, from initialisation to the call."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import ImageSuperResolutionOutput
from transformers.modeling_utils import PreTrainedModel

from .attention import ChannelSelfAttention
from .configuration_attention import ChannelAttentionConfig
from .layers import LOSSES, ChannelNorm, pad_to_multiple
from .streaming import Workspace, streams

# Ten seconds of the first call: on a CPU PyTorch would have g++ compile a program for every kind of
# vector to see whether it knows them, which one that knows PyTorch's C++20 does.
COMPILER_OPTIONS: dict[str, str | int | bool | Callable] = {"cpp.vec_isa_ok": True}


@dataclass
class Recorder:
    """Keeps the features of each level and the attention map of each block, where wanted.

    And what the blocks hand on to each other: not the features that it keeps.
    """

    hidden_states: list[Tensor] | None = None
    attentions: list[Tensor] | None = None
    workspace: Workspace = field(default_factory=Workspace)

    def all_hidden_states(self) -> tuple[Tensor, ...] | None:
        return None if self.hidden_states is None else tuple(self.hidden_states)

    def all_attentions(self) -> tuple[Tensor, ...] | None:
        return None if self.attentions is None else tuple(self.attentions)

    def level(self, x: Tensor) -> None:
        if self.hidden_states is not None:
            self.hidden_states.append(x)
            self.workspace.features = None

    def block(self, attention: Tensor) -> None:
        if self.attentions is not None:
            self.attentions.append(attention)


class BlockSequence(nn.ModuleList):
    """The transformer blocks of one level, one after the other."""

    def __init__(self, blocks: Iterable[nn.Module], *, fused: bool):
        super().__init__(blocks)
        self.fused = fused

    def forward(
        self,
        x: Tensor,
        recorder: Recorder,
        contexts: Iterator[tuple[Tensor, ...]] | None = None,
        *,
        overwrites: bool = False,
    ) -> Tensor:
        """Each block is given the next of `contexts` beside the features.

        With `overwrites` x is nobody else's.
        """
        workspace = recorder.workspace if streams(x, fused=self.fused) else None
        if workspace is not None and overwrites:
            workspace.features = x
        for block in self:
            if workspace is not None and torch.is_grad_enabled():
                workspace = Workspace()  # gradients need what the last block left
            context = () if contexts is None else next(contexts)
            x, attention = block(x, *context, workspace=workspace)
            recorder.block(attention)
        recorder.level(x)
        return x


class ChannelAttentionModel(PreTrainedModel):
    """Pads, runs the backbone, crops, and takes the loss; a backbone writes `reconstruct`."""

    config_class = ChannelAttentionConfig
    main_input_name = "pixel_values"
    input_modalities = ["image"]  # noqa: RUF012
    supports_gradient_checkpointing = True
    # How its blocks were compiled, if they were; copies of the model are not.
    compiled_dynamic: bool | None = None

    def reconstruct(
        self, pixel_values: Tensor, recorder: Recorder, mask: Tensor | None = None
    ) -> Tensor:
        """The network on sides that are multiples of the configuration's `size_multiple`."""
        raise NotImplementedError

    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> ImageSuperResolutionOutput | tuple:
        """Checks, pads, reconstructs, crops and scores: the one place for each.

        Inputs may be of more precision than the weights: what is added to the input keeps it.
        `labels` are the true pictures or cubes; `mask` is for models of coded snapshots, which say
        in their `check_mask` which one they take.
        """
        self.check_weights()
        self.check_pictures(pixel_values, labels)
        self.check_mask(pixel_values, mask)
        config = self.config
        keep_states = (
            config.output_hidden_states if output_hidden_states is None else output_hidden_states
        )
        keep_maps = config.output_attentions if output_attentions is None else output_attentions
        recorder = Recorder([] if keep_states else None, [] if keep_maps else None)

        H, W = pixel_values.shape[-2:]
        padded = pad_to_multiple(pixel_values, config.size_multiple)
        if streams(padded, fused=config.fused):  # as its windows are, or each level turns it over
            padded = padded.contiguous(memory_format=torch.channels_last)
        reconstruction = self.reconstruct(padded, recorder, mask)[..., :H, :W]
        output = ImageSuperResolutionOutput(
            loss=None if labels is None else LOSSES[config.loss](reconstruction, labels),
            reconstruction=reconstruction,
            hidden_states=recorder.all_hidden_states(),
            attentions=recorder.all_attentions(),
        )
        wants_dict = config.return_dict if return_dict is None else return_dict
        return output if wants_dict else output.to_tuple()

    def check_weights(self) -> None:
        """Blocks read the weights of their layers themselves, and nobody fetches them then."""
        if getattr(self, "hf_device_map", None) and any(each.is_meta for each in self.parameters()):
            raise ValueError(
                "some of the weights are offloaded, from where these models do not fetch them: "
                "load them whole, without max_memory (they take at most some hundred megabytes)"
            )

    def get_input_embeddings(self) -> None:  # type: ignore[override]
        """There is no vocabulary; FSDP asks."""

    def compile_blocks(self, *, dynamic: bool = True) -> None:
        """Compile every transformer block by itself: those that are alike share the work.

        Unless the model is in training, the published form is compiled from here on, channels
        last: what is fused is then the compiler's choice. With `dynamic` one compilation does for
        all sizes, after a square one too.
        """
        # Every level, patch and attention is a graph of its own; the default limit is 8.
        torch._dynamo.config.recompile_limit = 128
        torch.fx.experimental._config.use_duck_shape = False
        self.compiled_dynamic = dynamic
        if not self.training:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-arg]
            for part in self.modules():
                if hasattr(part, "fused"):
                    part.fused = False  # type: ignore[assignment]
        for part in self.modules():
            if isinstance(part, BlockSequence):
                for block in part:
                    block.compile(dynamic=dynamic, options=COMPILER_OPTIONS)

    def example_inputs(self, height: int, width: int) -> dict[str, Tensor]:
        """Inputs of the right form, all zeros."""
        return {"pixel_values": torch.zeros(1, self.config.in_channels, height, width)}

    def check_pictures(self, pixel_values: Tensor, labels: Tensor | None) -> None:
        channels = self.config.in_channels
        shape = tuple(pixel_values.shape)
        if len(shape) != 4 or shape[1] != channels or 0 in shape:
            raise ValueError(f"pixel_values must be B×{channels}×H×W; they are {_times(shape)}")
        if not pixel_values.is_floating_point():
            raise ValueError(f"pixel_values must be floating-point, not {pixel_values.dtype}")
        expected = (shape[0], self.config.out_channels, *shape[2:])
        if labels is not None and tuple(labels.shape) != expected:
            raise ValueError(
                f"labels must be {_times(expected)}, as the reconstruction; they are "
                f"{_times(labels.shape)}"
            )

    def check_mask(self, pixel_values: Tensor, mask: Tensor | None) -> None:
        if mask is not None:
            raise ValueError("this model takes no mask")

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """The published codes' starting points; a weight that was loaded is left alone."""
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            if module.bias is not None:
                fan_in = module.weight[0].numel()
                init.uniform_(module.bias, -(fan_in**-0.5), fan_in**-0.5)
        elif isinstance(module, nn.Linear):
            init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, (nn.LayerNorm, ChannelNorm)):
            init.ones_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, ChannelSelfAttention):
            module.reset_parameters()


def _times(shape: tuple[int, ...] | torch.Size) -> str:
    return "×".join(map(str, shape))
