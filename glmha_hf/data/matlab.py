"""Arrays out of MATLAB files of either kind, and of NumPy's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_HDF5_SIGNATURE = b"\x89HDF"


def read_array(path: Path | str, *, key: str) -> np.ndarray:
    """Read one variable in MATLAB's axis order, whichever format the file has."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        if path.suffix == ".npy":
            return np.load(path)
        return _read_hdf5(path, key) if _is_hdf5(path) else _read_v5(path, key)
    except KeyError as error:
        raise ValueError(f"{path}: {error.args[0]}") from None
    except (OSError, ValueError, NotImplementedError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read as a .mat or .npy file ({error})") from None


def _is_hdf5(path: Path) -> bool:
    """MATLAB v7.3 puts 512 bytes of its own before the HDF5 file; others put none."""
    with path.open("rb") as file:
        head = file.read(516)
    return _HDF5_SIGNATURE in (head[:4], head[512:])


def _read_v5(path: Path, key: str) -> np.ndarray:
    import scipy.io

    try:
        loaded = scipy.io.loadmat(str(path))
    except Exception as error:  # scipy raises whatever its parser trips over
        raise ValueError(error) from None
    contents = {name: value for name, value in loaded.items() if not name.startswith("__")}
    return np.asarray(_pick(contents, key))


def _read_hdf5(path: Path, key: str) -> np.ndarray:
    import h5py

    with h5py.File(path, "r") as file:
        # HDF5 lists the axes the other way round than MATLAB does.
        return np.asarray(_pick(file, key)).T


def _pick(contents: Any, key: str) -> Any:
    if key not in contents:
        raise KeyError(f"holds no variable {key}; it holds {', '.join(contents) or 'none'}")
    return contents[key]
