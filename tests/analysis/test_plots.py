import sys

import numpy as np
import pytest
from PIL import Image

from glmha_hf.analysis.plots import correlation, plot_eigenvalues, plot_spectra
from glmha_hf.analysis.rank import attention_spectra
from glmha_hf.errors import is_bad_input
from tests.evaluation.conftest import draw_cube
from tests.models.small import random_inputs, small_model


def test_eigenvalues_and_spectra_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    model = small_model("restormer")
    spectra = attention_spectra(model, [random_inputs(model, 16, 16)])
    plot_eigenvalues({"a": spectra, "b": spectra}, tmp_path / "figure1.png")
    truth = draw_cube(31, 8, 8)
    plot_spectra({"truth": truth, "a": truth * 0.9}, [(1, 2), (3, 4)], tmp_path / "lines.png")
    for path in tmp_path.iterdir():
        picture = np.asarray(Image.open(path).convert("L"))
        assert picture.shape[1] > 800
        assert picture.std() > 10
    assert len(list(tmp_path.iterdir())) == 2


def test_a_pixel_outside_the_cube_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no pixel \(9, 2\) in a cube of 8×8"):
        plot_spectra({"truth": draw_cube(31, 8, 8)}, [(9, 2)], tmp_path / "lines.png")


def test_without_matplotlib_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError) as told:
        plot_spectra({"truth": draw_cube(31, 8, 8)}, [(1, 2)], tmp_path / "lines.png")
    assert str(told.value) == "this needs matplotlib: pip install 'glmha-hf[spectral]'"
    assert is_bad_input(told.value)


def test_correlation():
    rising = np.arange(5.0)
    assert correlation(rising, 2 * rising + 1) == pytest.approx(1)
    assert correlation(rising, np.ones(5)) == 0
