"""Files that appear by rename when they are complete, and never by halves."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image


@contextlib.contextmanager
def complete_file(path: Path | str) -> Iterator[Path]:
    """A path to write to; it takes `path`'s place if nothing goes wrong, and is gone otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    with complete_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def save_picture(image: Image.Image, path: Path | str) -> None:
    with complete_file(path) as unfinished:
        image.save(unfinished, Path(path).suffix.lstrip(".").lower().replace("jpg", "jpeg"))


def save_prediction(prediction: np.ndarray, path: Path) -> None:
    """An 8-bit picture as PNG, anything else as .npy."""
    if path.suffix == ".png":
        picture = prediction[..., 0] if prediction.shape[-1] == 1 else prediction
        save_picture(Image.fromarray(picture), path)
        return
    with complete_file(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, prediction)
