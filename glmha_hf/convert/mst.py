"""Checkpoints of the published MST, for CASSI and for RGB pictures."""

from collections.abc import Iterator, Sequence

from ..models.configuration_mst import MstConfig
from ..models.modeling_mst import MstForSpectralReconstruction
from .adapter import Adapter, Correspondence, Shapes, count_children

# The published code takes the softmax over K·Qᵀ: its keys ask and its queries answer.
ATTENTION = {
    "rescale": "mixer.temperature",
    "to_k.weight": "query.weight",
    "to_q.weight": "key.weight",
    "to_v.weight": "value.weight",
    "proj.weight": "project_out.weight",
    "proj.bias": "project_out.bias",
    "pos_emb.0.weight": "position.0.weight",
    "pos_emb.2.weight": "position.2.weight",
}
MASK_GUIDANCE = {
    f"mm.{published}.{end}": f"mask_guidance.{ours}.{end}"
    for published, ours in (
        ("conv1", "embedding"),
        ("conv2", "gate_pointwise"),
        ("depth_conv", "gate_depthwise"),
    )
    for end in ("weight", "bias")
}
FEED_FORWARD = {
    "norm.weight": "norm.weight",
    "norm.bias": "norm.bias",
    "fn.net.0.weight": "expand.weight",
    "fn.net.2.weight": "depthwise.weight",
    "fn.net.4.weight": "contract.weight",
}


def read_config(shapes: Shapes) -> MstConfig:
    learned = "embedding_1.weight" in shapes
    dim, in_channels = shapes["embedding_1.weight" if learned else "embedding.weight"][:2]
    return MstConfig(
        in_channels=in_channels,
        out_channels=shapes["mapping.weight"][0],
        dim=dim,
        num_blocks=read_num_blocks(shapes, ""),
        guidance="learned" if learned else "mask",
    )


def read_num_blocks(shapes: Shapes, prefix: str) -> list[int]:
    encoder = range(count_children(shapes, f"{prefix}encoder_layers."))
    blocks = [f"{prefix}encoder_layers.{level}.0.blocks." for level in encoder]
    return [count_children(shapes, name) for name in [*blocks, f"{prefix}bottleneck.blocks."]]


def correspondences(config: MstConfig) -> list[Correspondence]:
    if config.guidance == "learned":
        ends = {
            "embedding_1.weight": "mask_embedding.weight",
            "embedding_2.weight": "embedding.weight",
        }
    else:
        ends = {"embedding.weight": "embedding.weight"}
    return as_correspondences(
        {**ends, "mapping.weight": "mapping.weight"}
        | dict(network_names(config.num_blocks, masked=True))
    )


def as_correspondences(names: dict[str, str]) -> list[Correspondence]:
    return [Correspondence(published, (ours,)) for published, ours in names.items()]


def network_names(num_blocks: Sequence[int], *, masked: bool) -> Iterator[tuple[str, str]]:
    """Published and zoo names inside one spectral U-Net."""
    *encoder, bottleneck = num_blocks
    depth = len(encoder)
    for level, count in enumerate(encoder):
        published, up = f"encoder_layers.{level}", depth - 1 - level
        yield f"{published}.1.weight", f"network.downsamples.{level}.weight"
        if masked:
            yield f"{published}.2.weight", f"network.mask_downsamples.{level}.weight"
        yield from _block_names(f"{published}.0", f"network.encoder.{level}", count, masked=masked)

        published = f"decoder_layers.{up}"
        yield f"{published}.0.weight", f"network.upsamples.{up}.weight"
        yield f"{published}.0.bias", f"network.upsamples.{up}.bias"
        yield f"{published}.1.weight", f"network.fusions.{up}.weight"
        yield from _block_names(f"{published}.2", f"network.decoder.{up}", count, masked=masked)
    yield from _block_names("bottleneck", "network.bottleneck", bottleneck, masked=masked)


def _block_names(
    published: str, ours: str, count: int, *, masked: bool
) -> Iterator[tuple[str, str]]:
    for block in range(count):
        for theirs, name in (ATTENTION | MASK_GUIDANCE if masked else ATTENTION).items():
            yield f"{published}.blocks.{block}.0.{theirs}", f"{ours}.{block}.attention.{name}"
        for theirs, name in FEED_FORWARD.items():
            yield f"{published}.blocks.{block}.1.{theirs}", f"{ours}.{block}.feed_forward.{name}"


ADAPTER = Adapter(
    name="MST",
    signature=r"encoder_layers\.0\.0\.blocks\.0\.0\.mm\.conv1\.weight",
    model_class=MstForSpectralReconstruction,
    read_config=read_config,
    correspondences=correspondences,
)
