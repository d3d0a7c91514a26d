"""Look through a dataset before training, and say everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from .pairs import PairSource
from .pictures import PictureError


class DatasetError(ValueError):
    """A dataset with problems; the message lists them."""


def check_pairs(source: PairSource, *, patch_size: int = 0, threads: int = 2) -> None:
    """Decode every picture once; raise DatasetError listing each pair that cannot be used."""
    report(find_problems(source, patch_size=patch_size, threads=threads))


def report(problems: list[str]) -> None:
    """Raise a DatasetError if there are any."""
    if problems:
        raise DatasetError(_message(problems))


def find_problems(
    source: PairSource,
    *,
    patch_size: int = 0,
    threads: int = 2,
    places: Iterable[int] | None = None,
) -> list[str]:
    """One sentence per problem: a missing partner, a corrupt, unequal or too small picture.

    Of all pairs, or of those at some places.
    """
    problems = list(getattr(source, "unmatched", []))
    if not len(source):
        return [*problems, "there are no pictures" if not problems else "no picture has a partner"]
    with ThreadPoolExecutor(threads) as pool:
        looked_at = range(len(source)) if places is None else places
        found = pool.map(lambda index: _problem(source, index, patch_size), looked_at)
        return problems + [problem for problem in found if problem]


def _problem(source: PairSource, index: int, patch_size: int) -> str | None:
    try:
        pair = source.load(index)
    except PictureError as error:
        return str(error)
    name = source.name(index)
    H, W = pair.target.shape[:2]
    if pair.input is not None and pair.input.shape != pair.target.shape:
        height, width = pair.input.shape[:2]
        return f"{name}: the input is {width}×{height} but the target is {W}×{H}"
    if min(H, W) < patch_size:
        return f"{name}: {W}×{H} is smaller than the {patch_size}×{patch_size} patch"
    return None


def _message(problems: list[str], most: int = 20) -> str:
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in the dataset:"
    more = [f"  ... and {len(problems) - most} more"] if len(problems) > most else []
    return "\n".join([count, *(f"  {problem}" for problem in problems[:most]), *more])
