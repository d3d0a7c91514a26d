"""Spectral cubes as files, with their wavelengths: NumPy, MATLAB 7.3 as the data sets use, ENVI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import extra
from ..files import replaced_file
from .matlab import read_array
from .spectral_sets import CASSI_WAVELENGTHS, NTIRE_WAVELENGTHS, Cube

SUFFIXES = {"npy": ".npy", "mat": ".mat", "envi": ".hdr"}
USUAL_WAVELENGTHS = {len(known): known for known in (NTIRE_WAVELENGTHS, CASSI_WAVELENGTHS)}
MATLAB_VARIABLES = {31: "cube", 28: "img"}
"""What ARAD-1K and the KAIST scenes call their cubes."""
ENVI_TYPES = {"4": "<f4", "5": "<f8", "12": "<u2", "1": "u1"}


@dataclass(frozen=True)
class SpectralCube:
    """C×H×W values and the C wavelengths of their bands, in nanometres."""

    values: Cube
    wavelengths: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.values.ndim != 3:
            raise ValueError(f"a cube is C×H×W, not {'×'.join(map(str, self.values.shape))}")
        if len(self.wavelengths) != len(self.values):
            raise ValueError(f"{len(self.wavelengths)} wavelengths for {len(self.values)} bands")


def write_cube(cube: SpectralCube, path: Path | str) -> None:
    """Writes a `.npy`, `.mat` or `.hdr` file; what lies beside it is there before it appears.

    `.npy` has its wavelengths in NAME.wavelengths.txt, one a line; `.hdr` its values in NAME.img.
    """
    path = Path(path)
    writers = {".npy": _write_npy, ".mat": _write_mat, ".hdr": _write_envi}
    if path.suffix not in writers:
        raise ValueError(f"{path}: a cube's file ends in {', '.join(writers)}")
    values = np.ascontiguousarray(cube.values, dtype=np.float32)
    writers[path.suffix](SpectralCube(values, cube.wavelengths), path)


def read_cube(path: Path | str) -> SpectralCube:
    """What `write_cube` wrote; also the data sets' own cubes, whose wavelengths are known."""
    path = Path(path)
    readers = {".npy": _read_npy, ".mat": _read_mat, ".hdr": _read_envi}
    if path.suffix not in readers:
        raise ValueError(f"{path}: a cube's file ends in {', '.join(readers)}")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    values, wavelengths = readers[path.suffix](path)
    if values.ndim != 3:
        raise ValueError(f"{path}: a cube is C×H×W, this array is {values.shape}")
    if wavelengths is None:
        if len(values) not in USUAL_WAVELENGTHS:
            raise ValueError(f"{path}: the wavelengths of its {len(values)} bands are not known")
        wavelengths = USUAL_WAVELENGTHS[len(values)]
    cube = SpectralCube(np.ascontiguousarray(values, dtype=np.float32), tuple(wavelengths))
    if not np.isfinite(cube.values).all():
        raise ValueError(f"{path}: the cube holds NaN or infinite values")
    return cube


def companions(path: Path) -> list[Path]:
    """The files that belong to a cube's file."""
    return [each(path) for suffix, each in _BESIDE.items() if path.suffix == suffix]


def view_files(path: Path) -> tuple[Path, Path]:
    """Where the views of a cube's file go: its colours, and the spectra of some places."""
    return path.with_name(f"{path.stem}.srgb.png"), path.with_name(f"{path.stem}.spectra.png")


def _wavelength_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}.wavelengths.txt")


def _envi_values(path: Path) -> Path:
    return path.with_suffix(".img")


_BESIDE = {".npy": _wavelength_file, ".hdr": _envi_values}


def _write_npy(cube: SpectralCube, path: Path) -> None:
    with replaced_file(_wavelength_file(path)) as unfinished:
        unfinished.write_text("".join(f"{each:.10g}\n" for each in cube.wavelengths))
    with replaced_file(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, cube.values)


def _read_npy(path: Path) -> tuple[np.ndarray, Sequence[float] | None]:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: cannot be read as a .npy file ({error})") from None
    beside = _wavelength_file(path)
    if not beside.is_file():
        return values, None
    return values, _numbers(beside.read_text().split(), beside)


def _write_mat(cube: SpectralCube, path: Path) -> None:
    """C×W×H on disk, which is H×W×C to MATLAB; `bands` holds the wavelengths, as in ARAD-1K."""
    h5py = extra("h5py")
    variable = MATLAB_VARIABLES.get(len(cube.values), "cube")
    arrays = {
        variable: cube.values.transpose(0, 2, 1),
        "bands": np.array(cube.wavelengths)[:, None],
    }
    with replaced_file(path) as unfinished:
        with h5py.File(unfinished, "w", userblock_size=512) as file:
            for name, array in arrays.items():
                stored = file.create_dataset(name, data=array)
                kind = b"single" if array.dtype == np.float32 else b"double"
                stored.attrs["MATLAB_class"] = np.bytes_(kind)
        with unfinished.open("r+b") as raw:
            raw.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")


def _read_mat(path: Path) -> tuple[np.ndarray, Sequence[float] | None]:
    values = read_array(path, key=("cube", "img"))
    values = values.transpose(2, 0, 1) if values.ndim == 3 else values
    try:
        bands = read_array(path, key="bands").ravel()
    except ValueError:
        return values, None
    return values, [float(each) for each in bands]


def _write_envi(cube: SpectralCube, path: Path) -> None:
    """Band after band of little-endian float32."""
    bands, lines, samples = cube.values.shape
    header = {
        "description": "{reflectance}",
        "samples": samples,
        "lines": lines,
        "bands": bands,
        "header offset": 0,
        "file type": "ENVI Standard",
        "data type": 4,
        "interleave": "bsq",
        "byte order": 0,
        "wavelength units": "Nanometers",
        "wavelength": "{" + ", ".join(f"{each:.10g}" for each in cube.wavelengths) + "}",
    }
    with replaced_file(_envi_values(path)) as unfinished:
        cube.values.astype("<f4", copy=False).tofile(unfinished)
    with replaced_file(path) as unfinished:
        lines_of_text = (f"{name} = {value}" for name, value in header.items())
        unfinished.write_text("\n".join(["ENVI", *lines_of_text]) + "\n")


def _read_envi(path: Path) -> tuple[np.ndarray, Sequence[float] | None]:
    fields = _envi_fields(path)
    try:
        shape = tuple(int(fields[name]) for name in ("bands", "lines", "samples"))
        dtype = np.dtype(ENVI_TYPES[fields["data type"]])
        plain = (fields["interleave"].lower(), fields.get("byte order", "0")) == ("bsq", "0")
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: the header lacks or misspells {error}") from None
    if not plain or fields.get("header offset", "0") != "0":
        raise ValueError(f"{path}: only little-endian bsq files without an offset are read")
    stored = _envi_values(path)
    if not stored.is_file() or stored.stat().st_size != np.prod(shape) * dtype.itemsize:
        raise ValueError(f"{path}: {stored.name} is not there or not {'×'.join(map(str, shape))}")
    values = np.fromfile(stored, dtype).reshape(shape)
    if "wavelength" not in fields:
        return values, None
    return values, _numbers(fields["wavelength"].strip("{}").split(","), path)


def _envi_fields(path: Path) -> dict[str, str]:
    """The header's `name = value` entries, lists in braces joined to one line."""
    text = path.read_text(errors="replace")
    if not text.startswith("ENVI"):
        raise ValueError(f"{path}: is no ENVI header")
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines()[1:]:
        if name and fields[name].startswith("{") and "}" not in fields[name]:
            fields[name] += " " + line.strip()
        elif "=" in line:
            name, _, value = (part.strip() for part in line.partition("="))
            name = name.lower()
            fields[name] = value
    return fields


def _numbers(texts: Sequence[str], path: Path) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise ValueError(f"{path}: wavelengths are numbers ({error})") from None
