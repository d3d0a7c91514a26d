"""Batches out of a stream of rows: no row has a number, so a run walks to where it was left."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import default_collate

from ..data.checks import DatasetError
from ..data.patches import PatchRequest, Sample, StreamingPatches
from .batches import Batch, Batches, Share, plan_of
from .recipe import Recipe

AHEAD = 2  # updates that are read while another is computed


class Row(NamedTuple):
    """A row that is not decoded yet."""

    epoch: int
    values: dict[str, Any]


Pieces = list[list[Future[Sample]]]


def open_batches(
    dataset: Any, recipe: Recipe, accelerator: Accelerator, *, start: int
) -> Iterable[Batch]:
    """Every update's share of this process from update `start` on, whatever the dataset is."""
    kind = StreamedBatches if isinstance(dataset, StreamingPatches) else Batches
    return kind(dataset, recipe, accelerator, start=start)


class StreamedBatches:
    """Takes rows in the order in which they come; `data.workers` threads cut them.

    Every process has a stream of its own: so many shards, or every so-manieth row where the
    shards do not go round. Which rows meet in a batch therefore depends on the number of processes
    and on nothing else. To resume, rows are read and thrown away, never decoded: by one process for
    one epoch to learn its length and then up to the place in the epoch it was, by several all.
    """

    def __init__(
        self, dataset: StreamingPatches, recipe: Recipe, accelerator: Accelerator, *, start: int
    ) -> None:
        from datasets.distributed import split_dataset_by_node

        self.dataset = dataset
        self.dataset.dataset = split_dataset_by_node(
            dataset.dataset, rank=accelerator.process_index, world_size=accelerator.num_processes
        )
        self.plan = plan_of(recipe, accelerator, length=1, start=start)
        whole = plan_of(recipe, accelerator, length=1, start=0)
        self.taken = sum(_size(share) for step, share in whole.updates() if step < start)
        self.threads = max(1, recipe.data.workers)
        # Shards are dealt out anew for every epoch, and need not be equally long.
        self.are_epochs_alike = accelerator.num_processes == 1
        self.device = accelerator.device

    def __iter__(self) -> Iterator[Batch]:
        rows, requests = self.rows(skip=self.taken), iter(self.plan)
        reader, cutters = ThreadPoolExecutor(1), ThreadPoolExecutor(self.threads)

        def read(pieces: list[list[PatchRequest]]) -> Pieces:
            return [
                [cutters.submit(self._cut, next(rows), each.patch_size) for each in piece]
                for piece in pieces
            ]

        waiting: deque[tuple[int, Share, Future[Pieces]]] = deque()
        try:
            for iteration, share in self.plan.updates():
                pieces: Any = [next(requests) for _ in share.pieces]
                waiting.append((iteration, share, reader.submit(read, pieces)))
                if len(waiting) > AHEAD:
                    yield self._batch(*waiting.popleft())
            while waiting:
                yield self._batch(*waiting.popleft())
        finally:
            for pool in (reader, cutters):
                pool.shutdown(cancel_futures=True)

    def rows(self, *, skip: int = 0) -> Iterator[Row]:
        """Row after row, epoch after epoch, without end, from the one after `skip` on."""
        epoch, length = 0, None
        while True:
            if self.are_epochs_alike and length is not None:  # no need to read so many
                epoch += skip // length
                skip %= length
            self.dataset.set_epoch(epoch)
            count = 0
            for count, values in enumerate(self.dataset.dataset, 1):
                if count > skip:
                    yield Row(epoch, values)
            if not count:
                raise DatasetError("the stream has no rows for this process")
            epoch, length, skip = epoch + 1, count, max(0, skip - count)

    def _cut(self, row: Row, patch_size: int) -> Sample:
        return self.dataset.cut(row.values, epoch=row.epoch, patch_size=patch_size)

    def _batch(self, iteration: int, share: Share, loaded: Future[Pieces]) -> Batch:
        pieces = [
            default_collate([future.result() for future in piece]) for piece in loaded.result()
        ]
        moved: list[dict[str, Tensor]] = [
            {key: value.to(self.device, non_blocking=True) for key, value in piece.items()}
            for piece in pieces
        ]
        return Batch(iteration, share.batch, moved, share.weights)


def _size(share: Share) -> int:
    return sum(map(len, share.pieces))
