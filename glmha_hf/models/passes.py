"""Passes over a picture in windows, so that what a window needs in between stays in cache."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .windows import Window, windows_of

Results = tuple[list[Tensor], list[Tensor]]


def by_windows(
    compute: Callable[..., Results],
    *pictures: Tensor | None,
    margins: tuple[int, ...],
    channels: int,
    residual: bool = False,
    into: Sequence[Tensor] = (),
) -> Results:
    """What `compute` finds in every window of pictures of B×H×W×C, put together.

    `compute(images, window, *parts)` is given the window of each picture with its margin around, as
    far as the picture goes. It returns what there is to know of each pixel, n×h×w×C, and what is to
    be added up over the picture, n×…. With `residual` the first picture is added to the results.

    Results are written `into` where no gradients are wanted, even over a picture that has no
    margin. Gradients need what came in between: with them there is one window, which is the whole
    picture. `channels` are those of the widest intermediate.
    """
    x = pictures[0]
    assert x is not None
    if torch.is_grad_enabled():
        results, sums = compute(slice(0, len(x)), Window.whole(x), *pictures)
        return [x + one for one in results] if residual else results, sums
    results, totals = list(into), list[Tensor]()
    for images, window in windows_of(x, channels):
        parts = (
            None if one is None else window.with_margin(margin)[0].of(one[images])
            for one, margin in zip(pictures, margins, strict=True)
        )
        pixels, sums = compute(images, window, *parts)
        totals = totals or [one.new_zeros(len(x), *one.shape[1:]) for one in sums]
        for result, part in zip(results, pixels, strict=True):
            if residual:
                torch.add(window.of(x[images]), part, out=window.of(result[images]))
            else:
                window.of(result[images]).copy_(part)
        for total, part in zip(totals, sums, strict=True):
            total[images] += part
    return results, totals
