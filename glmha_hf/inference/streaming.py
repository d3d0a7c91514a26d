"""Rasters too large for memory, and anything that is read and written piece by piece."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .restoration import Restorer
from .tiling import Inputs, Progress, plan_tiles, tiled_bands


@dataclass(frozen=True)
class Raster:
    """A picture of which rectangles can be read: `read(rows, columns)` gives an H×W×C array."""

    height: int
    width: int
    read: Callable[[slice, slice], np.ndarray]

    @classmethod
    def of(cls, array: Any) -> "Raster":
        """An H×W or H×W×C array, or what is sliced like one: a memory map, HDF5, Zarr."""
        if len(array.shape) not in (2, 3):
            raise ValueError(f"a raster must be H×W or H×W×C; it is {array.shape}")
        height, width = array.shape[:2]
        return cls(height, width, lambda rows, columns: np.asarray(array[rows, columns]))


def restore_bands(
    raster: Any, *, restorer: Restorer, tile: int = 512, progress: Progress | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """A raster from top to bottom in finished bands: the first row, and rows in its own depth.

    Held at a time: the tiles that run, and one band as high as a tile.
    """
    restorer.check_restores()
    if restorer.processor.value_range != "full":
        raise ValueError("a model that stretches each picture's range needs the whole picture")
    source = raster if isinstance(raster, Raster) else Raster.of(raster)
    plan = plan_tiles(
        source.height,
        source.width,
        tile=tile,
        overlap=restorer.overlap,
        multiple=restorer.network.config.size_multiple,
    )

    def read(rows: slice, columns: slice) -> Inputs:
        return {"pixel_values": restorer.processor(source.read(rows, columns))["pixel_values"]}

    run = restorer.run_on_tiles(read, plan)
    bands = tiled_bands(run, read, plan, batch_size=restorer.batch_size, progress=progress)
    for top, band in bands:
        yield top, _like_its_source(band, source, top, restorer.processor)


def _like_its_source(band: torch.Tensor, source: Raster, top: int, processor: Any) -> np.ndarray:
    rows = source.read(slice(top, top + band.shape[-2]), slice(0, source.width))
    return processor.post_process(band, [rows])[0]
