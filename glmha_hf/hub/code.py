"""The models' own code in a Hub repository, so that it runs where this package is not installed."""

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

from transformers.dynamic_module_utils import get_relative_import_files
from transformers.utils import IMAGE_PROCESSOR_NAME

from ..convert.conversion import processor_for
from ..inference import pipelines
from ..registration import ZOO_CLASSES, zoo_class
from .zoo import CONFIG


def add_code(folder: Path) -> None:
    """Put the flat modelling files in a folder, and tell transformers' Auto classes of them."""
    stored = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    classes = ZOO_CLASSES.get(stored.get("model_type", ""))
    if classes is None:
        raise ValueError(f"{folder} holds no model of the zoo, so there is no code to add")
    config_class, model_class = map(zoo_class, classes[:2])
    config = config_class.from_dict(stored)
    processor_class = _processor_class(folder, config)
    for kind in (config_class, model_class, processor_class):
        _copy(Path(inspect.getfile(kind)), folder)
    pipeline, task = (
        (pipelines.ImageRestorationPipeline, "image-restoration")
        if config.out_channels in (1, 3)
        else (pipelines.SpectralReconstructionPipeline, "spectral-reconstruction")
    )
    _copy(Path(inspect.getfile(pipeline)), folder)
    processor = {"AutoImageProcessor": _reference(processor_class)}
    _edit_json(
        folder / CONFIG,
        {
            "auto_map": {
                "AutoConfig": _reference(config_class),
                "AutoModel": _reference(model_class),
                "AutoModelForImageToImage": _reference(model_class),
                **processor,
            },
            "custom_pipelines": {
                task: {
                    "impl": _reference(pipeline),
                    "pt": ["AutoModelForImageToImage"],
                    "type": "image",
                }
            },
        },
    )
    if not (folder / IMAGE_PROCESSOR_NAME).is_file():
        processor_for(config).save_pretrained(folder)
    _edit_json(folder / IMAGE_PROCESSOR_NAME, {"auto_map": processor})


def _processor_class(folder: Path, config: object) -> type:
    """The class that the folder's processor names, if it is one of ours; else the usual one."""
    path = folder / IMAGE_PROCESSOR_NAME
    if not path.is_file():
        return type(processor_for(config))  # type: ignore[arg-type]
    name = json.loads(path.read_text(encoding="utf-8")).get("image_processor_type", "")
    if name not in ("PictureProcessor", "SnapshotProcessor", "SpectralCubeProcessor"):
        raise ValueError(f"{path} names {name!r}, which is not a processor of the zoo")
    return zoo_class(name)


def _copy(module: Path, folder: Path) -> None:
    """A module and all that it imports from its own room."""
    for file in (module, *map(Path, get_relative_import_files(module))):
        target = folder / file.name
        target.unlink(missing_ok=True)
        shutil.copyfile(file, target)


def _reference(kind: type) -> str:
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"


def _edit_json(path: Path, changes: dict[str, Any]) -> None:
    """Change some keys of a staged file; the file it was linked from stays as it is."""
    contents = json.loads(path.read_text(encoding="utf-8")) | changes
    path.unlink()
    path.write_text(json.dumps(contents, indent=2, sort_keys=True) + "\n", encoding="utf-8")
