"""Progressive training: patches grow and batches shrink as the iterations go by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from .patches import PatchRequest


class Stage(NamedTuple):
    """So many iterations at this patch size and batch size per process."""

    iterations: int
    patch_size: int
    batch_size: int


class ProgressiveBatches(Sampler[list[PatchRequest]]):
    """A batch sampler that walks a schedule; one batch per iteration, each process its own.

    Samples are numbered through the whole training, so `start_iteration` resumes exactly, and the
    union over processes does not depend on workers. Pass it as `batch_sampler` to a DataLoader over
    a PatchDataset, and do not let accelerate shard it again.
    """

    def __init__(
        self,
        dataset_length: int,
        stages: Iterable[tuple[int, int, int]],
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        start_iteration: int = 0,
    ) -> None:
        self.dataset_length = dataset_length
        self.stages = [Stage(*stage) for stage in stages]
        if not self.stages or any(min(stage) < 1 for stage in self.stages):
            raise ValueError("a schedule needs stages of positive (iterations, patch, batch)")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} does not exist among {world_size} processes")
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.start_iteration = start_iteration

    @property
    def iterations(self) -> int:
        return sum(stage.iterations for stage in self.stages)

    def __len__(self) -> int:
        return max(self.iterations - self.start_iteration, 0)

    def __iter__(self) -> Iterator[list[PatchRequest]]:
        iteration = sample = 0
        for stage in self.stages:
            together = stage.batch_size * self.world_size
            skipped = min(max(self.start_iteration - iteration, 0), stage.iterations)
            for done in range(skipped, stage.iterations):
                first = sample + done * together + self.rank * stage.batch_size
                yield [
                    self._request(number, stage.patch_size)
                    for number in range(first, first + stage.batch_size)
                ]
            iteration += stage.iterations
            sample += stage.iterations * together

    def _request(self, number: int, patch_size: int) -> PatchRequest:
        epoch, position = divmod(number, self.dataset_length)
        order = _epoch_order(self.seed, epoch, self.dataset_length)
        return PatchRequest(epoch, int(order[position]), patch_size)


@lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, length: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(length)
