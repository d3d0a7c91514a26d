"""Texts, pictures and predictions, each written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..files import replaced_file


def write_text(path: Path | str, text: str) -> None:
    with replaced_file(Path(path)) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def save_picture(image: Image.Image, path: Path | str) -> None:
    with replaced_file(Path(path)) as unfinished:
        image.save(unfinished, format_named(Path(path)), quality=90)


def format_named(path: Path) -> str:
    """The format that a picture's name asks for."""
    Image.init()
    name = Image.registered_extensions().get(path.suffix.lower())
    if name not in Image.SAVE:
        raise ValueError(f"{path} names no picture format; use .png")
    return name


def save_prediction(prediction: np.ndarray, path: Path) -> None:
    """An 8-bit picture as PNG, anything else as .npy."""
    if path.suffix == ".png":
        picture = prediction[..., 0] if prediction.shape[-1] == 1 else prediction
        save_picture(Image.fromarray(picture), path)
        return
    with replaced_file(Path(path)) as unfinished, unfinished.open("wb") as file:
        np.save(file, prediction)
