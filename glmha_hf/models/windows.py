"""The windows of a picture that are computed one by one: where they lie, and where it ends.

Features are B×H×W×C.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Size of the widest intermediate of one window, which is to stay in cache.
WINDOW_BYTES = 1 << 22
# From how many rows on windows are as wide as the picture: those need no columns of zeros beside
# it, but a margin above and below that is large against fewer rows.
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


def windows_of(x: Tensor, channels: int) -> Iterator[tuple[slice, Window]]:
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
        added, _ = self.padding
        return x if top == bottom else x[:, added - top : x.shape[1] - (added - bottom)]


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
