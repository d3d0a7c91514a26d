"""Image restoration and hyperspectral reconstruction with guided low-rank attention.

Names are imported when they are first used: `import glmha_hf` itself is immediate, and makes
transformers' Auto classes know the zoo's models.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .registration import register_with_transformers

if TYPE_CHECKING:
    from .analysis.complexity import profile
    from .analysis.spectra import cube_to_srgb
    from .compression.compress import compress
    from .convert.conversion import convert_checkpoint, export_checkpoint
    from .hub.zoo import list_models, resolve
    from .inference.restoration import reconstruct, restore
    from .models.configuration_attention import ChannelAttentionConfig
    from .models.configuration_mst import MstConfig
    from .models.configuration_mst_plus_plus import MstPlusPlusConfig
    from .models.configuration_restormer import RestormerConfig
    from .models.image_processing_cube import SpectralCubeProcessor
    from .models.image_processing_picture import PictureProcessor
    from .models.image_processing_snapshot import SnapshotProcessor
    from .models.modeling_mst import MstForSpectralReconstruction
    from .models.modeling_mst_plus_plus import MstPlusPlusForSpectralReconstruction
    from .models.modeling_restormer import RestormerForImageRestoration

__version__ = "0.1.0"

_HOMES = {
    "ChannelAttentionConfig": "models.configuration_attention",
    "MstConfig": "models.configuration_mst",
    "MstForSpectralReconstruction": "models.modeling_mst",
    "MstPlusPlusConfig": "models.configuration_mst_plus_plus",
    "MstPlusPlusForSpectralReconstruction": "models.modeling_mst_plus_plus",
    "PictureProcessor": "models.image_processing_picture",
    "RestormerConfig": "models.configuration_restormer",
    "RestormerForImageRestoration": "models.modeling_restormer",
    "SnapshotProcessor": "models.image_processing_snapshot",
    "SpectralCubeProcessor": "models.image_processing_cube",
    "compress": "compression.compress",
    "convert_checkpoint": "convert.conversion",
    "cube_to_srgb": "analysis.spectra",
    "export_checkpoint": "convert.conversion",
    "list_models": "hub.zoo",
    "profile": "analysis.complexity",
    "reconstruct": "inference.restoration",
    "resolve": "hub.zoo",
    "restore": "inference.restoration",
}

__all__ = [
    "ChannelAttentionConfig",
    "MstConfig",
    "MstForSpectralReconstruction",
    "MstPlusPlusConfig",
    "MstPlusPlusForSpectralReconstruction",
    "PictureProcessor",
    "RestormerConfig",
    "RestormerForImageRestoration",
    "SnapshotProcessor",
    "SpectralCubeProcessor",
    "compress",
    "convert_checkpoint",
    "cube_to_srgb",
    "export_checkpoint",
    "list_models",
    "profile",
    "reconstruct",
    "resolve",
    "restore",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'glmha_hf' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_with_transformers()
