"""Attention and feed-forward computed window by window, so that intermediates stay in cache.

Features are B×H×W×C here: a 1×1 convolution is a matrix product. Queries and keys are never whole:
each window adds its part of Q·Kᵀ and of the norms. What is added up stays in float32.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import ChannelSelfAttention, full_precision, without_autocast
from .windows import Window, Zeros


def streams(x: Tensor, *, fused: bool) -> bool:
    """Whether blocks take the fused form.

    With gradients that pays on a CPU, where no compiler fuses what is published.
    """
    if not torch.is_grad_enabled():
        return fused
    return fused and x.device.type == "cpu" and not torch.compiler.is_compiling()


@dataclass
class Workspace:
    """Large buffers that the blocks of a network hand on, instead of each asking for fresh pages.

    `features` may be overwritten by the block that is given them: they are what the last block
    returned, or were made for this one alone.
    """

    features: Tensor | None = None
    buffers: dict[str, Tensor] = field(default_factory=dict)

    def owns(self, features: Tensor) -> bool:
        return self.features is not None and self.features.data_ptr() == features.data_ptr()

    def hand_on(self, features: Tensor, *, spare: Tensor) -> None:
        self.features, self.buffers["spare"] = features, spare

    def take(self, name: str, like: Tensor, channels: int | None = None) -> Tensor:
        """B×H×W×channels with whatever it held before, for good."""
        shape = (*like.shape[:-1], like.shape[-1] if channels is None else channels)
        kept = self.buffers.pop(name, None)
        wanted = (shape, like.dtype, like.device)
        if kept is None or (kept.shape, kept.dtype, kept.device) != wanted:
            del kept  # before there is another
            kept = like.new_empty(shape)
        return kept

    def lend(self, name: str, like: Tensor, channels: int | None = None) -> Tensor:
        """What `take` will give out, to write into until then."""
        self.buffers[name] = self.take(name, like, channels)
        return self.buffers[name]


def normalised(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A layer norm over the last axis, with statistics in float32; without a bias Restormer's."""
    channels = (x.shape[-1],)
    if bias is not None:
        return F.layer_norm(x, channels, weight, bias, 1e-5)
    if torch.is_grad_enabled():  # none flow through the statistics that the next kernel returns
        exact = full_precision(x)
        centred = exact - exact.mean(-1, keepdim=True)
        variance = centred.square().mean(-1, keepdim=True)  # several times as fast as `var`
        return (exact * (variance + 1e-5).rsqrt()).to(x.dtype) * weight
    centred, mean, inverse_deviation = torch.native_layer_norm(x, channels, weight, None, 1e-5)
    return torch.addcmul(centred, (mean * inverse_deviation).to(x.dtype), weight)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """F.linear of B×H×W×C; float32 on a CPU goes as a 1×1 convolution.

    Convolutions run in oneDNN, with the widest vectors of whichever CPU it is; float32 matrix
    products run in MKL, which has those for Intel's alone and takes twice the time on others.
    Dilation means nothing to one pixel, but on a single thread PyTorch leaves 1×1 convolutions
    without it to MKL.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return F.linear(x, weight, bias)
    kernel = weight[:, :, None, None]
    return F.conv2d(x.permute(0, 3, 1, 2), kernel, bias, dilation=2).permute(0, 2, 3, 1)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None, zeros: Zeros) -> Tensor:
    """A 1×1 convolution, with the zeros for its output that the next one does not add by itself."""
    if bias is None:
        return linear(zeros.beside(x), weight)
    return zeros.beside(linear(x, weight, bias))


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, zeros: Zeros) -> Tensor:
    """A depth-wise convolution that eats the margin."""
    groups = weight.shape[0]
    x = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=zeros.padding, groups=groups)
    return zeros.cut(x.permute(0, 2, 3, 1))


class QueryKeySums:
    """Q·Kᵀ, the squared norms, and the projections that a mixer asks for, as sums over windows."""

    def __init__(self, mixer: ChannelSelfAttention, x: Tensor):
        H, W = x.shape[1:3]
        self.mixer = mixer
        directions = mixer.directions(H * W, x.device)
        self.directions = None if directions is None else directions.view(H, W, -1)

    def of_window(self, window: Window, query: Tensor, key: Tensor) -> list[Tensor]:
        """One window's, from queries and keys of n×h×w×channels."""
        query, key = (
            each.flatten(1, 2).unflatten(2, (self.mixer.heads, -1)).transpose(1, 2)
            for each in (query, key)
        )  # n×heads×L×d
        if query.dtype == torch.float16:  # whose largest number many a sum exceeds
            query, key = query.float(), key.float()
        if self.mixer.key_projection is not None:
            key = key @ self.mixer.key_projection.to(key.dtype).T
        sums = [squares(query), squares(key)]
        if self.mixer.needs_scores:
            sums.append(products(query, key))
        if self.directions is not None:
            directions = self.directions[window.rows, window.columns].flatten(0, 1).to(query.dtype)
            sums += [query.mT @ directions, key.mT @ directions]
        return [full_precision(each) for each in sums]

    def attention(self, sums: list[Tensor]) -> Tensor:
        """The attention map, B×h×d×r, of a whole picture's sums."""
        with without_autocast(sums[0].device):
            query_norm, key_norm = (each.clamp_min(1e-24).sqrt()[..., None] for each in sums[:2])
            rest = sums[2:]
            scores = query_norm.new_empty(0)
            if self.mixer.needs_scores:
                scores = rest.pop(0) / query_norm / key_norm.mT
            norms = (query_norm, key_norm)
            projections = (each / norm for each, norm in zip(rest, norms, strict=False))
            return self.mixer.weigh(scores, *projections)


def products(query: Tensor, key: Tensor) -> Tensor:
    """Q·Kᵀ of n×h×L×d and n×h×L×r, the way round in which PyTorch copies least."""
    if query.shape[:2] == (1, 1):
        return (key[0, 0].T @ query[0, 0]).T[None, None]
    return (key.mT @ query).mT


def squares(x: Tensor) -> Tensor:
    """Each column's squared norm, n×h×d."""
    return (x * x).sum(-2)


def output_maps(mixer: ChannelSelfAttention, attention: Tensor, weight: Tensor) -> Tensor:
    """The output projection after attention as one matrix an image: B×C×C', for the values."""
    with without_autocast(attention.device):
        attention = full_precision(attention)
        if mixer.value_projection is not None:
            attention = attention @ mixer.value_projection.to(attention.dtype)
        heads = weight.to(attention.dtype).unflatten(1, (mixer.heads, -1))  # out × h × d
        return torch.einsum("ohd,bhdr->bohr", heads, attention).flatten(2)


def through_own_maps(x: Tensor, maps: Tensor, bias: Tensor | None) -> Tensor:
    """Each image of n×h×w×C through its own matrix of n×C'×C."""
    mixed = [linear(x[at : at + 1], one, bias) for at, one in enumerate(maps.to(x.dtype))]
    return mixed[0] if len(mixed) == 1 else torch.cat(mixed)
