"""Tiles that attend as the picture does that they are cut from.

Channel attention looks at all of a picture, so that a tile by itself is put through another
function: spectra jump from tile to tile with the light that each one sees. What attention makes of
the whole, its maps and GLMHA's calibration, is taken from a mosaic of small patches from all over
the picture, as large as one tile; all tiles then share it, and need neither queries nor keys.
"""

import copy
from typing import Any

import torch
from torch import Tensor

from ..models.attention import ChannelSelfAttention
from ..models.modeling_base import ChannelAttentionModel
from .exported import takes_mask
from .network import Network
from .tiling import Axis, Inputs, Read, TilePlan

# The side of a mosaic's patches: large enough that borders between them count for little, small
# enough that they come from everywhere.
PATCH = 64


def can_share(network: Network) -> bool:
    """A graph's maps are out of reach; masks of coded snapshots do not fit into a mosaic."""
    return isinstance(network, ChannelAttentionModel) and not takes_mask(network.config)


def sharing_statistics(network: Any) -> ChannelAttentionModel:
    """A copy of the network, sharing its weights, that treats all it is given as it did the first.

    What comes after the first batch is tiles of the same pictures: in their order, once or
    several times over.
    """
    weights = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    twin = copy.deepcopy(network, weights)
    for mixer in twin.modules():
        if isinstance(mixer, ChannelSelfAttention):
            mixer.statistics = {}
    if twin.compiled_dynamic is not None:
        twin.compile_blocks(dynamic=twin.compiled_dynamic)  # graphs are shared, too
    return twin


def mosaic(read: Read, plan: TilePlan) -> Inputs:
    """Patches from all over the pictures, put together to one tile's size.

    Neighbours are blended: a hard edge where the pictures have none is what deblurring looks at.
    """
    rows, rows_shared = _patches(plan.rows)
    columns, columns_shared = _patches(plan.columns)
    bands = [
        _blended([read(row, column)["pixel_values"] for column in columns], columns_shared, dim=-1)
        for row in rows
    ]
    return {"pixel_values": _blended(bands, rows_shared, dim=-2)}


def _patches(axis: Axis) -> tuple[list[slice], int]:
    """Evenly spread patches, and how much of each is blended with the next; an uncut side whole."""
    if len(axis) == 1:
        return [slice(0, axis.size)], 0
    count = axis.tile // min(PATCH, axis.tile // 4)
    shared = axis.tile // count // 8
    patch = (axis.tile - shared) // count + shared
    starts = [index * (axis.size - patch) // (count - 1) for index in range(count)]
    return [slice(start, start + patch) for start in starts], shared


def _blended(patches: list[Tensor], shared: int, *, dim: int) -> Tensor:
    """Side by side, the end of each giving way to the beginning of the next."""
    rise = ((torch.arange(shared) + 0.5) / max(1, shared)).to(patches[0])
    rise = rise.view(-1, *[1] * (-1 - dim))
    joined = patches[0]
    for patch in patches[1:]:
        end, more = joined.shape[dim] - shared, patch.shape[dim] - shared
        blend = torch.lerp(joined.narrow(dim, end, shared), patch.narrow(dim, 0, shared), rise)
        joined = torch.cat(
            [joined.narrow(dim, 0, end), blend, patch.narrow(dim, shared, more)], dim
        )
    return joined
