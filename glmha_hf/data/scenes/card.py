"""The README.md of a dataset of scenes: what is in it, how it was made, and of what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..card import licence_tag

_LAYOUTS = {
    "rgb2hsi": """Laid out as ARAD-1K (NTIRE 2022), to train with `data.kind: ntire2022`:

| file | holds |
| --- | --- |
| `Train_Spec/*.mat`, `Valid_Spec/*.mat` | HDF5: `cube`, 31×W×H within 0 and 1; `bands`, in nm |
| `Train_RGB/*.jpg`, `Valid_RGB/*.jpg` | an RGB camera's picture of the cube, linear in the light |
| `split_txt/{train,valid}_list.txt` | the scenes of each split |

The attributes of every HDF5 file name its photograph, its light and its materials.""",
    "cassi": """Laid out as the training and test scenes of MST, to train with `data.kind: cassi`:

| file | holds |
| --- | --- |
| `train/scene*.mat`, `test/scene*.mat` | `img`, H×W×28 counts of 65536; `bands`, in nm |

Every file also names its photograph, its light and its materials. The mask that measures the scenes
is no part of the dataset: `data.mask=FILE`.""",
}

_TEMPLATE = """---
pretty_name: {title}
license: {licence_tag}
task_categories:
- image-to-image
tags:
- hyperspectral
- {task}
- synthetic
---

# {title}

Photographs' shapes and shading in measured materials under measured light, by a seeded program.

| split | scenes |
| --- | --- |
{counts}

{layout}

## How a scene is made

1. A square of a photograph is taken as light (sRGB decoded), with a little stray light.
2. One light is drawn for the scene: daylight of any temperature, or a lamp and some daylight.
3. The scene gets its own choice of materials, and each part of the photograph a few of them that
   come near its colour; rough materials rather where there is texture. Which of the near ones is
   chance: parts of equal colour may have different spectra (metamers).
4. Every pixel becomes the mixture of materials, none negative, that looks as the photograph's pixel
   does once the eye has adapted to the light, and is nearest to what its part favours.

## Provenance

- Photographs: {source}
- Their licence: {licence}
- Reflectances: earthlib (MIT; C. Anderson): soils of the ICRAF-ISRIC database, materials of a town
  (Santa Barbara), dead plants; its 2,000 canopies are computed from leaves' properties (PROSAIL).
  Colour charts and test samples as colour-science ships them (BSD-3-Clause).
- Lights and camera sensitivities: colour-science.
- No photograph and no reflectance serves both splits. Soils of one site, pieces of one specimen
  and the same patch of a chart measured twice count as one reflectance. The lights of both splits
  are of the same families.

The same photographs, seed and parameters give the same scenes; `provenance.json` records them
together with a checksum of the photographs' listing. Seed {seed}, {copies} of every photograph, and

```json
{parameters}
```

## Limits

What a colour's spectrum is was drawn by chance among measured materials, so scores on these scenes
compare methods; they do not say what a method scores on ARAD-1K or KAIST.
"""

_TITLES = {
    "rgb2hsi": "Synthetic scenes of 31 bands with RGB pictures",
    "cassi": "Synthetic scenes of CASSI's 28 bands",
}


def scene_card(
    task: str,
    counts: Mapping[Any, int],
    *,
    source: str,
    licence: str,
    seed: int,
    copies: int,
    parameters: Mapping[str, Any],
) -> str:
    """Fill in the card."""
    return _TEMPLATE.format(
        title=_TITLES[task],
        task=task,
        licence=licence,
        licence_tag=licence_tag(licence),
        layout=_LAYOUTS[task],
        counts="\n".join(f"| {split} | {count} |" for split, count in counts.items()),
        source=source,
        seed=seed,
        copies="one copy" if copies == 1 else f"{copies} copies",
        parameters=json.dumps(parameters, indent=2),
    )
