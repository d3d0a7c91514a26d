"""Arrays out of MATLAB files of either kind, and of NumPy's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_HDF5_SIGNATURE = b"\x89HDF"


def read_array(path: Path | str, *, key: str | tuple[str, ...]) -> np.ndarray:
    """Read one variable in MATLAB's axis order, whichever format the file has.

    Of several keys the first that there is; a `.npy` file has one array and no keys.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        if path.suffix == ".npy":
            return np.load(path)
        keys = (key,) if isinstance(key, str) else key
        return _read_hdf5(path, keys) if _is_hdf5(path) else _read_v5(path, keys)
    except KeyError as error:
        raise ValueError(f"{path}: {error.args[0]}") from None
    except (OSError, ValueError, NotImplementedError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read as a .mat or .npy file ({error})") from None


def _is_hdf5(path: Path) -> bool:
    """MATLAB v7.3 puts 512 bytes of its own before the HDF5 file; others put none."""
    with path.open("rb") as file:
        head = file.read(516)
    return _HDF5_SIGNATURE in (head[:4], head[512:])


def _read_v5(path: Path, keys: tuple[str, ...]) -> np.ndarray:
    import scipy.io

    try:
        loaded = scipy.io.loadmat(str(path))
    except Exception as error:  # scipy raises whatever its parser trips over
        raise ValueError(error) from None
    contents = {name: value for name, value in loaded.items() if not name.startswith("__")}
    return np.asarray(_pick(contents, keys))


def _read_hdf5(path: Path, keys: tuple[str, ...]) -> np.ndarray:
    import h5py

    with h5py.File(path, "r") as file:
        # HDF5 lists the axes the other way round than MATLAB does.
        return np.asarray(_pick(file, keys)).T


def _pick(contents: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if key in contents:
            return contents[key]
    held = ", ".join(contents) or "none"
    raise KeyError(f"holds no variable {' or '.join(keys)}; it holds {held}")
