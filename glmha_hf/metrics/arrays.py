"""What every metric asks of its two arrays, whether they come from NumPy or torch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# An ndarray or a torch tensor; torch is never imported here, so the metrics start without it.
Array = Any

CHUNK = 1 << 15
"""Elements taken at once, so that the float64 copies stay in cache."""


def accepts_tensors(metric: Callable[..., Any]) -> Callable[..., Any]:
    """Run a NumPy metric of matching arrays on tensors too; tensors get a tensor back."""

    @functools.wraps(metric)
    def wrapper(prediction: Array, reference: Array, **options: Any) -> Any:
        first, second = to_numpy(prediction), to_numpy(reference)
        require_matching(first, second)
        result = metric(first, second, **options)
        return like(prediction, result)

    return wrapper


def is_tensor(array: Array) -> bool:
    return type(array).__module__.partition(".")[0] == "torch"


def to_numpy(array: Array) -> np.ndarray:
    """The same numbers as an ndarray; bfloat16 widens to float32, which holds it exactly."""
    if is_tensor(array):
        array = array.detach().cpu()
        return (array.float() if str(array.dtype) == "torch.bfloat16" else array).numpy()
    if isinstance(array, np.ndarray | np.generic):
        return np.asarray(array)
    raise ValueError(
        f"a {type(array).__name__} cannot be scored: give a NumPy array or a torch tensor, "
        "for instance np.asarray(picture)"
    )


def like(given: Array, result: Any) -> Any:
    """`result` as a float64 tensor where `given` was a tensor, untouched otherwise."""
    if not is_tensor(given):
        return result
    import torch

    return torch.as_tensor(result, device=given.device)


def require_matching(prediction: np.ndarray, reference: np.ndarray) -> None:
    """Broadcasting would score two arrays that do not belong together: refuse it."""
    if prediction.shape != reference.shape:
        raise ValueError(
            f"the prediction is {shape_of(prediction)} and the reference {shape_of(reference)}: "
            "give two arrays of one shape"
        )
    if prediction.size == 0:
        raise ValueError(f"the arrays are empty ({shape_of(prediction)}): nothing can be scored")
    for name, array in (("prediction", prediction), ("reference", reference)):
        if array.dtype.kind not in "uif":
            raise ValueError(f"the {name} is {array.dtype}: give integers or real floats")


def shape_of(array: np.ndarray) -> str:
    return "×".join(map(str, array.shape)) or "a single number"


def default_peak(prediction: np.ndarray, reference: np.ndarray) -> float:
    """255 for a pair of uint8 arrays, 1 for floats; other kinds have no peak one could guess."""
    kinds = {prediction.dtype.name, reference.dtype.name}
    if kinds == {"uint8"}:
        return 255.0
    if all(name.startswith("float") for name in kinds):
        return 1.0
    raise ValueError(f"no usual peak for {' and '.join(sorted(kinds))}: pass peak=")


def score_items(
    score: Callable[[np.ndarray, np.ndarray], float],
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    item_ndim: int,
) -> Any:
    """`score` of each item, an item being the last `item_ndim` axes: one value per leading index.

    An array with fewer axes is one item.
    """
    leading = prediction.shape[: max(0, prediction.ndim - item_ndim)]
    scores = np.empty(leading, np.float64)
    for index in np.ndindex(leading):
        scores[index] = score(prediction[index], reference[index])
    return scores[()]


def float64_chunks(
    prediction: np.ndarray, reference: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Matching runs of both arrays in float64, small enough to stay in cache."""
    first, second = prediction.reshape(-1), reference.reshape(-1)
    for start in range(0, first.size, CHUNK):
        stop = start + CHUNK
        yield first[start:stop].astype(np.float64), second[start:stop].astype(np.float64)
