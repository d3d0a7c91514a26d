"""The scores of a whole test set, picture by picture, in constant memory per picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from .arrays import Array
from .protocols import HIGHER_IS_BETTER, compare, get_protocol

SAME_PICTURE_TOLERANCE = 1e-3
"""Batches of other sizes move a network's output a little, so scores may differ a little too."""


@dataclass(frozen=True)
class PictureScores:
    """What is kept of one picture: its place in the test set, its name, its scores."""

    scores: dict[str, float]
    index: int | None = None
    name: str | None = None


class Scores:
    """Takes picture after picture, keeps only scalars, and averages them exactly.

    Sums are correctly rounded (`math.fsum`), so the means are the same to the last digit however
    the pictures were split among processes.
    """

    def __init__(self, protocol: str, pictures: Iterable[PictureScores] = ()) -> None:
        self.protocol = get_protocol(protocol)
        self.pictures = list(pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    def add(
        self,
        prediction: Array,
        reference: Array,
        *,
        index: int | None = None,
        name: str | None = None,
    ) -> dict[str, float]:
        """Score one picture, keep the scalars, and hand them back.

        Give `index`, its place in the test set, where several processes share the set.
        """
        scores = compare(prediction, reference, self.protocol.name)
        self.pictures.append(PictureScores(scores, index, name))
        return scores

    def mean(self) -> dict[str, float]:
        """Mean of each score over the pictures; infinite if an identical pair gave infinite PSNR.

        Averaging over test sets is left to the caller: means of unequal sets differ.
        """
        if not self.pictures:
            raise ValueError("no picture has been scored: add at least one before asking the mean")
        return {
            key: math.fsum(picture.scores[key] for picture in self.pictures) / len(self)
            for key in self.protocol.keys
        }

    def worst(self, count: int = 5, *, key: str | None = None) -> list[PictureScores]:
        """The `count` pictures with the worst `key` (the protocol's first by default)."""
        key = self.protocol.keys[0] if key is None else key
        if key not in self.protocol.keys:
            keys = ", ".join(self.protocol.keys)
            raise ValueError(f"{self.protocol.name} has no score {key!r}: choose among {keys}")
        sign = 1 if HIGHER_IS_BETTER[key] else -1
        return sorted(self.pictures, key=lambda picture: sign * picture.scores[key])[:count]

    @classmethod
    def merge(cls, parts: Iterable[Scores]) -> Scores:
        """The parts as one, in the order of their indices.

        An index met again counts once: samplers repeat pictures to give every process as many.
        """
        parts = list(parts)
        protocols = sorted({part.protocol.name for part in parts})
        if len(protocols) != 1:
            raise ValueError(f"merging needs scores of one protocol, given: {protocols}")
        return cls(protocols[0], merge_pictures(part.pictures for part in parts))

    def state(self) -> dict[str, Any]:
        """Plain numbers and strings, to send between processes or write as JSON."""
        return {
            "protocol": self.protocol.name,
            "pictures": [asdict(picture) for picture in self.pictures],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Scores:
        pictures = (PictureScores(**picture) for picture in state["pictures"])
        return cls(state["protocol"], pictures)


def merge_pictures(parts: Iterable[Iterable[PictureScores]]) -> list[PictureScores]:
    """Indexed pictures once each and in order, then those without an index as they come."""
    indexed: dict[int, PictureScores] = {}
    unindexed = []
    for part in parts:
        for picture in part:
            if picture.index is None:
                unindexed.append(picture)
            else:
                kept = indexed.setdefault(picture.index, picture)
                _require_same_picture(kept, picture)
    return [indexed[index] for index in sorted(indexed)] + unindexed


def _require_same_picture(first: PictureScores, second: PictureScores) -> None:
    """One index for two pictures, say of two test sets, would silently drop one of them."""
    same_name = None in (first.name, second.name) or first.name == second.name
    same_scores = all(
        math.isclose(value, second.scores[key], rel_tol=SAME_PICTURE_TOLERANCE)
        for key, value in first.scores.items()
    )
    if not (same_name and same_scores):
        raise ValueError(
            f"index {first.index} belongs to two different pictures "
            f"({first.name or first.scores} and {second.name or second.scores}): "
            "number the pictures of one test set from 0, and score each set by itself"
        )
