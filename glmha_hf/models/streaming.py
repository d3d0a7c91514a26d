"""Attention and feed-forward computed window by window, so that intermediates stay in cache.

Features are B×H×W×C here: a 1×1 convolution is a matrix product. Queries and keys are never whole:
each window adds its part of Q·Kᵀ and of the norms. What is added up stays in float32.
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import ChannelSelfAttention, full_precision
from .layers import ChannelNorm

# Size of the widest intermediate of one window, which is to stay in cache.
WINDOW_BYTES = 1 << 22


@dataclass(frozen=True)
class Window:
    """A rectangle of a picture, and the same with a margin as far as the picture goes."""

    rows: slice
    columns: slice
    height: int
    width: int

    def with_margin(self, margin: int) -> tuple["Window", tuple[int, int, int, int]]:
        """The larger window, and how much is missing left, right, above and below."""
        top, bottom = self.rows.start - margin, self.rows.stop + margin
        left, right = self.columns.start - margin, self.columns.stop + margin
        clipped = Window(
            slice(max(top, 0), min(bottom, self.height)),
            slice(max(left, 0), min(right, self.width)),
            self.height,
            self.width,
        )
        missing = (max(-left, 0), max(right - self.width, 0))
        return clipped, (*missing, max(-top, 0), max(bottom - self.height, 0))

    def of(self, x: Tensor) -> Tensor:
        return x[:, self.rows, self.columns]


def pixels_at_once(x: Tensor, channels: int) -> int:
    """How many pixels of so many channels fill `WINDOW_BYTES`.

    Off the CPU all go at once: launches cost more there than memory traffic.
    """
    if x.device.type != "cpu":
        return math.prod(x.shape[:-1])
    return max(1, WINDOW_BYTES // (channels * x.element_size()))


def windows(x: Tensor, channels: int) -> Iterator[tuple[slice, Window]]:
    """Images of a batch, and windows of them that hold as many pixels as fit at once."""
    B, H, W, _ = x.shape
    pixels = pixels_at_once(x, channels)
    if pixels >= B * H * W:
        yield slice(0, B), Window(slice(0, H), slice(0, W), H, W)
        return
    images = max(1, pixels // (H * W))
    columns = _even_step(W, max(8, math.isqrt(2 * pixels)))
    rows = _even_step(H, max(4, pixels // columns))
    for image in range(0, B, images):
        for top in range(0, H, rows):
            for left in range(0, W, columns):
                yield (
                    slice(image, min(B, image + images)),
                    Window(
                        slice(top, min(H, top + rows)), slice(left, min(W, left + columns)), H, W
                    ),
                )


def _even_step(size: int, largest: int) -> int:
    """A step of at most `largest` that cuts `size` into nearly equal parts."""
    return math.ceil(size / math.ceil(size / largest))


@dataclass
class Workspace:
    """Large buffers that the blocks of a level hand on, instead of each asking for fresh pages.

    `features` are what the last block returned, which the next one may overwrite.
    """

    features: Tensor | None = None
    spare: Tensor | None = None
    scratch: dict[str, Tensor] = field(default_factory=dict)

    def owns(self, features: Tensor) -> bool:
        return self.features is not None and self.features.data_ptr() == features.data_ptr()

    def take_spare(self, like: Tensor) -> Tensor:
        spare, self.spare = self.spare, None
        return torch.empty_like(like) if spare is None else spare

    def hand_on(self, features: Tensor, *, spare: Tensor) -> None:
        self.features, self.spare = features, spare

    def buffer(self, name: str, like: Tensor, channels: int) -> Tensor:
        """Scratch of this name: B×H×W×channels, with whatever it held before."""
        shape = (*like.shape[:-1], channels)
        if name not in self.scratch or self.scratch[name].shape != shape:
            self.scratch[name] = like.new_empty(shape)
        return self.scratch[name]


def normalised(x: Tensor, norm: ChannelNorm | nn.LayerNorm) -> Tensor:
    """A layer norm over the last axis, of either kind, with statistics in float32."""
    channels = (x.shape[-1],)
    if norm.bias is not None:
        return F.layer_norm(x, channels, norm.weight, norm.bias, 1e-5)
    centred, mean, inverse_deviation = torch.native_layer_norm(x, channels, norm.weight, None, 1e-5)
    return torch.addcmul(centred, (mean * inverse_deviation).to(x.dtype), norm.weight)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """F.linear of B×H×W×C; float32 on a CPU goes as a 1×1 convolution.

    Convolutions run in oneDNN, with the widest vectors of whichever CPU it is; float32 matrix
    products run in MKL, which has those for Intel's alone and takes twice the time on others.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return F.linear(x, weight, bias)
    return F.conv2d(x.permute(0, 3, 1, 2), weight[:, :, None, None], bias).permute(0, 2, 3, 1)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None, missing: tuple[int, ...]) -> Tensor:
    """A 1×1 convolution, zeros standing for its output where the picture ends."""
    around = (0, 0, *missing)
    if not any(missing):
        return linear(x, weight, bias)
    if bias is None:
        return linear(F.pad(x, around), weight)
    return F.pad(linear(x, weight, bias), around)


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A depth-wise convolution that eats the margin."""
    x = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, groups=weight.shape[0])
    return x.permute(0, 2, 3, 1)


class AttentionSums:
    """Q·Kᵀ, the squared norms, and the projections that a mixer asks for, added up by windows."""

    def __init__(self, mixer: ChannelSelfAttention, x: Tensor):
        B, H, W, _ = x.shape
        self.mixer = mixer
        self.key_map = mixer.key_projection
        rank = mixer.kv_channels // mixer.heads if self.key_map is None else len(self.key_map)
        shape = (B, mixer.heads, mixer.head_channels)
        dtype = torch.promote_types(x.dtype, torch.float32)
        zeros = functools.partial(torch.zeros, dtype=dtype, device=x.device)
        self.products = zeros(*shape, rank)
        self.query_squares = zeros(shape)
        self.key_squares = zeros(B, mixer.heads, rank)
        directions = mixer.directions(H * W, x.device)
        self.directions = None if directions is None else directions.view(H, W, -1).to(x.dtype)
        if self.directions is not None:
            count = self.directions.shape[-1]
            self.query_projections = zeros(*shape, count)
            self.key_projections = zeros(B, mixer.heads, rank, count)

    def add(self, images: slice, window: Window, query: Tensor, key: Tensor) -> None:
        """One window's queries and keys, n×h×w×channels."""
        directions = None
        if self.directions is not None:
            directions = self.directions[window.rows, window.columns].flatten(0, 1)
        for index, image in enumerate(range(images.start, images.stop)):
            queries = query[index].flatten(0, 1).chunk(self.mixer.heads, dim=-1)
            keys = key[index].flatten(0, 1).chunk(self.mixer.heads, dim=-1)
            for head, (q, k) in enumerate(zip(queries, keys, strict=True)):
                if self.key_map is not None:
                    k = k @ self.key_map.to(k.dtype).T
                self._add_head((image, head), q, k, directions)

    def _add_head(
        self, at: tuple[int, int], query: Tensor, key: Tensor, directions: Tensor | None
    ) -> None:
        if self.mixer.needs_scores:
            self.products[at] += query.T @ key
        self.query_squares[at] += squares(query)
        self.key_squares[at] += squares(key)
        if directions is not None:
            self.query_projections[at] += query.T @ directions
            self.key_projections[at] += key.T @ directions

    def attention(self) -> Tensor:
        """The attention map, B×h×d×r."""
        query_norm = self.query_squares.sqrt().clamp_min(1e-12)[..., None]
        key_norm = self.key_squares.sqrt().clamp_min(1e-12)[..., None]
        scores = self.products / query_norm / key_norm.mT
        if self.directions is None:
            return self.mixer.weigh(scores)
        return self.mixer.weigh(
            scores, self.query_projections / query_norm, self.key_projections / key_norm
        )


def squares(x: Tensor) -> Tensor:
    """Each column's squared norm, as a product with ones, which is fast in half precision too."""
    ones = torch.ones(1, x.shape[0], dtype=x.dtype, device=x.device)
    return (ones @ (x * x))[0]


def output_maps(mixer: ChannelSelfAttention, attention: Tensor, weight: Tensor) -> Tensor:
    """The output projection after attention as one matrix an image: B×C×C', for the values."""
    attention = full_precision(attention)
    if mixer.value_projection is not None:
        attention = attention @ mixer.value_projection.to(attention.dtype)
    heads = weight.to(attention.dtype).unflatten(1, (mixer.heads, -1))  # out × h × d
    return torch.einsum("ohd,bhdr->bohr", heads, attention).flatten(2)


def add_mixed(
    x: Tensor, values: Tensor, maps: Tensor, bias: Tensor | None, *, out: Tensor
) -> Tensor:
    """x + the values through each image's own matrix; `out` may be x."""
    many = pixels_at_once(x, x.shape[-1] + values.shape[-1])
    for image, matrix in enumerate(maps.to(x.dtype)):
        flat = (each[image].flatten(0, 1).split(many) for each in (x, values, out))
        for rows, mixed, target in zip(*flat, strict=True):
            torch.add(rows, linear(mixed[None, None], matrix, bias)[0, 0], out=target)
    return out
