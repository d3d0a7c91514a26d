"""Pictures in and out: files, PIL, NumPy and torch, 8 and 16 bits, gray, palette and alpha."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from torch import Tensor
from transformers.image_processing_base import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

Picture = str | Path | Image.Image | np.ndarray | Tensor
VALUE_RANGES = ("full", "min_max")
# Floats beyond are no noisy picture in [0, 1] but 8- or 16-bit counts.
LARGEST_FLOAT = 10.0

# How Pillow is told to read 16-bit colour (N is this machine's order of bytes), and the other way.
OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
SWAPPED_16_BIT = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA")
    for order, other in OTHER_ORDER.items()
}


class PictureProcessor(BaseImageProcessor):
    """Pictures to B×C×H×W in [0, 1] and back.

    A file or PIL picture is turned upright by its EXIF orientation; palettes and other colour
    spaces become RGB; gray becomes `channels` equal channels, and colour becomes luminance where
    `channels` is 1. Alpha is set aside and put back by `post_process`, untouched. NumPy arrays are
    H×W or H×W×C, torch tensors C×H×W or B×C×H×W; uint8, uint16, or floats in [0, 1].
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012

    def __init__(
        self,
        *,
        channels: int = 3,
        value_range: Literal["full", "min_max"] = "full",
        **kwargs: Any,
    ):
        """`min_max` stretches each picture to [0, 1], as NTIRE 2022's protocol does."""
        super().__init__(**kwargs)
        if value_range not in VALUE_RANGES:
            raise ValueError(f"value_range is {' or '.join(VALUE_RANGES)}, not {value_range!r}")
        self.channels = channels
        self.value_range = value_range

    def preprocess(
        self, images: Picture | Sequence[Picture], return_tensors: str | None = "pt", **kwargs: Any
    ) -> BatchFeature:
        pictures = [self.to_tensor(image) for image in as_list(images)]
        return BatchFeature({"pixel_values": stack(pictures)}, tensor_type=return_tensors)

    def to_tensor(self, image: Picture) -> Tensor:
        """One picture as C×H×W floats in [0, 1]."""
        if isinstance(image, Tensor):
            channels_first = _picture_to_unit(image)
            if channels_first.ndim == 2:
                channels_first = channels_first[None]
            if channels_first.ndim != 3:
                raise ValueError(f"a torch picture must be C×H×W; it is {times(image.shape)}")
        else:
            channels_first = _picture_to_unit(torch.from_numpy(as_array(image))).movedim(-1, 0)
        picture = self._with_channels(channels_first)
        if self.value_range == "min_max":
            low, high = picture.min(), picture.max()
            picture = (picture - low) / (high - low).clamp_min(1e-8)
        return picture

    def _with_channels(self, picture: Tensor) -> Tensor:
        found = picture.shape[0]
        if found == self.channels:
            return picture
        if found in (2, 4) and self.channels in (1, 3):
            return self._with_channels(picture[:-1])
        if found == 1 and self.channels == 3:
            return picture.expand(3, -1, -1)
        if found == 3 and self.channels == 1:
            luminance = torch.tensor([0.299, 0.587, 0.114], dtype=picture.dtype)
            return (picture * luminance[:, None, None]).sum(0, keepdim=True)
        raise ValueError(
            f"the picture has {found} channels, the model takes {self.channels}; NumPy arrays are "
            "H×W×C, torch tensors C×H×W"
        )

    def post_process(
        self, outputs: Any, images: Picture | Sequence[Picture] | None = None
    ) -> list[Image.Image | np.ndarray | Tensor]:
        """Pictures of the kind, depth, colour and alpha of `images`; 8-bit PIL without them.

        16-bit colour comes as an array, because PIL has no such picture. A reconstruction
        of other than 1 or 3 channels is a cube: C×H×W float32 arrays.
        """
        reconstruction = getattr(outputs, "reconstruction", outputs).detach().float().cpu()
        if reconstruction.shape[1] not in (1, 3):
            return list(reconstruction.numpy())
        originals = [None] * len(reconstruction) if images is None else as_list(images)
        if len(originals) != len(reconstruction):
            raise ValueError(f"{len(reconstruction)} outputs, but {len(originals)} pictures")
        return [
            _like(picture.clamp(0, 1), original)
            for picture, original in zip(reconstruction, originals, strict=True)
        ]


def as_array(image: str | Path | Image.Image | np.ndarray) -> np.ndarray:
    """Upright H×W×C in the picture's own depth: gray, gray and alpha, RGB, or RGB and alpha."""
    if not isinstance(image, np.ndarray):
        image = _read(image)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or 0 in image.shape:
        raise ValueError(f"a NumPy picture must be H×W or H×W×C; it is {times(image.shape)}")
    return image if image.flags.writeable and min(image.strides) >= 0 else image.copy()


def _read(source: str | Path | Image.Image) -> np.ndarray:
    try:
        image = source if isinstance(source, Image.Image) else Image.open(source)
        raw_mode, *details = _told_to_the_decoder(image)
        if raw_mode in SWAPPED_16_BIT:
            return _read_16_bit_colour(source, raw_mode)
        deep = image.format == "PPM" and raw_mode == "RGB" and max(details, default=0) > 255
        if deep or raw_mode == "LA;16B":
            raise ValueError("Pillow reads its 16 bits as 8; save it as 16-bit RGB in a PNG")
        image.load()
    except (FileNotFoundError, IsADirectoryError, PermissionError, Image.DecompressionBombError):
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{source} is not a picture that can be read: {error}") from None
    return _pil_array(ImageOps.exif_transpose(image))


def _told_to_the_decoder(image: Image.Image) -> list[Any]:
    """The raw mode in which Pillow reads the file's pixels, and details; "" if it has read them."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return [""]
    told = image.tile[0].args
    return list(told) if isinstance(told, tuple) else [told]


def _read_16_bit_colour(source: str | Path | Image.Image, raw_mode: str) -> np.ndarray:
    """Pillow keeps only the high bytes of 16-bit colour: read once more with the bytes swapped."""
    path = getattr(source, "filename", None) if isinstance(source, Image.Image) else source
    if not path:
        raise ValueError("Pillow reads 16-bit colour as 8-bit; give the file's path instead")
    halves = []
    for mode in (raw_mode, SWAPPED_16_BIT[raw_mode]):
        with Image.open(path) as image:
            assert isinstance(image, ImageFile.ImageFile)
            image.tile = [tile._replace(args=_with_mode(tile.args, mode)) for tile in image.tile]
            halves.append(np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16))
    return halves[0] * 256 + halves[1]


def _with_mode(told: Any, mode: str) -> Any:
    return (mode, *told[1:]) if isinstance(told, tuple) else mode


def _pil_array(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I":  # how Pillow opens some 16-bit files
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise ValueError("a 32-bit integer picture cannot be used; save it with 8 or 16 bits")
        return pixels.astype(np.uint16)
    if image.mode == "F":
        return np.asarray(image, dtype=np.float32)
    has_alpha = image.mode[-1] in "Aa" or "transparency" in image.info
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("LA" if has_alpha else "L"))
    return np.asarray(image.convert("RGBA" if has_alpha else "RGB"))


def _picture_to_unit(values: Tensor) -> Tensor:
    picture = to_unit(values, "picture")
    if values.is_floating_point() and picture.numel() and picture.abs().max() > LARGEST_FLOAT:
        raise ValueError(
            f"a picture's floats lie in [0, 1], and these reach {picture.abs().max():.4g}: divide "
            "them, or give uint8 or uint16"
        )
    return picture


def to_unit(values: Tensor, what: str) -> Tensor:
    """float32: uint8 and uint16 scaled to [0, 1] by their full range, floats checked and kept."""
    if values.dtype == torch.uint8:
        return values.float() / 255
    if values.dtype == torch.uint16:
        return values.to(torch.int32).float() / 65535
    if values.dtype == torch.bool:
        return values.float()
    if not values.is_floating_point():
        raise ValueError(f"a {what} must be uint8, uint16 or floating-point, not {values.dtype}")
    check_finite(values, what)
    return values.float()


def check_finite(values: Tensor, what: str) -> None:
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        raise ValueError(f"the {what} has {bad} values that are NaN or infinite")


def stack(tensors: list[Tensor]) -> Tensor:
    """One batch of pictures of one size."""
    if not tensors:
        raise ValueError("no pictures were given")
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        raise ValueError(
            "pictures of one batch must have one size; these have "
            + ", ".join(sorted(times(shape) for shape in shapes))
        )
    return torch.stack(tensors)


def as_list(images: Any) -> list:
    """One picture or many, as a list; a batch tensor counts as many."""
    if isinstance(images, (np.ndarray, Tensor)) and images.ndim == 4:
        return list(images)
    if isinstance(images, (list, tuple)):
        return list(images)
    return [images]


def times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _like(picture: Tensor, original: Picture | None) -> Image.Image | np.ndarray | Tensor:
    """C×H×W in [0, 1] as the original's kind, depth and colour, its alpha put back."""
    if isinstance(original, Tensor):
        flat = original.ndim == 2
        tensor = _with_alpha(picture, original.cpu()[None] if flat else original.cpu())
        return tensor[0] if flat else tensor
    if isinstance(original, np.ndarray):
        restored = _as_pixels(picture, as_array(original))
        return restored if original.ndim == 3 else restored[..., 0]
    pixels = (
        np.zeros((1, 1, picture.shape[0]), np.uint8) if original is None else as_array(original)
    )
    restored = _as_pixels(picture, pixels)
    if restored.shape[-1] == 1:
        restored = restored[..., 0]
    is_deep_colour = restored.ndim == 3 and restored.dtype != np.uint8
    return restored if is_deep_colour else Image.fromarray(restored)


def _as_pixels(picture: Tensor, original: np.ndarray) -> np.ndarray:
    """H×W×C with the original's number of channels and dtype."""
    restored = _with_alpha(picture, torch.from_numpy(original).movedim(-1, 0))
    return np.ascontiguousarray(restored.movedim(0, -1).numpy())


def _with_alpha(picture: Tensor, original: Tensor) -> Tensor:
    """C×H×W with the original's number of channels and dtype."""
    has_alpha = original.shape[0] in (2, 4)
    colours = original.shape[0] - has_alpha
    if colours == 1 and picture.shape[0] == 3:
        picture = picture.mean(0, keepdim=True)
    restored = _with_depth(picture, original.dtype)
    return torch.cat([restored, original[-1:].to(restored.dtype)]) if has_alpha else restored


def _with_depth(picture: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype in (torch.uint8, torch.bool):
        return (picture * 255).round().to(torch.uint8)
    if dtype == torch.uint16:
        return (picture * 65535).round().to(torch.int32).to(torch.uint16)
    return picture.to(dtype)
