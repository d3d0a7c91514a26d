"""The README.md of a synthesised dataset: what is in it and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_DOING = {
    "derain": "removing rain",
    "deblur": "removing camera shake",
    "denoise": "removing noise",
}

_TEMPLATE = """---
pretty_name: {title}
license: {licence_tag}
task_categories:
- image-to-image
tags:
- image-restoration
- {task}
- synthetic
configs:
- config_name: default
  data_files:
{data_files}
---

# {title}

Pairs of pictures for {doing}: `input` was made from `target` by a seeded program.

| split | pairs |
| --- | --- |
{counts}

| column | holds |
| --- | --- |
| `input` | the degraded picture, PNG |
| `target` | the clean picture, PNG |
| `name` | the clean picture's file name |
| `copy` | which of its degraded versions this is |
| `seed` | the dataset's seed |

```python
from datasets import load_dataset

pairs = load_dataset("path/to/this/folder", split="train")
```

## Provenance

- Clean pictures: {source}
- Their licence: {licence}
- Degradation: `{degradation}` of glmha_hf, seed {seed}, with

```json
{parameters}
```

The same pictures, seed and parameters give the same pairs; `provenance.json` records them together
with a checksum of the picture listing. Copies of one picture are all in one split.
"""


def dataset_card(
    *,
    task: str,
    source: str,
    licence: str,
    seed: int,
    rows: Mapping[str, int],
    degradation: str,
    parameters: Mapping[str, Any],
) -> str:
    """Fill in the card; its YAML head lets the Hub and `load_dataset` find the splits."""
    files = [f'  - split: {split}\n    path: "data/{split}-*.parquet"' for split in rows]
    return _TEMPLATE.format(
        title=f"Synthetic pairs for {_DOING[task]}",
        task=task,
        doing=_DOING[task],
        licence=licence,
        licence_tag=licence_tag(licence),
        data_files="\n".join(files),
        counts="\n".join(f"| {split} | {count} |" for split, count in rows.items()),
        source=source,
        degradation=degradation,
        seed=seed,
        parameters=json.dumps(parameters, indent=2),
    )


def licence_tag(licence: str) -> str:
    """The Hub accepts identifiers only; anything told in words counts as `other`."""
    tag = licence.lower()
    known = tag.startswith(("cc", "apache-", "mit", "gpl-", "lgpl-", "bsd")) and " " not in tag
    return tag if known or tag == "unknown" else "other"
