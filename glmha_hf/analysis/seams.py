"""Whether the borders of tiles show in what was put together from them."""

import torch
from torch import Tensor

from ..inference.tiling import TilePlan


def seam(tiled: Tensor, whole: Tensor, plan: TilePlan) -> float:
    """How much steeper a picture is across its tiles' borders than elsewhere: 0.02 is 2%.

    What the whole picture shows in the same places is taken off, so that its content does not
    count. A border is each step from a pixel to the next at which the tiles' weights change: all
    of a blend, or the one step between two tiles that are not blended.
    """
    return _steepness_across_borders(tiled, plan) - _steepness_across_borders(whole, plan)


def _steepness_across_borders(picture: Tensor, plan: TilePlan) -> float:
    """The mean absolute step across borders, divided by that elsewhere, along the sides cut."""
    across, elsewhere = [], []
    for axis, dim in ((plan.rows, -2), (plan.columns, -1)):
        if axis.blends:
            steps = picture.diff(dim=dim).abs().movedim(dim, 0)
            is_border = torch.zeros(len(steps), dtype=torch.bool)
            for blend in axis.blends:
                is_border[blend.start - 1 : blend.stop] = True
            across.append(steps[is_border].flatten())
            elsewhere.append(steps[~is_border].flatten())
    return float(torch.cat(across).mean() / torch.cat(elsewhere).mean())
