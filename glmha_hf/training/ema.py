"""An exponential moving average of the weights, to validate with and to publish."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


class MovingAverage:
    """Follows the trainable weights; early on it forgets faster, so that it starts at once."""

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.average = [p.detach().clone().float() for p in self.parameters]
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        for average, parameter in zip(self.average, self.parameters, strict=True):
            average.lerp_(parameter.detach().to(average.dtype), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this, the model has the averaged weights."""
        training = [p.detach().clone() for p in self.parameters]
        self._copy(self.average)
        try:
            yield
        finally:
            self._copy(training)

    @torch.no_grad()
    def _copy(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        return {"average": [_whole(each) for each in self.average], "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for average, saved in zip(self.average, state["average"], strict=True):
            average.copy_(_dealt(saved, like=average))
        self.updates = state["updates"]


def _whole(tensor: Tensor) -> Tensor:
    """All of a tensor that FSDP has dealt out to the processes."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _dealt(tensor: Tensor, *, like: Tensor) -> Tensor:
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)
