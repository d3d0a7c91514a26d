"""Make the page's examples out of the photographs they are scaled from.

    python spaces/make_examples.py FOLDER_OF_PHOTOGRAPHS

Needs the extra `spectral`, and earthlib for the scene's materials.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from glmha_hf.data.pictures import read_picture
from glmha_hf.data.scenes.cameras import Camera
from glmha_hf.data.scenes.reflectances import library
from glmha_hf.data.scenes.scene import SceneStyle, make_scene
from glmha_hf.data.spectral_sets import NTIRE_WAVELENGTHS
from glmha_hf.demo.examples import FOLDER, PICTURES, SCENE

LONGEST, MOST_BYTES = 768, 250_000
SCENE_OF, SCENE_SIDE = PICTURES["aitzgorri.jpg"], 112


def make_pictures(photographs: Path) -> None:
    """Scaled, at the best JPEG quality that stays within the size."""
    for name, source in PICTURES.items():
        with Image.open(photographs / source) as photograph:
            picture = photograph.convert("RGB")
        picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        target = FOLDER / name
        for quality in range(95, 40, -5):
            picture.save(target, quality=quality, subsampling=0)
            if target.stat().st_size <= MOST_BYTES:
                break


def make_scene_files(photographs: Path) -> None:
    """A synthetic cube in daylight, in 8 bits, and the picture that a camera takes of it."""
    rng = np.random.default_rng(2)
    style = SceneStyle(size=SCENE_SIDE, illuminants={"daylight": 1})
    photograph = read_picture(photographs / SCENE_OF)
    scene = make_scene(photograph, library("validation"), NTIRE_WAVELENGTHS, style, rng)
    counts = np.rint(scene.cube * 255).astype(np.uint8)
    np.savez_compressed(FOLDER / SCENE, cube=counts)
    camera = Camera()
    exposed = camera.expose(counts / np.float32(255), rng)
    (FOLDER / SCENE).with_suffix(".jpg").write_bytes(camera.jpeg(exposed))


if __name__ == "__main__":
    make_pictures(Path(sys.argv[1]))
    make_scene_files(Path(sys.argv[1]))
