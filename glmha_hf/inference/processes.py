"""Several processes of one command, as `accelerate launch` or `torchrun` start them."""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def share(items: Sequence[T]) -> list[T]:
    """Every n-th item: this process's part of the work."""
    return list(items[rank() :: world_size()])


class Meeting:
    """Processes that end together: a launcher kills the others when one ends with an error."""

    def __enter__(self) -> "Meeting":
        if world_size() > 1:
            import torch.distributed as dist

            dist.init_process_group("gloo", timeout=timedelta(days=7))
        return self

    def __exit__(self, *_: object) -> None:
        if world_size() > 1:
            import torch.distributed as dist

            dist.destroy_process_group()

    def total(self, *counts: int) -> list[int]:
        """The sums over all processes; waits for the slowest."""
        if world_size() == 1:
            return list(counts)
        import torch
        import torch.distributed as dist

        sums = torch.tensor(counts)
        dist.all_reduce(sums)
        return sums.tolist()
