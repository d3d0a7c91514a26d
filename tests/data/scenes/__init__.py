"""Small pictures to draw on: smooth shapes with edges, different for every seed."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw_scene(height=96, width=112, seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    scene = np.full((height, width, 3), 90.0)
    for _ in range(12):
        centre = rng.uniform(0, 1, 2) * (height, width)
        near = np.hypot(rows - centre[0], columns - centre[1]) < rng.uniform(8, 30)
        scene[near] = rng.uniform(20, 200, 3)
    texture = 12 * np.sin(columns / 3 + rows / 5)[..., None]
    return np.clip(scene + texture, 0, 255).astype(np.uint8)


def save_scenes(folder: Path, count: int, *, suffix=".png", first_seed=0, **size):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        scene = draw_scene(seed=first_seed + number, **size)
        Image.fromarray(scene).save(folder / f"scene-{number}{suffix}")
    return folder
