"""Small ARAD-1K and CAVE/KAIST folders, written as the published files are."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import scipy.io
from PIL import Image

Cubes = dict[str, np.ndarray]


def save_ntire(
    root: Path, *, train: int = 3, valid: int = 2, size: tuple[int, int] = (40, 52)
) -> Cubes:
    """Pictures, HDF5 cubes of 31×W×H and the splits' lists; the cubes as 31×H×W."""
    rng = np.random.default_rng(5)
    for folder in ("Train_RGB", "Train_Spec", "split_txt"):
        (root / folder).mkdir(parents=True)
    names = [f"ARAD_1K_{number:04d}" for number in range(1, train + valid + 1)]
    cubes = {}
    for name in names:
        cube = rng.uniform(0.1, 0.9, (31, *size)).astype(np.float32)
        picture = (cube[[24, 15, 6]] * 255).astype(np.uint8)
        Image.fromarray(picture.transpose(1, 2, 0)).save(root / "Train_RGB" / f"{name}.jpg")
        with h5py.File(root / "Train_Spec" / f"{name}.mat", "w") as file:
            file["cube"] = cube.transpose(0, 2, 1).astype(np.float64)
        cubes[name] = cube
    for split, members in (("train", names[:train]), ("valid", names[train:])):
        (root / "split_txt" / f"{split}_list.txt").write_text("\n".join(members) + "\n")
    return cubes


def save_cassi(root: Path, *, train: int = 3, test: int = 2, side: int = 32) -> Cubes:
    """16-bit training scenes under both published keys, test scenes, and the mask."""
    rng = np.random.default_rng(6)
    cubes = {}
    for folder, count in (("cave_1024_28", train), ("test", test)):
        (root / folder).mkdir(parents=True)
        for number in range(1, count + 1):
            counts = rng.integers(0, 2**16, (side + 8, side + 4, 28), dtype=np.uint16)
            if folder == "test":
                values, key = counts[:side, :side] / 65536, "img"
            else:
                values, key = counts, "img_expand" if number % 2 else "img"
            stem = f"scene{number:02d}" if folder == "test" else f"scene{number}"
            scipy.io.savemat(root / folder / f"{stem}.mat", {key: values}, do_compression=True)
            cubes[f"{folder}/{stem}"] = (counts / 65536).astype(np.float32).transpose(2, 0, 1)
    mask = rng.integers(0, 2, (side, side)).astype(np.float64)
    scipy.io.savemat(root / "mask.mat", {"mask": mask})
    return cubes
