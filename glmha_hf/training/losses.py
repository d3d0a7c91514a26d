"""What training minimises: a weighted sum of terms, each a mean over the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ..models.layers import LOSSES


def charbonnier_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """A smooth L1: sqrt(d² + 1e-6)."""
    return ((prediction - target).square() + 1e-6).sqrt().mean()


def frequency_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """L1 between the orthonormal 2-D Fourier transforms; the size of the patch does not count."""
    difference = torch.fft.rfft2(prediction - target, norm="ortho")
    return torch.view_as_real(difference).abs().mean()


def psnr_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Minus the PSNR in dB, patch by patch: easy patches count as much as hard ones."""
    errors = (prediction - target).square().flatten(1).mean(dim=1)
    return 10 * (errors + 1e-6).log10().mean()


LOSS_TERMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    **LOSSES,
    "charbonnier": charbonnier_loss,
    "frequency": frequency_loss,
    "psnr": psnr_loss,
}


class Loss:
    """The weighted sum, in float32 whatever the model ran in."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = dict(weights)

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        prediction, target = prediction.float(), target.float()
        terms = [
            weight * LOSS_TERMS[name](prediction, target) for name, weight in self.weights.items()
        ]
        return torch.stack(terms).sum()


class Objective:
    """What a recipe minimises: its loss against the labels, and the distance to a teacher's output.

    Either may be missing. The teacher is given what the model is given, without gradients.
    """

    def __init__(
        self, weights: Mapping[str, float], *, teacher: nn.Module | None = None, weight: float = 1.0
    ) -> None:
        self.loss = Loss(weights) if weights else None
        self.teacher = teacher
        self.weight = weight

    def __call__(
        self, reconstruction: Tensor, inputs: Mapping[str, Tensor], labels: Tensor | None
    ) -> Tensor:
        parts = []
        if self.loss is not None and labels is not None:
            parts.append(self.loss(reconstruction, labels))
        if self.teacher is not None:
            with torch.no_grad():
                wanted = self.teacher(**inputs).reconstruction
            parts.append(self.weight * LOSSES["l1"](reconstruction.float(), wanted.float()))
        return torch.stack(parts).sum()
