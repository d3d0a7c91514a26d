"""Pictures and a spectral scene to try the page with; LICENCES.md names their authors."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.Image import Resampling

from ...analysis.spectra import interpolation
from ...data.cassi import CassiSystem
from ...data.cube_formats import SpectralCube
from ...data.spectral_sets import CASSI_WAVELENGTHS, NTIRE_WAVELENGTHS

FOLDER = Path(__file__).parent
# File name here: the photograph it is scaled from.
PICTURES = {
    "bridge.jpg": "desktop-Bridge_by_Sander_Klootwijk.jpg",
    "dragonfly.jpg": "desktop-Dragonfly_by_Bolly.jpg",
    "seeding.jpg": "desktop-seeding_by_Clements_Engelhardt.jpg",
    "aitzgorri.jpg": "desktop-aitzgorri_by_Aitzol_Berasategi.jpg",
    "friends.jpg": "desktop-friends_by_Aitzol_Berasategi.jpg",
}
SCENE = "scene.npz"
CELL = 2.3
SCENE_PICTURE = FOLDER / "scene.jpg"


def pictures() -> list[Path]:
    return [FOLDER / name for name in PICTURES]


def copied(picture: Path, folder: Path) -> Path:
    """A copy to hand out.

    Gradio deletes what it handed out after a while, and an example's thumbnail with it where both
    are one file.
    """
    return Path(shutil.copyfile(picture, folder / picture.name))


@lru_cache(1)
def ntire_scene() -> SpectralCube:
    """The scene in 31 bands."""
    with np.load(FOLDER / SCENE) as stored:
        return SpectralCube(stored["cube"].astype(np.float32) / 255, NTIRE_WAVELENGTHS)


@lru_cache(1)
def cassi_scene() -> SpectralCube:
    """The same scene in CASSI's 28 bands, read between those of the other."""
    wide = ntire_scene()
    between = interpolation(wide.wavelengths, np.asarray(CASSI_WAVELENGTHS)).astype(np.float32)
    return SpectralCube(np.tensordot(between, wide.values, axes=1), CASSI_WAVELENGTHS)


def cassi_system() -> CassiSystem:
    """A camera with a mask of random open and closed cells, as large as the scene.

    A cell is a little more than two pixels wide, as in the published masks, so that its edges fall
    within pixels.
    """
    H, W = cassi_scene().values.shape[1:]
    cells = np.random.default_rng(0).random((round(H / CELL), round(W / CELL))) < 0.5
    fine = Image.fromarray(cells.astype(np.float32)).resize((9 * W, 9 * H), Resampling.NEAREST)
    return CassiSystem(torch.from_numpy(np.array(fine.resize((W, H), Resampling.BOX))))
