"""Cut large pictures into overlapping crops once, so that training decodes little for a patch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from ..files import replaced_file
from .pairs import CleanFolder, FolderPairs
from .pictures import Pixels


def crop_starts(side: int, *, size: int, overlap: int) -> list[int]:
    """Where crops begin along one side; the last one ends at the picture's edge."""
    if not 0 <= overlap < size:
        raise ValueError(f"an overlap of {overlap} does not fit crops of {size}")
    if side < size:
        raise ValueError(f"a side of {side} is shorter than a crop of {size}")
    return [*range(0, side - size, size - overlap), side - size]


def crop_picture(
    picture: Pixels, *, size: int = 512, overlap: int = 256, only_above: int = 0
) -> list[Pixels]:
    """All crops of one picture; whole when a side does not exceed `only_above` or the crop.

    GoPro trains on (512, 256, 0), the denoisers' DFWB on (512, 96, 800).
    """
    H, W = picture.shape[:2]
    if min(H, W) <= max(only_above, size - 1):
        return [picture]
    return [
        picture[top : top + size, left : left + size]
        for left in crop_starts(W, size=size, overlap=overlap)
        for top in crop_starts(H, size=size, overlap=overlap)
    ]


def write_crops(
    source: FolderPairs | CleanFolder,
    output: Path | str,
    *,
    size: int = 512,
    overlap: int = 256,
    only_above: int = 0,
    places: Iterable[int] | None = None,
) -> int:
    """Write `input_crops` and `target_crops` below `output`; returns how many crops of each.

    `places` are the pairs to cut, all by default.
    """
    written = 0
    for index in range(len(source)) if places is None else places:
        pair = source.load(index)
        stem = Path(source.name(index)).with_suffix("").as_posix().replace("/", "-")
        for folder, picture in (("input_crops", pair.input), ("target_crops", pair.target)):
            if picture is None:
                continue
            crops = crop_picture(picture, size=size, overlap=overlap, only_above=only_above)
            for number, crop in enumerate(crops, start=1):
                with replaced_file(Path(output) / folder / f"{stem}-{number}.png") as unfinished:
                    Image.fromarray(crop).save(unfinished, "png")
        written += len(crops)
    return written
