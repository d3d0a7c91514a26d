"""Restoring pictures and reconstructing cubes: one call for one, a list or a stream of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..hub.pull import model_folder
from ..models.image_processing_picture import PictureProcessor, as_array
from .exported import takes_mask
from .local_statistics import local_statistics
from .memory import free_memory, largest_tile
from .network import Network, input_dtype, load_network, load_processor
from .shared_statistics import can_share, mosaic, sharing_statistics
from .tiling import Inputs, Progress, Read, Run, TilePlan, plan_tiles, reader, run_tiled

Picture = str | Path | Image.Image | np.ndarray | Tensor
Tile = int | Literal["auto"] | None
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Restorer:
    """A network, its processor, and how pictures are cut.

    `tile="auto"` runs a picture whole where that fits `memory_budget` bytes (half of what is free
    when none is given), and in the largest tiles that fit otherwise; None always runs it whole.
    Tiles share the whole picture's statistics (see `shared_statistics`), unless told not to.
    """

    network: Network
    processor: Any
    tile: Tile = "auto"
    overlap: int | None = None
    batch_size: int = 1
    memory_budget: int | None = None
    shared_statistics: bool = True

    @classmethod
    def load(
        cls,
        model: Any,
        *,
        processor: Any = None,
        dtype: torch.dtype | str | None = None,
        device: torch.device | str | None = None,
        local_window: int | None = None,
        **settings: Any,
    ) -> "Restorer":
        """From a name or a model; `local_window` as in `local_statistics`."""
        if settings.get("batch_size", 1) < 1:
            raise ValueError(f"batch_size must be at least 1, not {settings['batch_size']}")
        if isinstance(model, (str, Path)):
            model = model_folder(model)
        network = load_network(model, dtype=dtype, device=device)
        _check_tiles(settings.get("tile"), settings.get("overlap"), network)
        if local_window is not None:
            network = local_statistics(network, window=local_window)
            settings["shared_statistics"] = False
        processor = load_processor(model, network) if processor is None else processor
        return cls(network=network, processor=processor, **settings)

    def plan(self, height: int, width: int, *, pictures: int = 1) -> TilePlan:
        """How pictures of one size are cut; a single tile where they are not."""
        tile = self.tile
        multiple = self.network.config.size_multiple
        if tile == "auto":
            tile = largest_tile(
                self.network.config,
                height=height,
                width=width,
                batch_size=max(pictures, self.batch_size if pictures == 1 else 1),
                itemsize=self.network.dtype.itemsize,
                budget=self.memory_budget or free_memory(self.network.device) // 2,
            )
        whole = max(height, width, 8 * multiple) + multiple
        return plan_tiles(
            height,
            width,
            tile=tile or whole,
            overlap=self.overlap if tile else 0,
            multiple=multiple,
        )

    def run(self, inputs: Inputs) -> Tensor:
        """The network on inputs that fit it whole, whatever their dtype and device."""
        with torch.inference_mode():
            moved = {
                name: values.to(device=self.network.device, dtype=input_dtype(self.network))
                for name, values in inputs.items()
            }
            return self.network(**moved).reconstruction

    def reconstruct(self, inputs: Inputs, *, progress: Progress | None = None) -> Tensor:
        """B×C×H×W in float32 on the CPU, in tiles where that is called for."""
        pictures, _, height, width = inputs["pixel_values"].shape
        read, plan = reader(inputs), self.plan(height, width, pictures=pictures)
        return run_tiled(
            self.run_on_tiles(read, plan),
            read,
            plan,
            batch_size=self.batch_size,
            progress=progress,
        )

    def run_on_tiles(self, read: Read, plan: TilePlan) -> Run:
        """`run` for the tiles of one picture, or of a batch of them."""
        if plan.tiles == 1 or not (self.shared_statistics and can_share(self.network)):
            return self.run
        restorer = replace(self, network=sharing_statistics(self.network))
        restorer.run(mosaic(read, plan))
        return restorer.run

    def restore_batch(
        self, pictures: Sequence[Picture], *, progress: Progress | None = None
    ) -> list[Any]:
        """Pictures of one size, in the kind, depth, colour and alpha they came in."""
        self.check_restores()
        values = self.processor(list(pictures))["pixel_values"]
        restored = self.reconstruct({"pixel_values": values}, progress=progress)
        return self.processor.post_process(restored, list(pictures))

    def check_restores(self) -> None:
        bands = self.network.config.out_channels
        if not isinstance(self.processor, PictureProcessor) or bands not in (1, 3):
            raise ValueError(
                f"this model makes cubes of {bands} bands, not pictures: use reconstruct"
            )


def _check_tiles(tile: Any, overlap: int | None, network: Network) -> None:
    """Refuse before the first picture what would be refused for each."""
    if isinstance(tile, int):
        plan_tiles(tile, tile, tile=tile, overlap=overlap, multiple=network.config.size_multiple)
    elif tile not in (None, "auto"):
        raise ValueError(f"tile is a number of pixels, 'auto' or None, not {tile!r}")


def restore(
    images: Any,
    *,
    model: Any,
    processor: Any = None,
    tile: Tile = "auto",
    overlap: int | None = None,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    batch_size: int = 1,
    local_window: int | None = None,
    memory_budget: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """Restored pictures: one for one, a list for a list, a generator for a generator.

    A picture is a path, a PIL picture, a NumPy array or a torch tensor. Each comes back in its own
    kind, depth, colour and alpha; a path comes back as a PIL picture (as an array if it has 16-bit
    colour). `model` is a folder, a zoo name, a Hub id or a model. `progress` is called with the
    number of pixels finished since its last call.
    """
    restorer = Restorer.load(
        model,
        processor=processor,
        dtype=dtype,
        device=device,
        local_window=local_window,
        tile=tile,
        overlap=overlap,
        batch_size=batch_size,
        memory_budget=memory_budget,
    )
    restorer.check_restores()
    if _is_one_picture(images):
        return next(_restored([images], restorer, progress))[1]
    if isinstance(images, (Sequence, np.ndarray, Tensor)):
        found = dict(_restored(list(images), restorer, progress))
        return [found[index] for index in range(len(found))]
    if not isinstance(images, Iterable) or hasattr(images, "read"):
        raise TypeError(f"a picture is a path, a PIL picture or an array, not {type(images)}")
    return (picture for _, picture in _restored(images, restorer, progress, in_order=True))


def reconstruct(
    images: Any, *, model: Any, mask: Any = None, processor: Any = None, **settings: Any
) -> Any:
    """Spectral cubes, C×H×W float32, of pictures or CASSI snapshots: one for one, a list for many.

    A snapshot's `mask` is the plain H×W one, shared by all. `settings` are those of `restore`.
    """
    progress = settings.pop("progress", None)
    restorer = Restorer.load(model, processor=processor, **settings)
    config = restorer.network.config
    if config.out_channels in (1, 3):
        raise ValueError("this model makes pictures, not cubes: use restore")
    if mask is not None and not takes_mask(config):
        raise ValueError("this model takes no mask")
    given = {} if mask is None else {"mask": mask}
    many = isinstance(images, (list, tuple, Iterator))
    cubes: list[Any] = []
    for image in images if many else [images]:
        inputs = dict(restorer.processor(image, **given))
        output = restorer.reconstruct(inputs, progress=progress)
        cubes += restorer.processor.post_process(output)
    return cubes if many or len(cubes) > 1 else cubes[0]


def _is_one_picture(images: Any) -> bool:
    if isinstance(images, (np.ndarray, Tensor)):
        return images.ndim < 4
    return isinstance(images, (str, Path, Image.Image))


def _restored(
    images: Iterable[Any], restorer: Restorer, progress: Progress | None, in_order: bool = False
) -> Iterator[tuple[int, Any]]:
    """Each picture's place and restored form, batch by batch."""
    opened = ((index, image, _opened(image)) for index, image in enumerate(images))
    for batch in batches(
        opened,
        size=lambda entry: _size(entry[2]),
        batch_size=restorer.batch_size,
        in_order=in_order,
    ):
        restored = restorer.restore_batch([picture for _, _, picture in batch], progress=progress)
        for (index, image, _), picture in zip(batch, restored, strict=True):
            yield index, as_pil(picture) if isinstance(image, (str, Path)) else picture


def _opened(image: Any) -> Any:
    """A file is decoded once, here."""
    return as_array(image) if isinstance(image, (str, Path)) else image


def _size(picture: Any) -> tuple[int, int]:
    """Width and height, upright."""
    if isinstance(picture, Image.Image):
        picture = as_array(picture)
    H, W = picture.shape[-2:] if isinstance(picture, Tensor) else picture.shape[:2]
    return W, H


def as_pil(pixels: np.ndarray) -> Image.Image | np.ndarray:
    """PIL's form of an array; 16-bit colour stays an array, because PIL has no such picture."""
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 3 and pixels.dtype != np.uint8:
        return pixels
    return Image.fromarray(pixels)


def batches(
    entries: Iterable[T],
    *,
    size: Callable[[T], tuple[int, int]],
    batch_size: int,
    in_order: bool = False,
) -> Iterator[list[T]]:
    """Entries of one size together; `in_order` leaves them in their order, so only neighbours."""
    waiting: dict[tuple[int, int], list[T]] = {}
    for entry in entries:
        shape = size(entry)
        if in_order and waiting and shape not in waiting:
            yield waiting.popitem()[1]
        group = waiting.setdefault(shape, [])
        group.append(entry)
        if len(group) == batch_size:
            yield waiting.pop(shape)
    yield from waiting.values()
