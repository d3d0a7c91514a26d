"""Passes over a picture in windows, so that what a window needs in between stays in cache."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .streaming import Window, windows

Results = tuple[list[Tensor], list[Tensor]]


@dataclass(frozen=True)
class Pass:
    """What is computed in every window of a picture.

    `compute(images, window, *tensors)` returns what there is to know of each pixel, n×h×w×C, and
    what is to be added up over the picture, n×…. The first tensors are pictures, B×H×W×C, of which
    it is given the window with `margins` around, as far as they go; the others it is given whole.
    A residual pass adds the first picture to its results.
    """

    compute: Callable[..., Results]
    margins: tuple[int, ...]
    channels: int  # of the widest intermediate
    residual: bool = False

    def run(self, *tensors: Any, into: Sequence[Tensor] = ()) -> Results:
        """The results, written `into` where no gradients are wanted, and the sums.

        A result may be written over a picture that has no margin. Gradients need what came in
        between: with them there is one window, which is the whole picture.
        """
        x = tensors[0]
        if torch.is_grad_enabled():
            results, sums = self.compute(slice(0, len(x)), Window.whole(x), *tensors)
            return [x + one for one in results] if self.residual else results, sums
        results, totals = list(into), list[Tensor]()
        for images, window in windows(x, self.channels):
            pixels, sums = self.compute(images, window, *self._parts(images, window, tensors))
            totals = totals or [one.new_zeros(len(x), *one.shape[1:]) for one in sums]
            for result, part in zip(results, pixels, strict=True):
                if self.residual:
                    torch.add(window.of(x[images]), part, out=window.of(result[images]))
                else:
                    window.of(result[images]).copy_(part)
            for total, part in zip(totals, sums, strict=True):
                total[images] += part
        return results, totals

    def _parts(self, images: slice, window: Window, tensors: Sequence[Any]) -> list[Any]:
        """What `compute` is given of the tensors."""
        pictures = [
            None if one is None else window.with_margin(margin)[0].of(one[images])
            for one, margin in zip(tensors, self.margins, strict=False)
        ]
        return [*pictures, *tensors[len(self.margins) :]]
