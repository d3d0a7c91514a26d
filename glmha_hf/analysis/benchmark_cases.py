"""The ways of computing a model that are measured against each other."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product

from ..inference.tiling import plan_tiles

FORMS = ("fused", "published")
Size = tuple[int, int]  # width and height


@dataclass(frozen=True)
class Case:
    """One way of computing one model on one size, whole or in tiles of that side."""

    attention: str
    form: str
    dtype: str
    width: int
    height: int
    tile: int | None = None

    @property
    def size(self) -> str:
        return f"{self.width}×{self.height}"

    @property
    def tiling(self) -> str:
        return f", tiles of {self.tile}" if self.tile else ""

    @property
    def name(self) -> str:
        return f"{self.attention}, {self.form}, {self.dtype}, {self.size}{self.tiling}"


def cases_of(
    size: Size,
    *,
    attentions: Sequence[str],
    forms: Sequence[str] = FORMS,
    dtypes: Sequence[str] = (),
    tiles: Sequence[int] = (),
) -> list[Case]:
    """The published form runs in float32 alone; what is not fused runs whole."""
    ways: list[tuple[str, str, int | None]] = []
    if "published" in forms:
        ways.append(("published", "float32", None))
    if "compiled" in forms:
        ways += product(["compiled"], dtypes, [None])
    if "fused" in forms:
        ways += product(["fused"], dtypes, [None, *tiles])
    cases = (Case(name, *way[:2], *size, way[2]) for name, way in product(attentions, ways))
    return list(dict.fromkeys(cases))


def compared_with(case: Case, cases: Collection[Case]) -> Case | None:
    """Whose output is this one's reference; None where there is none.

    Tiles are compared with the same untiled, and what is untiled with the published form, or the
    fused one where that is not measured, in float32.
    """
    if case.tile:
        return replace(case, tile=None)
    for form in ("published", "fused"):
        reference = replace(case, form=form, dtype="float32")
        if reference in cases:
            return None if reference == case else reference
    return None


def check_tiles(
    tiles: Sequence[int], *, forms: Sequence[str], sizes: Sequence[Size], multiple: int
) -> None:
    """Refuses tiles that would not be measured, before anything is."""
    if tiles and "fused" not in forms:
        raise ValueError("tiles are cut for the fused form: measure that one too")
    for tile, (width, height) in product(tiles, sizes):
        if plan_tiles(height, width, tile=tile, multiple=multiple).tiles == 1:
            raise ValueError(f"a tile of {tile} holds all of {width}×{height}: give smaller ones")
