"""Attention and feed-forward computed window by window, so that intermediates stay in cache.

Features are B×H×W×C here: a 1×1 convolution is a matrix product. Queries and keys are never whole:
each window adds its part of Q·Kᵀ and of the norms. What is added up stays in float32.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import ChannelSelfAttention, full_precision, without_autocast

# Size of the widest intermediate of one window, which is to stay in cache.
WINDOW_BYTES = 1 << 22
# From how many rows on windows are as wide as the picture: those need no columns of zeros beside
# it, but a margin above and below that is large against less rows.
LOWEST_STRIP = 12


@dataclass(frozen=True)
class Window:
    """A rectangle of a picture, and the same with a margin as far as the picture goes."""

    rows: slice
    columns: slice
    height: int
    width: int

    @classmethod
    def whole(cls, x: Tensor) -> "Window":
        """All of B×H×W×C."""
        _, H, W, _ = x.shape
        return cls(slice(0, H), slice(0, W), H, W)

    @property
    def is_whole(self) -> bool:
        return self == Window(slice(0, self.height), slice(0, self.width), self.height, self.width)

    def with_margin(self, margin: int) -> tuple["Window", "Zeros"]:
        """The larger window, and what is missing of it."""
        top, bottom = self.rows.start - margin, self.rows.stop + margin
        left, right = self.columns.start - margin, self.columns.stop + margin
        clipped = Window(
            slice(max(top, 0), min(bottom, self.height)),
            slice(max(left, 0), min(right, self.width)),
            self.height,
            self.width,
        )
        columns = (max(-left, 0), max(right - self.width, 0))
        return clipped, Zeros((*columns, max(-top, 0), max(bottom - self.height, 0)))

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
        yield slice(0, B), Window.whole(x)
        return
    images = max(1, pixels // (H * W))
    columns = W
    if pixels < LOWEST_STRIP * W:
        columns = _even_step(W, max(8, math.isqrt(2 * pixels), pixels // H))
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


def streams(x: Tensor, *, fused: bool) -> bool:
    """Whether blocks take the fused form.

    With gradients that pays on a CPU, where no compiler fuses what is published.
    """
    if not torch.is_grad_enabled():
        return fused
    return fused and x.device.type == "cpu" and not torch.compiler.is_compiling()


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

    def lend_spare(self, like: Tensor) -> Tensor:
        """What `take_spare` will give out, to write into until then."""
        self.spare = self.take_spare(like)
        return self.spare

    def hand_on(self, features: Tensor, *, spare: Tensor) -> None:
        self.features, self.spare = features, spare

    def buffer(self, name: str, like: Tensor, channels: int) -> Tensor:
        """Scratch of this name: B×H×W×channels, with whatever it held before."""
        shape = (*like.shape[:-1], channels)
        if name not in self.scratch or self.scratch[name].shape != shape:
            self.scratch[name] = like.new_empty(shape)
        return self.scratch[name]


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


@dataclass(frozen=True)
class Zeros:
    """What a window with a margin lacks left, right, above and below, where the picture ends.

    Zeros stand for it. A convolution adds them on both sides of an axis at once: columns that one
    side lacks have to be there before it; of rows it is let make too many, which are cut off.
    """

    missing: tuple[int, int, int, int]

    @property
    def padding(self) -> tuple[int, int]:
        """The convolution's own, rows and columns."""
        left, right, top, bottom = self.missing
        return max(top, bottom), min(left, right)

    def beside(self, x: Tensor) -> Tensor:
        """x with the columns that the convolution does not add by itself."""
        left, right, *_ = self.missing
        both = min(left, right)
        return x if left == right else F.pad(x, (0, 0, left - both, right - both))

    def cut(self, x: Tensor) -> Tensor:
        """The convolution's result without the rows that are too many."""
        *_, top, bottom = self.missing
        return x if top == bottom else x[:, max(bottom - top, 0) : min(bottom - top, 0) or None]


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


def within(x: Tensor, larger: Window, window: Window) -> Tensor:
    """The window's part of what was computed for a larger one."""
    top = window.rows.start - larger.rows.start
    left = window.columns.start - larger.columns.start
    height = window.rows.stop - window.rows.start
    width = window.columns.stop - window.columns.start
    return x[:, top : top + height, left : left + width]


class Maxima:
    """The adaptive max-pool of pictures to size×size, from their windows."""

    def __init__(self, like: Tensor, channels: int, size: int):
        self.size = size
        self.largest = like.new_full((len(like), size, size, channels), -torch.inf)

    def update(self, images: slice, window: Window, x: Tensor) -> None:
        """Take account of one window's n×h×w×channels."""
        size, largest = self.size, self.largest[images]
        if window.is_whole:  # the only way that gradients take
            largest[:] = F.adaptive_max_pool2d(x.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)
            return
        for row, rows in _bins(window.rows, window.height, size):
            highest = x[:, rows].amax(1)  # many times as fast as both axes at once
            for column, columns in _bins(window.columns, window.width, size):
                target = largest[:, row, column]
                torch.maximum(target, highest[:, columns].amax(1), out=target)

    def pooled(self) -> Tensor:
        """B×channels×size×size."""
        return self.largest.permute(0, 3, 1, 2)


def _bins(part: slice, length: int, count: int) -> Iterator[tuple[int, slice]]:
    """The bins of an axis that a part of it reaches into, and where in the part they lie."""
    for index in range(count):
        start = max(part.start, index * length // count)
        stop = min(part.stop, -(-(index + 1) * length // count))
        if start < stop:
            yield index, slice(start - part.start, stop - part.start)


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
