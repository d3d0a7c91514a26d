"""What a protocol accepts: one pair of 8-bit pictures, or one pair of float cubes.

Every refusal is one line that says what was given and what would be right.
"""

from __future__ import annotations

import numpy as np

from .arrays import require_matching, shape_of

REFERENCE_LIMIT = 2.0
"""A reference beyond this is no noisy reflectance in [0, 1] but 8- or 16-bit counts."""
PREDICTION_LIMIT = 10.0
"""The same for the mean of a prediction; generous, because a network in training overshoots."""


def require_pictures(prediction: np.ndarray, reference: np.ndarray, *, protocol: str) -> None:
    """Refuse whatever is not a pair of H×W×3, H×W×1 or H×W uint8 pictures of one shape."""
    for name, picture in (("prediction", prediction), ("reference", reference)):
        if picture.dtype != np.uint8:
            raise ValueError(
                f"{protocol} scores uint8 pictures, the {name} is {picture.dtype}: "
                f"{_how_to_make_uint8(picture)}"
            )
        gray, colour = picture.ndim == 2, picture.ndim == 3 and picture.shape[-1] in (1, 3)
        if not (gray or colour):
            raise ValueError(
                f"{protocol} scores H×W×3 or H×W pictures, the {name} is {shape_of(picture)}: "
                f"{_how_to_lay_out(picture)}"
            )
    require_matching(prediction, reference)


def _how_to_make_uint8(picture: np.ndarray) -> str:
    if picture.dtype.kind == "f":
        return "give round(255 * clip(x, 0, 1)) as uint8"
    return "give the 8-bit picture"


def _how_to_lay_out(picture: np.ndarray) -> str:
    if picture.ndim == 4:
        return "give one picture at a time"
    if picture.ndim == 3 and picture.shape[0] in (1, 3):
        return "move the channels last"
    if picture.ndim == 3 and picture.shape[-1] in (2, 4):
        return "convert it to RGB, without an alpha channel"
    return "give one RGB or gray picture"


def require_cubes(prediction: np.ndarray, reference: np.ndarray, *, protocol: str) -> None:
    """Refuse whatever is not a pair of finite C×H×W float cubes in reflectance, of one shape."""
    for name, cube in (("prediction", prediction), ("reference", reference)):
        if cube.dtype.kind != "f":
            raise ValueError(
                f"{protocol} scores float cubes with values in [0, 1], the {name} is {cube.dtype}: "
                "divide by its full scale (255 for 8 bits, 65535 for 16)"
            )
        if cube.ndim != 3:
            hint = "one cube at a time" if cube.ndim == 4 else "all bands, first axis first"
            raise ValueError(
                f"{protocol} scores C×H×W cubes, the {name} is {shape_of(cube)}: give {hint}"
            )
    require_matching(prediction, reference)
    _require_finite(prediction, "prediction")
    _require_finite(reference, "reference")
    _require_reflectance(prediction, reference)


def _require_finite(cube: np.ndarray, name: str) -> None:
    low, high = cube.min(), cube.max()  # NaN and infinity both reach one of the two
    if not (np.isfinite(low) and np.isfinite(high)):
        broken = int(cube.size - np.isfinite(cube).sum())
        raise ValueError(
            f"the {name} has {broken} NaN or infinite values of {cube.size}: give a finite cube"
        )


def _require_reflectance(prediction: np.ndarray, reference: np.ndarray) -> None:
    extreme = max(abs(reference.min()), abs(reference.max()))
    if extreme > REFERENCE_LIMIT:
        raise ValueError(f"the reference reaches {extreme:.4g}: give cubes scaled to [0, 1]")
    mean = abs(prediction.mean(dtype=np.float64))
    if mean > PREDICTION_LIMIT:
        raise ValueError(f"the prediction averages {mean:.4g}: give cubes scaled to [0, 1]")
