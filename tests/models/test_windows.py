import pytest
import torch
from torch import nn

from glmha_hf.models import windows


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 37, 53), (3, 5, 7), (2, 1, 90)])
@pytest.mark.parametrize("channels", [1, 64, 5000])
def test_windows_cover_every_pixel_once(size, channels, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 4 * 4096)
    x = torch.zeros(*size, 1)
    for images, window in windows.windows_of(x, channels):
        window.of(x[images]).add_(1)
    assert torch.equal(x, torch.ones_like(x))


@pytest.mark.parametrize("lowest", [1, 1000])
def test_windows_are_strips_where_these_are_high_enough(lowest, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 4 * 300)
    monkeypatch.setattr(windows, "LOWEST_STRIP", lowest)
    found = windows.windows_of(torch.zeros(1, 40, 50, 1), 1)
    widths = {window.columns.stop - window.columns.start for _, window in found}
    assert (widths == {50}) == (lowest == 1)


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (13, 20)])
@pytest.mark.parametrize("bins", [1, 3, 5])
def test_maxima_of_windows_are_the_adaptive_pool(size, bins, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 4 * 30)
    x = -torch.rand(2, *size, 3, generator=torch.Generator().manual_seed(1))
    maxima = windows.Maxima(x, 3, bins)
    for images, window in windows.windows_of(x, 1):
        maxima.update(images, window, window.of(x[images]))
    expected = nn.functional.adaptive_max_pool2d(x.permute(0, 3, 1, 2), bins)
    assert torch.equal(maxima.pooled(), expected)


def test_a_margin_ends_where_the_picture_does():
    window = windows.Window(slice(0, 4), slice(6, 9), height=5, width=9)
    larger, zeros = window.with_margin(2)
    assert (larger.rows, larger.columns) == (slice(0, 5), slice(4, 9))
    assert zeros.missing == (0, 2, 2, 1)
