"""The qualitative sheets of Figures 5 to 7: crops with their PSNR, bands, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from ..metrics import psnr
from .sheets import Box, Panel, check_box, crop, draw_sheet
from .spectra import band_picture, cube_to_srgb, natural_exposure, nearest_bands, usual_wavelengths

FOUR_BANDS = {31: (450.0, 520.0, 580.0, 640.0), 28: (476.5, 536.5, 584.5, 625.0)}


def picture_sheet(
    degraded: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    truth: np.ndarray,
    box: Box,
    *,
    title: str = "",
) -> Image.Image:
    """Figure 7: the whole picture and the box, then the box in every version with its PSNR.

    The PSNR is the whole picture's, over RGB.
    """
    check_box(box, *truth.shape[:2])
    versions = {"input": degraded, **predictions, "truth": truth}
    panels = [
        Panel(
            degraded, title="whole input", caption="right: the box, PSNR of the whole", boxes=(box,)
        )
    ]
    for name, picture in versions.items():
        caption = "" if name == "truth" else f"{float(psnr(picture, truth)):.2f} dB"
        panels.append(Panel(crop(picture, box), title=name, caption=caption))
    return draw_sheet(_in_rows(panels), title=title, panel_width=260)


def band_sheet(
    predictions: Mapping[str, np.ndarray],
    truth: np.ndarray,
    *,
    wavelengths: Sequence[float] | None = None,
    shown: Sequence[float] | None = None,
    box: Box | None = None,
    pixels: Sequence[tuple[int, int]] = (),
    title: str = "",
) -> Image.Image:
    """Figures 5 and 6: four bands of every cube beside its colours, a box of each enlarged below.

    The PSNR is of all bands together; every row has the truth's brightness.
    """
    known = usual_wavelengths(len(truth)) if wavelengths is None else wavelengths
    wanted = (
        shown or FOUR_BANDS.get(len(truth)) or np.linspace(known[0], known[-1], 6)[1:5].tolist()
    )
    bands = nearest_bands(known, wanted)
    exposure = natural_exposure(truth, known)
    peaks = [float(np.percentile(truth[band], 99.8)) for band in bands]
    if box is not None:
        check_box(box, *truth.shape[1:])
    side = max(7, truth.shape[2] // 40)
    marks = tuple((row - side // 2, column - side // 2, side, side) for row, column in pixels)
    rows = []
    for name, cube in {**predictions, "truth": truth}.items():
        score = f"{float(psnr(cube.clip(0, 1), truth.clip(0, 1))):.2f} dB"
        caption = "" if name == "truth" else score
        colours = cube_to_srgb(cube, known, exposure=exposure)
        pictures = [colours] + [
            band_picture(cube[band], known[band], peak=peak)
            for band, peak in zip(bands, peaks, strict=True)
        ]
        titles = [name, *(f"{known[band]:g} nm" for band in bands)]
        captions = [caption] + [
            "" if name == "truth" else f"{_band_psnr(cube[band], truth[band]):.2f} dB"
            for band in bands
        ]
        rows.append(
            [
                Panel(
                    picture if box is None else with_inset(picture, box),
                    title=each,
                    caption=below,
                    boxes=(*(() if box is None else (box,)), *(() if place else marks)),
                )
                for place, (picture, each, below) in enumerate(
                    zip(pictures, titles, captions, strict=True)
                )
            ]
        )
    return draw_sheet(rows, title=title, panel_width=250)


def with_inset(picture: np.ndarray, box: Box, *, share: float = 0.36) -> np.ndarray:
    """The box enlarged in the lower right corner, as Figure 6 has it."""
    H, W = picture.shape[:2]
    part = Image.fromarray(crop(picture, box))
    scale = min(share * W / part.width, share * H / part.height)
    size = (max(1, round(part.width * scale)), max(1, round(part.height * scale)))
    inset = np.asarray(part.resize(size, Image.Resampling.NEAREST))
    framed = picture.copy()
    framed[H - size[1] - 2 :, W - size[0] - 2 :] = 255
    framed[H - size[1] :, W - size[0] :] = inset
    return framed


def _band_psnr(band: np.ndarray, truth: np.ndarray) -> float:
    return float(psnr(band.clip(0, 1), truth.clip(0, 1), item_ndim=2))


def _in_rows(panels: Sequence[Panel], columns: int = 5) -> list[Sequence[Panel]]:
    return [panels[start : start + columns] for start in range(0, len(panels), columns)]
