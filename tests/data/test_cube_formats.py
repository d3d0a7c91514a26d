import numpy as np
import pytest
import scipy.io

from glmha_hf.data.cube_formats import SpectralCube, companions, read_cube, write_cube
from glmha_hf.data.spectral_sets import (
    CASSI_WAVELENGTHS,
    NTIRE_WAVELENGTHS,
    read_cassi_cube,
    read_ntire_cube,
)
from tests.evaluation.conftest import draw_cube

CUBES = {
    31: SpectralCube(draw_cube(31, 6, 9), NTIRE_WAVELENGTHS),
    28: SpectralCube(draw_cube(28, 7, 5), CASSI_WAVELENGTHS),
    4: SpectralCube(draw_cube(4, 5, 5), (400.5, 433.25, 500.0, 1012.125)),
}


def assert_same(found, cube):
    np.testing.assert_array_equal(found.values, cube.values)
    assert found.values.dtype == np.float32
    assert found.wavelengths == cube.wavelengths


@pytest.mark.parametrize("bands", CUBES)
@pytest.mark.parametrize("ending", ["npy", "mat", "hdr"])
def test_values_and_wavelengths_come_back(bands, ending, tmp_path):
    path = tmp_path / "a" / f"scene.v2.{ending}"
    write_cube(CUBES[bands], path)
    assert_same(read_cube(path), CUBES[bands])
    made = {file.name for file in path.parent.iterdir()}
    assert made == {path.name, *(file.name for file in companions(path))}


def test_numpy_reads_the_npy_file(tmp_path):
    write_cube(CUBES[31], tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), CUBES[31].values)
    written = (tmp_path / "a.wavelengths.txt").read_text().split()
    assert [float(each) for each in written] == list(NTIRE_WAVELENGTHS)


@pytest.mark.parametrize(("bands", "reader"), [(31, read_ntire_cube), (28, read_cassi_cube)])
def test_the_mat_file_is_read_as_the_data_sets_are(bands, reader, tmp_path):
    write_cube(CUBES[bands], tmp_path / "a.mat")
    np.testing.assert_array_equal(reader(tmp_path / "a.mat"), CUBES[bands].values)


def test_the_mat_file_is_matlabs_own(tmp_path):
    """MATLAB 7.3 wants its mark in the first 128 bytes, and the class of each variable."""
    h5py = pytest.importorskip("h5py")
    write_cube(CUBES[31], tmp_path / "a.mat")
    head = (tmp_path / "a.mat").read_bytes()[:128]
    assert head.startswith(b"MATLAB 7.3 MAT-file")
    assert head[124:] == b"\x00\x02IM"
    with pytest.raises(NotImplementedError, match="HDF"):
        scipy.io.loadmat(tmp_path / "a.mat")  # scipy knows the mark, and not the format
    with h5py.File(tmp_path / "a.mat") as file:
        assert file["cube"].shape == (31, 9, 6)
        assert file["cube"].attrs["MATLAB_class"] == b"single"
        np.testing.assert_array_equal(np.ravel(file["bands"]), NTIRE_WAVELENGTHS)


@pytest.mark.parametrize("bands", CUBES)
def test_an_independent_reader_understands_the_envi_files(bands, tmp_path):
    envi = pytest.importorskip("spectral.io.envi")
    write_cube(CUBES[bands], tmp_path / "a.hdr")
    image = envi.open(str(tmp_path / "a.hdr"), str(tmp_path / "a.img"))
    np.testing.assert_array_equal(
        np.asarray(image.open_memmap()), CUBES[bands].values.transpose(1, 2, 0)
    )
    assert tuple(image.bands.centers) == CUBES[bands].wavelengths
    assert image.bands.band_unit == "Nanometers"


def test_an_independent_writers_envi_file_is_read(tmp_path):
    """Other writers sort the fields and break lists into lines."""
    envi = pytest.importorskip("spectral.io.envi")
    cube = CUBES[28]
    envi.save_image(
        str(tmp_path / "a.hdr"),
        cube.values.transpose(1, 2, 0),
        interleave="bsq",
        metadata={"wavelength": [f"{each}" for each in cube.wavelengths]},
    )
    header = (tmp_path / "a.hdr").read_text()
    (tmp_path / "a.hdr").write_text(header.replace(" , ", ",\n  "))
    assert_same(read_cube(tmp_path / "a.hdr"), cube)


def test_the_data_sets_own_cubes_have_their_known_wavelengths(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "arad.mat", "w") as file:
        file["cube"] = CUBES[31].values.transpose(0, 2, 1)
    assert_same(read_cube(tmp_path / "arad.mat"), CUBES[31])
    scipy.io.savemat(tmp_path / "kaist.mat", {"img": CUBES[28].values.transpose(1, 2, 0)})
    assert_same(read_cube(tmp_path / "kaist.mat"), CUBES[28])


def save(folder, name, array):
    np.save(folder / name, array)
    return folder / name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.npy", "no file"),
        (lambda folder: folder / "a.tif", "ends in .npy, .mat, .hdr"),
        (lambda folder: save(folder, "flat.npy", np.ones((3, 4))), r"a cube is C×H×W, this .*3, 4"),
        (lambda folder: save(folder, "odd.npy", np.ones((5, 2, 2))), "its 5 bands are not known"),
        (lambda folder: save(folder, "nan.npy", np.full((31, 2, 2), np.nan)), "NaN or infinite"),
    ],
)
def test_what_is_no_cube_is_refused(make, message, tmp_path):
    path = make(tmp_path)
    with pytest.raises((ValueError, OSError), match=message):
        read_cube(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ENVI\n", "", "no ENVI header"),
        ("samples = 5\n", "", "lacks or misspells 'samples'"),
        ("samples = 5", "samples = 6", "a.img is not there or not 28×7×6"),
        ("data type = 4", "data type = 6", "lacks or misspells '6'"),
        ("= bsq", "= bil", "only little-endian bsq"),
        ("header offset = 0", "header offset = 8", "without an offset"),
        ("453.5", "blue", "wavelengths are numbers"),
    ],
)
def test_a_wrong_envi_header_is_refused(old, new, message, tmp_path):
    write_cube(CUBES[28], tmp_path / "a.hdr")
    text = (tmp_path / "a.hdr").read_text()
    assert old in text
    (tmp_path / "a.hdr").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_cube(tmp_path / "a.hdr")


def test_a_cube_and_its_wavelengths_must_agree():
    with pytest.raises(ValueError, match="30 wavelengths for 31 bands"):
        SpectralCube(CUBES[31].values, NTIRE_WAVELENGTHS[:30])
    with pytest.raises(ValueError, match="C×H×W, not 4×5"):
        SpectralCube(np.ones((4, 5), np.float32), NTIRE_WAVELENGTHS[:4])
