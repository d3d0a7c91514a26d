"""Scores of restored pictures and cubes as the papers compute them, as an `evaluate` module.

The configuration is the protocol: `evaluate.load(folder, "deraining")`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import evaluate
from datasets import Features, Value

from glmha_hf.metrics import PROTOCOLS, PictureScores, Scores, compare, get_protocol
from glmha_hf.metrics.scores import merge_pictures

_DESCRIPTION = "PSNR, SSIM and spectral scores of restored pictures and cubes, by protocol: "

_INPUTS = """
Args:
    predictions: restored pictures (H×W×3 or H×W uint8) or cubes (C×H×W floats in [0, 1]), NumPy or
        torch, each of its own size if need be.
    references: the true ones, alike.
    indices: their places in the test set, so that a picture scored by two processes counts once.
    names: what to call them in `worst`.
    worst: (compute) how many of the worst pictures to list beside the means.
Returns: the mean of each score of the protocol, the number of `pictures`, and `worst` if asked for.
"""

UNKNOWN_INDEX, UNKNOWN_NAME = -1, ""


class RestorationScores(evaluate.Metric):
    """Scores each picture as it is added: only scalars ever reach the Arrow file."""

    def _info(self) -> evaluate.MetricInfo:
        if self.config_name == "default":
            raise ValueError(
                f"name the protocol as the second argument of evaluate.load: {', '.join(PROTOCOLS)}"
            )
        self.protocol = get_protocol(self.config_name)
        # What is kept of a prediction is its scores; of a reference, which picture it is.
        kept = Features(
            {
                "predictions": {key: Value("float64") for key in self.protocol.keys},
                "references": {"index": Value("int64"), "name": Value("string")},
            }
        )
        return evaluate.MetricInfo(
            description=f"{_DESCRIPTION}{self.protocol.name}, {self.protocol.description}.",
            citation="",
            inputs_description=_INPUTS,
            features=kept,
        )

    def add(
        self,
        *,
        prediction: Any = None,
        reference: Any = None,
        index: int | None = None,
        name: str | None = None,
        **plural: Any,
    ) -> None:
        """Score one picture and keep its scalars."""
        # evaluate.combine calls the single arguments by their plural names.
        prediction = plural.pop("predictions", prediction)
        reference = plural.pop("references", reference)
        if plural:
            raise ValueError(f"unknown arguments {sorted(plural)}: give prediction and reference")
        scores = compare(prediction, reference, self.protocol.name)
        super().add(prediction=scores, reference=_identity(index, name))

    def add_batch(
        self,
        *,
        predictions: Iterable[Any] | None = None,
        references: Iterable[Any] | None = None,
        indices: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        """Score the pictures of a batch and keep their scalars."""
        if predictions is None or references is None:
            raise ValueError("give both predictions and references")
        predictions, references = list(predictions), list(references)
        numbers = [None] * len(predictions) if indices is None else list(indices)
        titles = [None] * len(predictions) if names is None else list(names)
        counts = [len(column) for column in (predictions, references, numbers, titles)]
        if len(set(counts)) != 1:
            raise ValueError(
                "predictions, references, indices and names must be as many, "
                f"given {', '.join(map(str, counts))}"
            )
        for prediction, reference, index, name in zip(
            predictions, references, numbers, titles, strict=True
        ):
            self.add(prediction=prediction, reference=reference, index=index, name=name)

    def compute(
        self,
        *,
        predictions: Iterable[Any] | None = None,
        references: Iterable[Any] | None = None,
        worst: int = 0,
        **batch: Any,
    ) -> dict[str, Any] | None:
        """The means, on process 0; None on the others."""
        if predictions is not None or references is not None:
            self.add_batch(predictions=predictions, references=references, **batch)
        elif batch:
            raise ValueError(f"unknown arguments {sorted(batch)}: give predictions and references")
        if self.writer is None and self.num_process > 1:
            self._join_without_pictures()
        if self.writer is None:
            raise ValueError("no picture has been scored: add at least one before compute")
        return super().compute(worst=worst)

    def _join_without_pictures(self) -> None:
        """A process that had no picture still owes process 0 its (empty) file."""
        self.selected_feature_format = self.features
        self._init_writer()

    def _compute(
        self, predictions: list[dict[str, float]], references: list[dict[str, Any]], worst: int = 0
    ) -> dict[str, Any]:
        pictures = [
            PictureScores(
                scores,
                index=None if which["index"] == UNKNOWN_INDEX else which["index"],
                name=which["name"] or None,
            )
            for scores, which in zip(predictions, references, strict=True)
        ]
        scores = Scores(self.protocol.name, merge_pictures([pictures]))
        result: dict[str, Any] = {**scores.mean(), "pictures": len(scores)}
        if worst:
            result["worst"] = [
                {"index": picture.index, "name": picture.name, **picture.scores}
                for picture in scores.worst(worst)
            ]
        return result


def _identity(index: int | None, name: str | None) -> dict[str, Any]:
    return {
        "index": UNKNOWN_INDEX if index is None else int(index),
        "name": UNKNOWN_NAME if name is None else str(name),
    }
