"""The page as programs call it: every name, many at once, many in a row, and bad files."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import glmha_hf

from .conftest import save_picture
from .serving import served

gradio_client = pytest.importorskip("gradio_client", minversion="2.0")
pytest.importorskip("gradio", minversion="6.0")
pytestmark = pytest.mark.slow

DERAIN, CSA, RGB = "glmha-restormer-derain", "restormer-derain", "glmha-mst-plus-plus-rgb2hsi"
USERS, REQUESTS, SETTLED = 10, 100, 25
MOST_GROWTH = 2 * 2**26
"""Two of the steps in which the heap grows (see `keep_pages`), from settled to last request."""


@pytest.fixture(scope="module")
def server(small_weights, tmp_path_factory):
    with served(small_weights, tmp_path_factory.mktemp("served")) as running:
        yield running


def connect(server, folder):
    return gradio_client.Client(server.address, download_files=str(folder), verbose=False)


@pytest.fixture
def client(server, tmp_path):
    return connect(server, tmp_path / "downloads")


def send(path):
    return gradio_client.handle_file(str(path))


def pixels(path):
    return np.asarray(Image.open(path))


class TestCalls:
    def test_models(self, client):
        names = [model["name"] for model in client.predict(api_name="/models")]
        assert names == [DERAIN, CSA, "glmha-restormer-denoise", RGB]

    def test_restore(self, client, small_weights, tmp_path):
        picture = save_picture(tmp_path / "rain.jpg")
        slider, facts, png, own = client.predict(
            send(picture), DERAIN, "auto", None, api_name="/restore"
        )
        expected = np.asarray(glmha_hf.restore(picture, model=str(small_weights / DERAIN)))
        assert np.array_equal(pixels(slider[1]), expected)
        assert np.array_equal(pixels(png), expected)
        assert np.array_equal(pixels(slider[0]), pixels(picture))
        assert Image.open(own).format == "JPEG"
        assert facts["Picture"] == "56 × 40"

    def test_degrade(self, client, picture):
        degraded, clean = client.predict(send(picture), None, 50, 5, 10, 1, api_name="/degrade")
        again, _ = client.predict(send(picture), None, 50, 5, 10, 1, api_name="/degrade")
        assert np.array_equal(pixels(clean), pixels(picture))
        assert np.array_equal(pixels(degraded), pixels(again))
        assert not np.array_equal(pixels(degraded), pixels(picture))

    def test_a_photographs_cube(self, client, picture):
        cube, truth, places, facts, npy, mat = client.predict(
            send(picture), "RGB photograph", RGB, api_name="/reconstruct"
        )
        values = np.load(cube)
        assert values.shape == (31, 40, 56)
        assert truth is None
        assert np.array_equal(np.load(npy), values)
        assert mat.endswith(".mat")
        assert facts["Cube"] == "56 × 40 × 31 bands, 400 to 700 nm"
        table = client.predict(send(cube), None, "1, 2", api_name="/spectra")
        assert [row[1] for row in table["data"]] == pytest.approx(values[:, 1, 2].tolist())
        seen = client.predict(send(cube), "One band", 600, places, api_name="/view")
        assert pixels(seen).shape[:2] == (40 * 9, 56 * 9)

    def test_a_snapshots_cube(self, client):
        cube, truth, places, *_ = client.predict(
            None, "CASSI snapshot", "gap-tv", api_name="/reconstruct"
        )
        table = client.predict(send(cube), send(truth), places, api_name="/spectra")
        assert len({row[2] for row in table["data"]}) == 6
        assert np.load(cube).shape == np.load(truth).shape == (28, 112, 112)

    def test_compare(self, client, picture):
        slider, difference, scale, rows, ranks, figure = client.predict(
            send(picture), DERAIN, CSA, send(picture), api_name="/compare"
        )
        assert pixels(slider[0]).shape == pixels(difference).shape == (40, 56, 3)
        assert [row["Model"] for row in rows] == [DERAIN, CSA]
        assert scale.startswith("Difference: black is none")
        assert ranks
        assert Image.open(figure).format == "PNG"


def bad_files(folder):
    """Name and contents of files that are no pictures to work on."""
    Image.new("1", (6_000, 6_000)).save(folder / "huge.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "corrupt.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    (folder / "page.html").write_text("<html></html>")
    return {
        "huge.png": "has 36 megapixels; up to 12 are taken",
        "empty.png": "is not a picture that can be read",
        "corrupt.jpg": "is not a picture that can be read",
        "page.html": "is not a picture that can be read",
    }


def test_bad_files_are_told_and_the_page_stays(client, tmp_path, picture):
    for name, line in bad_files(tmp_path).items():
        with pytest.raises(gradio_client.exceptions.AppError, match=line):
            client.predict(send(tmp_path / name), DERAIN, "auto", None, api_name="/restore")
    slider, *_ = client.predict(send(picture), DERAIN, "auto", None, api_name="/restore")
    assert pixels(slider[1]).shape == (40, 56, 3)


def test_a_file_over_the_limit_is_refused(client, tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(bytes(31 * 2**20))
    with pytest.raises(Exception, match=r"(?i)413|too large|exceed|maximum"):
        client.predict(send(path), DERAIN, "auto", None, api_name="/restore")


def test_strangers_name_no_paths(client, picture):
    for model in ("/etc", "../weights", "someone/model"):
        with pytest.raises(gradio_client.exceptions.AppError, match="there is no model"):
            client.predict(send(picture), model, "auto", None, api_name="/restore")


def test_ten_users_get_their_own_pictures(server, small_weights, tmp_path):
    def visit(number):
        picture = save_picture(tmp_path / f"{number}.png", 48 + 8 * number, 64, seed=number)
        client = connect(server, tmp_path / f"user-{number}")
        slider, *_ = client.predict(send(picture), DERAIN, "auto", None, api_name="/restore")
        return picture, slider[1]

    with ThreadPoolExecutor(USERS) as users:
        visits = list(users.map(visit, range(USERS)))
    for picture, restored in visits:
        expected = glmha_hf.restore(picture, model=str(small_weights / DERAIN))
        assert np.array_equal(pixels(restored), np.asarray(expected))


def test_memory_stays_bounded(server, client, tmp_path):
    psutil = pytest.importorskip("psutil")
    process = psutil.Process(server.process)
    settled = 0
    for number in range(REQUESTS):
        picture = save_picture(
            tmp_path / f"{number}.png", 160, 160 + 4 * (number % 20), seed=number
        )
        client.predict(send(picture), (DERAIN, CSA)[number % 2], "auto", None, api_name="/restore")
        if number == SETTLED:
            settled = process.memory_info().rss
    grown = process.memory_info().rss - settled
    print(f"grew by {grown / 2**20:.1f} MiB from {settled / 2**20:.0f} MiB")
    assert grown < MOST_GROWTH


def test_nothing_is_left_when_the_page_closes(small_weights, tmp_path):
    with served(small_weights, tmp_path) as server:
        client = connect(server, tmp_path / "downloads")
        picture = save_picture(tmp_path / "picture.png")
        client.predict(send(picture), DERAIN, "auto", None, api_name="/restore")
        assert list(server.uploads.rglob("picture*.png"))
    assert not list(server.uploads.rglob("picture*.png"))
