"""Animations and files of several pages, frame by frame."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from .restoration import Restorer, batches
from .saving import save_frames
from .tiling import Progress


def restore_animation(
    source: Path, target: Path, restorer: Restorer, *, format: str, progress: Progress | None
) -> None:
    """Frames are read, restored in batches and handed to the writer as they come."""
    with Image.open(source) as image:
        durations = [int(frame.info.get("duration", 0)) for frame in ImageSequence.Iterator(image)]
        loop = image.info.get("loop")
        frames = restored_frames(image, restorer, progress=progress)
        save_frames(frames, target, format=format, durations=durations, loop=loop)


def restored_frames(
    image: Image.Image, restorer: Restorer, *, progress: Progress | None
) -> Iterator[Image.Image]:
    for batch in batches(
        _frames(image),
        size=lambda frame: (frame.shape[1], frame.shape[0]),
        batch_size=restorer.batch_size,
        in_order=True,
    ):
        for frame in restorer.restore_batch(batch, progress=progress):
            yield Image.fromarray(frame)


def _frames(image: Image.Image) -> Iterator[np.ndarray]:
    """Upright; RGB, or RGB and alpha in all frames: a writer wants one mode."""
    mode = "RGB"
    for frame in ImageSequence.Iterator(image):
        if frame.mode.startswith(("I", "F")):
            raise ValueError("pages of 16 bits cannot be restored together: give them one by one")
        mode = "RGBA" if frame.has_transparency_data else mode
    for frame in ImageSequence.Iterator(image):
        yield np.array(ImageOps.exif_transpose(frame).convert(mode))
