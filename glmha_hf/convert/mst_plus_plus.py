"""Checkpoints of the published MST++, for RGB pictures and for CASSI."""

from ..models.configuration_mst_plus_plus import MstPlusPlusConfig
from ..models.modeling_mst_plus_plus import MstPlusPlusForSpectralReconstruction
from .adapter import Adapter, Correspondence, Shapes, count_children
from .mst import as_correspondences, network_names, read_num_blocks


def read_config(shapes: Shapes) -> MstPlusPlusConfig:
    dim, in_channels = shapes["conv_in.weight"][:2]
    return MstPlusPlusConfig(
        in_channels=in_channels,
        out_channels=shapes["conv_out.weight"][0],
        dim=dim,
        num_stages=count_children(shapes, "body."),
        num_blocks=read_num_blocks(shapes, "body.0."),
        mask_input="fution.weight" in shapes,
    )


def correspondences(config: MstPlusPlusConfig) -> list[Correspondence]:
    names = {"conv_in.weight": "embedding.weight", "conv_out.weight": "mapping.weight"}
    if config.mask_input:
        names |= {"fution.weight": "mask_fusion.weight", "fution.bias": "mask_fusion.bias"}
    stage_names = {
        "embedding.weight": "embedding.weight",
        "mapping.weight": "mapping.weight",
        **dict(network_names(config.num_blocks, masked=False)),
    }
    for stage in range(config.num_stages):
        names |= {
            f"body.{stage}.{published}": f"stages.{stage}.{ours}"
            for published, ours in stage_names.items()
        }
    return as_correspondences(names)


ADAPTER = Adapter(
    name="MST++",
    signature=r"body\.0\.encoder_layers\.0\.0\.blocks\.0\.0\.to_q\.weight",
    model_class=MstPlusPlusForSpectralReconstruction,
    read_config=read_config,
    correspondences=correspondences,
)
