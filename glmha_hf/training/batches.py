"""Which patches each update takes: a function of the seed and the iteration alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ..data.patches import PatchRequest
from ..data.schedule import ProgressiveBatches
from .blending import Blend, BlendingDataset, blend
from .recipe import Recipe, Stage
from .typed import RecipeError


@dataclass(frozen=True)
class Share:
    """One process's part of a batch, in pieces that fit in memory."""

    pieces: tuple[range, ...]
    batch: int  # of all processes together

    @property
    def weights(self) -> tuple[float, ...]:
        """What each piece's mean counts in the whole batch's mean."""
        return tuple(len(piece) / self.batch for piece in self.pieces)


def share_of(batch: int, *, rank: int = 0, processes: int = 1, largest: int | None = None) -> Share:
    """Deal a batch out as evenly as it goes; every process gets the same number of pieces."""
    if batch < processes:
        raise RecipeError(
            f"a batch of {batch} cannot be shared by {processes} processes: raise batch_scale or "
            f"use at most {batch}"
        )
    biggest, smallest = -(-batch // processes), batch // processes
    pieces = -(-biggest // (largest or biggest))
    if pieces > smallest:
        raise RecipeError(
            f"a batch of {batch} over {processes} processes gives some {biggest} and some "
            f"{smallest}, which pieces of {largest} (run.largest_batch, by area) cannot cut into "
            "as many pieces: raise it, or use a number of processes that divides the batch"
        )
    mine = _deal(range(batch), processes)[rank]
    return Share(tuple(_deal(mine, pieces)), batch)


def _as_large(largest: int | None, stage: Stage, first: Stage) -> int | None:
    """How many of a stage's patches have about as many pixels as `largest` of the first stage's."""
    return largest and max(1, round(largest * first.patch**2 / stage.patch**2))


def _deal(items: range, parts: int) -> list[range]:
    bounds = [len(items) * part // parts for part in range(parts + 1)]
    return [items[low:high] for low, high in itertools.pairwise(bounds)]


class Plan(Sampler[list[PatchRequest | Blend]]):
    """Every update's patches from `start` on, for one process: one list per piece.

    The whole batch comes from `ProgressiveBatches` for a single process, so the number of
    processes and of pieces changes who computes a patch and never which patches there are.
    """

    def __init__(
        self,
        dataset_length: int,
        stages: Sequence[Stage],
        *,
        seed: int = 0,
        start: int = 0,
        rank: int = 0,
        processes: int = 1,
        largest: int | None = None,
        mixup: float = 0.0,
        mixup_beta: float = 1.2,
    ) -> None:
        self.stages = list(stages)
        self.batches = ProgressiveBatches(
            dataset_length,
            [(stage.iterations, stage.patch, stage.batch) for stage in stages],
            seed=seed,
            start_iteration=start,
        )
        self.seed, self.start = seed, start
        self.mixup, self.mixup_beta = mixup, mixup_beta
        self.shares = {
            stage: share_of(
                stage.batch,
                rank=rank,
                processes=processes,
                largest=_as_large(largest, stage, stages[0]),
            )
            for stage in stages
        }

    def __iter__(self) -> Iterator[list[PatchRequest | Blend]]:
        for (iteration, share), batch in zip(self.updates(), self.batches, strict=True):
            items = blend(
                batch,
                seed=self.seed,
                iteration=iteration,
                probability=self.mixup,
                beta=self.mixup_beta,
            )
            for piece in share.pieces:
                yield [items[number] for number in piece]

    def updates(self) -> Iterator[tuple[int, Share]]:
        """The iteration and the share of every update still to come."""
        first = 0
        for stage in self.stages:
            for iteration in range(max(first, self.start), first + stage.iterations):
                yield iteration, self.shares[stage]
            first += stage.iterations


def plan_of(recipe: Recipe, accelerator: Accelerator, *, length: int, start: int) -> Plan:
    """This process's plan for a recipe over a dataset of this length.

    A loss that is no mean over patches is no sum over the pieces of a batch, and refuses them.
    """
    plan = Plan(
        length,
        recipe.stages,
        seed=recipe.seed,
        start=start,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
        largest=recipe.run.largest_batch,
        mixup=recipe.data.mixup,
        mixup_beta=recipe.data.mixup_beta,
    )
    cut = [stage.batch for stage, share in plan.shares.items() if len(share.pieces) > 1]
    if cut and "rmse" in recipe.loss:
        raise RecipeError(
            f"the rmse loss is a root over a whole batch, which run.largest_batch cuts (of "
            f"{cut[0]} patches): leave it out, and save memory with a smaller batch_scale or "
            "run.gradient_checkpointing=true"
        )
    return plan


class Batches:
    """Every update's share of this process, loaded: an iterable of `Batch`."""

    def __init__(
        self, dataset: Dataset[Any], recipe: Recipe, accelerator: Accelerator, *, start: int
    ) -> None:
        length = len(dataset)  # type: ignore[arg-type]
        self.plan = plan_of(recipe, accelerator, length=length, start=start)
        self.dataset = dataset
        self.constants: dict[int, dict[str, Tensor]] = {}
        self.device = accelerator.device
        self.loader = DataLoader(
            BlendingDataset(dataset),
            batch_sampler=self.plan,
            num_workers=recipe.data.workers,
            pin_memory=accelerator.device.type == "cuda",
        )

    def __iter__(self) -> Iterator[Batch]:
        loaded = iter(self.loader)
        for iteration, share in self.plan.updates():
            pieces = [self._on_device(next(loaded)) for _ in share.pieces]
            yield Batch(iteration, share.batch, pieces, share.weights)

    def _on_device(self, piece: dict[str, Tensor]) -> dict[str, Tensor]:
        """With what every patch of this size has in common, such as a coded aperture."""
        patch = piece["pixel_values"].shape[-1]
        if patch not in self.constants:
            told = getattr(self.dataset, "constant_inputs", None)
            common: dict[str, Tensor] = told(patch) if told else {}
            self.constants = {patch: {key: each.to(self.device) for key, each in common.items()}}
        moved = {key: value.to(self.device, non_blocking=True) for key, value in piece.items()}
        return moved | self.constants[patch]


@dataclass(frozen=True)
class Batch:
    """One update's patches of one process, piece by piece."""

    iteration: int
    size: int  # of all processes together
    pieces: list[dict[str, Tensor]]
    weights: tuple[float, ...]
