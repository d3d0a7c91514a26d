"""Checkpoints of the published Restormer, its dual-pixel form and the 31-band one included."""

import math
from collections.abc import Iterator

from ..models.configuration_restormer import RestormerConfig
from ..models.modeling_restormer import RestormerForImageRestoration
from .adapter import Adapter, Correspondence, Shapes, count_children

LEVELS = 4


def read_config(shapes: Shapes) -> RestormerConfig:
    dim, in_channels = shapes["patch_embed.proj.weight"][:2]
    levels = [f"encoder_level{level}." for level in range(1, LEVELS)] + ["latent."]
    return RestormerConfig(
        in_channels=in_channels,
        out_channels=shapes["output.weight"][0],
        dim=dim,
        num_blocks=[count_children(shapes, level) for level in levels],
        num_refinement_blocks=count_children(shapes, "refinement."),
        num_heads=[shapes[f"{level}0.attn.temperature"][0] for level in levels],
        ffn_expansion=_expansion(
            {
                shapes[f"{level}0.norm1.body.weight"][0]: shapes[
                    f"{level}0.ffn.project_out.weight"
                ][1]
                for level in [*levels, "refinement."]
                if f"{level}0.norm1.body.weight" in shapes
            }
        ),
        bias="output.bias" in shapes,
        norm="with_bias" if "encoder_level1.0.norm1.body.bias" in shapes else "bias_free",
        skip="features" if "skip_conv.weight" in shapes else "input",
    )


def _expansion(hidden_channels: dict[int, int]) -> float:
    """The shortest factor f with int(f·channels) = hidden channels for every width."""
    low = max(hidden / channels for channels, hidden in hidden_channels.items())
    for decimals in range(8):
        factor = math.ceil(low * 10**decimals - 1e-9) / 10**decimals
        if all(int(channels * factor) == hidden for channels, hidden in hidden_channels.items()):
            return factor
    raise ValueError(f"no expansion factor gives the hidden widths {hidden_channels}")


def correspondences(config: RestormerConfig) -> list[Correspondence]:
    return [
        Correspondence(published + end, tuple(name + end for name in ours))
        for published, ours, has_bias in _modules(config)
        for end in ((".weight", ".bias") if has_bias else (".weight",))
    ] + [
        Correspondence(f"{published}.attn.temperature", (f"{ours}.attention.mixer.temperature",))
        for published, ours in _blocks(config)
    ]


def _modules(config: RestormerConfig) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Published module, the zoo's modules, and whether they have a bias."""
    bias = config.bias
    yield "patch_embed.proj", ("embedding",), False
    for level in range(1, LEVELS):
        yield f"down{level}_{level + 1}.body.0", (f"downsamples.{level - 1}.0",), False
        yield f"up{level + 1}_{level}.body.0", (f"upsamples.{LEVELS - 1 - level}.0",), False
    for level in range(2, LEVELS):
        yield f"reduce_chan_level{level}", (f"fusions.{LEVELS - 1 - level}",), bias
    if config.skip == "features":
        yield "skip_conv", ("skip",), bias
    yield "output", ("output",), bias
    for published, ours in _blocks(config):
        norm_bias = config.norm == "with_bias"
        attention = f"{ours}.attention"
        projections = [f"{attention}.{name}" for name in ("query", "key", "value")]
        yield f"{published}.norm1.body", (f"{attention}_norm",), norm_bias
        yield f"{published}.attn.qkv", tuple(f"{name}.pointwise" for name in projections), bias
        yield (
            f"{published}.attn.qkv_dwconv",
            tuple(f"{name}.depthwise" for name in projections),
            bias,
        )
        yield f"{published}.attn.project_out", (f"{attention}.project_out",), bias
        yield f"{published}.norm2.body", (f"{ours}.feed_forward_norm",), norm_bias
        feed_forward = f"{ours}.feed_forward"
        yield f"{published}.ffn.project_in", (f"{feed_forward}.project_in.pointwise",), bias
        yield f"{published}.ffn.dwconv", (f"{feed_forward}.project_in.depthwise",), bias
        yield f"{published}.ffn.project_out", (f"{feed_forward}.project_out",), bias


def _blocks(config: RestormerConfig) -> Iterator[tuple[str, str]]:
    if len(config.num_blocks) != LEVELS:
        raise ValueError(
            f"the published Restormer has {LEVELS} levels, this one {len(config.num_blocks)}"
        )
    *encoder, bottleneck = config.num_blocks
    sequences = [("latent", "bottleneck", bottleneck)]
    sequences += [("refinement", "refinement", config.num_refinement_blocks)]
    for index, count in enumerate(encoder):
        sequences += [
            (f"encoder_level{index + 1}", f"encoder.{index}", count),
            (f"decoder_level{index + 1}", f"decoder.{LEVELS - 2 - index}", count),
        ]
    for published, ours, count in sequences:
        for block in range(count):
            yield f"{published}.{block}", f"{ours}.{block}"


ADAPTER = Adapter(
    name="Restormer",
    signature=r"latent\.0\.attn\.qkv\.weight",
    model_class=RestormerForImageRestoration,
    read_config=read_config,
    correspondences=correspondences,
)
