"""Pictures larger than memory, in overlapping tiles that are blended without seams.

Tiles start on the model's multiple and the outer ones end where the picture does, so that every
tile sees what the whole picture would show there. In an overlap the quarters next to either tile's
border are not used, because the model sees nothing beyond it; the half in between is blended. The
weights are multiples of 2⁻¹², so that in float32 they add up to one exactly, corners included.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Inputs = dict[str, Tensor]
# The model's inputs for a rectangle of the picture.
Read = Callable[[slice, slice], Inputs]
Run = Callable[[Inputs], Tensor]
# Called with the number of pixels that have been finished since the last call.
Progress = Callable[[int], object]

WEIGHT_STEPS = 2**12


@dataclass(frozen=True)
class Axis:
    """One side of a picture, cut into tiles; `blends` are where one tile gives way to the next."""

    size: int
    tile: int
    origins: tuple[int, ...]
    blends: tuple[slice, ...]

    def __len__(self) -> int:
        return len(self.origins)

    def extent(self, index: int) -> slice:
        """The pixels that a tile is given; the last one may end short of the model's multiple."""
        origin = self.origins[index]
        return slice(origin, min(origin + self.tile, self.size))

    def kept(self, index: int) -> slice:
        """The pixels that a tile has a weight on."""
        start = self.blends[index - 1].start if index else 0
        stop = self.blends[index].stop if index < len(self.blends) else self.size
        return slice(start, stop)

    def own(self, index: int) -> int:
        """How many pixels a tile stands for when the picture is shared out among them."""
        centres = [(blend.start + blend.stop) // 2 for blend in self.blends]
        bounds = [0, *centres, self.size]
        return bounds[index + 1] - bounds[index]

    def weights(self, index: int) -> Tensor:
        """A tile's weight on each pixel it keeps, from 0 to 1 and back."""
        kept = self.kept(index)
        weights = torch.ones(kept.stop - kept.start)
        if index:
            rise = _rise(self.blends[index - 1])
            weights[: len(rise)] = rise
        if index < len(self.blends):
            fall = 1 - _rise(self.blends[index])
            weights[len(weights) - len(fall) :] = fall
        return weights


def _rise(blend: slice) -> Tensor:
    """From 0 to 1 along half a cosine."""
    length = blend.stop - blend.start
    position = (torch.arange(length) + 0.5) / max(1, length)
    return ((0.5 - 0.5 * torch.cos(math.pi * position)) * WEIGHT_STEPS).round() / WEIGHT_STEPS


def cut(size: int, *, tile: int, overlap: int, multiple: int) -> Axis:
    """As few tiles as leave every two neighbours at least `overlap` pixels in common.

    They are of at most `tile` pixels, and no larger than that many tiles have to be.
    """
    padded = math.ceil(size / multiple) * multiple
    if tile >= padded:
        return Axis(size, padded, (0,), ())
    count = math.ceil((padded - tile) / (tile - overlap)) + 1
    tile = math.ceil((padded + (count - 1) * overlap) / count / multiple) * multiple
    room = (padded - tile) // multiple
    origins = tuple(index * room // (count - 1) * multiple for index in range(count))
    blends = []
    for origin, following in itertools.pairwise(origins):
        start = (following + origin + tile) // 2 - overlap // 4
        blends.append(slice(start, start + overlap // 2))
    return Axis(size, tile, origins, tuple(blends))


@dataclass(frozen=True)
class TilePlan:
    rows: Axis
    columns: Axis

    @property
    def tiles(self) -> int:
        return len(self.rows) * len(self.columns)


def plan_tiles(
    height: int, width: int, *, tile: int, overlap: int | None = None, multiple: int = 1
) -> TilePlan:
    """Tiles of at most `tile`×`tile` pixels; the overlap is an eighth of that unless given."""
    tile = tile // multiple * multiple
    if tile < 8 * multiple:
        raise ValueError(f"tile must be at least {8 * multiple} for this model")
    overlap = tile // 8 if overlap is None else overlap
    if not 0 <= overlap <= tile // 2:
        raise ValueError(f"overlap must be from 0 to {tile // 2}, half the tile, not {overlap}")
    overlap = min(math.ceil(overlap / multiple), tile // 2 // multiple) * multiple
    return TilePlan(
        *(cut(side, tile=tile, overlap=overlap, multiple=multiple) for side in (height, width))
    )


def tiled_bands(
    run: Run,
    read: Read,
    plan: TilePlan,
    *,
    batch_size: int = 1,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """The picture from top to bottom in finished bands: the first row, and B×C×h×W on the CPU.

    Besides the band at hand only the rows that blend into the next one are held. `batch_size` is
    how many pictures or tiles run at once.
    """
    carried: Tensor | None = None
    for row in range(len(plan.rows)):
        band = _blended_row(run, read, plan, row, batch_size=batch_size, progress=progress)
        band *= plan.rows.weights(row)[:, None]
        if carried is not None:
            band[..., : carried.shape[-2], :] += carried
        kept = plan.rows.kept(row)
        finished = plan.rows.blends[row].start if row < len(plan.rows.blends) else kept.stop
        carried = band[..., finished - kept.start :, :].clone()
        yield kept.start, band[..., : finished - kept.start, :]


def run_tiled(
    run: Run,
    read: Read,
    plan: TilePlan,
    *,
    batch_size: int = 1,
    progress: Progress | None = None,
) -> Tensor:
    """The whole picture, B×C×H×W on the CPU, in float32."""
    whole: Tensor | None = None
    for top, band in tiled_bands(run, read, plan, batch_size=batch_size, progress=progress):
        if whole is None:
            whole = band.new_empty(*band.shape[:2], plan.rows.size, plan.columns.size)
        whole[..., top : top + band.shape[-2], :] = band
    assert whole is not None
    return whole


def _blended_row(
    run: Run, read: Read, plan: TilePlan, row: int, *, batch_size: int, progress: Progress | None
) -> Tensor:
    """One row of tiles, blended from left to right, on the rows that it keeps."""
    extent, kept = plan.rows.extent(row), plan.rows.kept(row)
    rows = slice(kept.start - extent.start, kept.stop - extent.start)
    band: Tensor | None = None
    tiles = (
        (column, read(extent, plan.columns.extent(column))) for column in range(len(plan.columns))
    )
    for columns, inputs in _batched(tiles, batch_size):
        output = run(inputs)[..., rows, :].float().cpu()
        for column, tile in zip(columns, output.chunk(len(columns)), strict=True):
            if band is None:
                band = tile.new_zeros(*tile.shape[:-1], plan.columns.size)
            used, start = plan.columns.kept(column), plan.columns.origins[column]
            weighted = tile[..., used.start - start : used.stop - start]
            band[..., used] += weighted * plan.columns.weights(column)
            if progress is not None:
                progress(len(tile) * plan.rows.own(row) * plan.columns.own(column))
    assert band is not None
    return band


def _batched(
    tiles: Iterable[tuple[int, Inputs]], batch_size: int
) -> Iterator[tuple[list[int], Inputs]]:
    """Tiles of one shape side by side in one batch."""
    columns: list[int] = []
    waiting: list[Inputs] = []
    for column, inputs in tiles:
        pictures = len(inputs["pixel_values"])
        full = (len(waiting) + 1) * pictures > batch_size
        if waiting and (full or _shapes(inputs) != _shapes(waiting[0])):
            yield columns, _side_by_side(waiting)
            columns, waiting = [], []
        columns.append(column)
        waiting.append(inputs)
    yield columns, _side_by_side(waiting)


def _shapes(inputs: Mapping[str, Tensor]) -> list[torch.Size]:
    return [values.shape for values in inputs.values()]


def _side_by_side(tiles: list[Inputs]) -> Inputs:
    """One batch; a mask that all pictures share is repeated, because every tile has its own."""
    if len(tiles) == 1:
        return tiles[0]
    return {
        name: torch.cat(
            [tile[name].expand(len(tile["pixel_values"]), -1, -1, -1) for tile in tiles]
        )
        for name in tiles[0]
    }


def reader(inputs: Mapping[str, Tensor]) -> Read:
    """Cuts tiles out of a model's inputs, masks along.

    A shifted mask is wider than its picture by the dispersion, and so is its tile.
    """
    width = inputs["pixel_values"].shape[-1]

    def read(rows: slice, columns: slice) -> Inputs:
        return {
            name: values[..., rows, columns.start : columns.stop + values.shape[-1] - width]
            for name, values in inputs.items()
        }

    return read
