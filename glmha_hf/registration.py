"""Makes transformers' Auto classes and pipelines know the zoo, whichever is imported first, and
the zoo's classes its names.

Importing transformers' models takes seconds, so it is not done here: the modules that are already
imported are told at once, and those imported later are told then. Telling them imports the zoo's
own models, so it waits while these, or what they stand on, are themselves being imported.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# model_type: configuration, model, and the image processor of its usual input.
ZOO_CLASSES: dict[str, tuple[str, str, str]] = {
    "restormer": ("RestormerConfig", "RestormerForImageRestoration", "PictureProcessor"),
    "mst": ("MstConfig", "MstForSpectralReconstruction", "SnapshotProcessor"),
    "mst_plus_plus": (
        "MstPlusPlusConfig",
        "MstPlusPlusForSpectralReconstruction",
        "PictureProcessor",
    ),
}


def zoo_class(name: str) -> Any:
    return getattr(importlib.import_module("glmha_hf"), name)


def model_class_of(config: Any) -> Any:
    """The model of a configuration."""
    return zoo_class(ZOO_CLASSES[config.model_type][1])


def _register_configs(auto: ModuleType) -> None:
    for model_type, (config, _, _) in ZOO_CLASSES.items():
        auto.AutoConfig.register(model_type, zoo_class(config), exist_ok=True)


def _register_models(auto: ModuleType) -> None:
    for config, model, _ in ZOO_CLASSES.values():
        for auto_class in (auto.AutoModel, auto.AutoModelForImageToImage):
            auto_class.register(zoo_class(config), zoo_class(model), exist_ok=True)


def _register_processors(auto: ModuleType) -> None:
    processors = {config: processor for config, _, processor in ZOO_CLASSES.values()}
    # A processor that is no configuration's usual one is found by name if the family has it.
    processors["ChannelAttentionConfig"] = "SpectralCubeProcessor"
    for config, processor in processors.items():
        auto.AutoImageProcessor.register(
            zoo_class(config), image_processor_classes={"pil": zoo_class(processor)}, exist_ok=True
        )


def _register_pipelines(pipelines: ModuleType) -> None:
    ours = importlib.import_module("glmha_hf.inference.pipelines")
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    for task, pipeline in (
        ("image-restoration", ours.ImageRestorationPipeline),
        ("spectral-reconstruction", ours.SpectralReconstructionPipeline),
    ):
        pipelines.PIPELINE_REGISTRY.register_pipeline(
            task, pipeline_class=pipeline, pt_model=auto.AutoModelForImageToImage, type="image"
        )


def _teach_zoo_names(class_name: str) -> Callable[[ModuleType], None]:
    """`from_pretrained` of the class takes the zoo's names from then on."""

    def teach(module: ModuleType) -> None:
        from .hub.pull import accept_zoo_names

        accept_zoo_names(getattr(module, class_name))

    return teach


REGISTRATIONS: dict[str, Callable[[ModuleType], None]] = {
    "transformers.models.auto.configuration_auto": _register_configs,
    "transformers.models.auto.modeling_auto": _register_models,
    "transformers.models.auto.image_processing_auto": _register_processors,
    "transformers.pipelines": _register_pipelines,
    **{
        f"glmha_hf.models.{module}": _teach_zoo_names(class_name)
        for module, class_name in (
            ("configuration_attention", "ChannelAttentionConfig"),
            ("modeling_base", "ChannelAttentionModel"),
            ("image_processing_picture", "PictureProcessor"),
            ("image_processing_cube", "SpectralCubeProcessor"),
            ("image_processing_snapshot", "SnapshotProcessor"),
        )
    },
}


WATCHED = (
    "transformers.modeling_utils",
    "transformers.modeling_layers",
    "glmha_hf.models",
    "glmha_hf.inference.pipelines",
)


class _ImportWatcher(MetaPathFinder):
    """Lets the watched modules load as ever, and registers what can be when one has."""

    def __init__(self) -> None:
        self.loading: set[str] = set()
        self.pending = dict(REGISTRATIONS)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in REGISTRATIONS and not name.startswith(WATCHED):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _WatchedLoader(spec.loader, self)
        return spec

    def register(self) -> None:
        """Tell the modules that are there about the zoo, unless something is half-imported."""
        for name in REGISTRATIONS:
            if name in sys.modules and name in self.pending and not self.loading:
                self.pending.pop(name)(sys.modules[name])


class _WatchedLoader(Loader):
    def __init__(self, loader: Loader, watcher: _ImportWatcher):
        self.loader = loader
        self.watcher = watcher

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.watcher.loading.add(module.__name__)
        try:
            self.loader.exec_module(module)
        finally:
            self.watcher.loading.discard(module.__name__)
        self.watcher.register()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


def register_with_transformers() -> None:
    watcher = _ImportWatcher()
    watcher.register()
    sys.meta_path.insert(0, watcher)
