"""Mixup across the whole batch, whoever computes which part of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from ..data.patches import PatchRequest


class Blend(NamedTuple):
    """A patch, and another one to mix into it."""

    request: PatchRequest
    partner: PatchRequest
    share: float


class BlendingDataset(Dataset[dict[str, Tensor]]):
    """Answers blends by mixing two patches of the dataset it stands on, and the rest as ever."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, request: PatchRequest | Blend) -> dict[str, Tensor]:
        if not isinstance(request, Blend):
            return self.dataset[request]
        first, second = self.dataset[request.request], self.dataset[request.partner]
        return {
            key: request.share * value + (1 - request.share) * second[key]
            for key, value in first.items()
        }


def blend(
    batch: list[PatchRequest], *, seed: int, iteration: int, probability: float, beta: float
) -> list[Any]:
    """With this probability, pair the batch with itself in another order."""
    rng = np.random.default_rng([seed, iteration, 12])
    if rng.random() >= probability:
        return list(batch)
    share = float(rng.beta(beta, beta))
    order = rng.permutation(len(batch))
    return [Blend(one, batch[other], share) for one, other in zip(batch, order, strict=True)]
