"""Published checkpoint files to zoo folders, and zoo folders to published checkpoint files."""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..files import replaced_file, replaced_folder
from ..models.configuration_attention import ChannelAttentionConfig
from ..models.configuration_mst import MstConfig
from ..models.configuration_mst_plus_plus import MstPlusPlusConfig
from ..models.image_processing_picture import PictureProcessor
from ..models.image_processing_snapshot import SnapshotProcessor
from ..models.modeling_base import ChannelAttentionModel
from . import mst, mst_plus_plus, restormer
from .adapter import Adapter, to_published, to_zoo

ADAPTERS: tuple[Adapter, ...] = (restormer.ADAPTER, mst.ADAPTER, mst_plus_plus.ADAPTER)
# What trainers put weights under: averaged ones first, which are what was published.
WRAPPERS = (
    *("params_ema", "ema_state_dict", "model_ema", "ema"),
    *("params", "state_dict", "model_state_dict", "model", "net", "network", "generator"),
)
PREFIXES = ("module.", "model.", "net_g.")
COMPILED = "_orig_mod."
AVERAGED_COUNT = "n_averaged"


@dataclass(frozen=True)
class Conversion:
    """What was found in a checkpoint and where the model made from it lies."""

    architecture: str
    wrapper: str | None
    parameters: int
    folder: Path


def convert_checkpoint(
    source: str | Path,
    folder: str | Path,
    *,
    dtype: torch.dtype | None = None,
    overwrite: bool = False,
) -> Conversion:
    """A complete zoo folder from a published checkpoint; the tensors tell the architecture.

    The folder appears only when everything in it is written.
    """
    source, folder = Path(source), Path(folder)
    with replaced_folder(folder, overwrite=overwrite) as unfinished:
        wrapper, tensors = read_checkpoint(source)
        adapter = find_adapter(source, tensors)
        config = adapter.config_of({key: tuple(value.shape) for key, value in tensors.items()})
        model = build_model(adapter, config, tensors, dtype=dtype)
        try:
            model.save_pretrained(unfinished)
        except SafetensorError as error:
            raise OSError(f"{folder} could not be written: {error}") from None
        processor_for(config).save_pretrained(unfinished)
    return Conversion(adapter.name, wrapper, model.num_parameters(), folder)


def export_checkpoint(
    model: ChannelAttentionModel, path: str | Path, *, overwrite: bool = False
) -> Path:
    """A checkpoint that the published code loads, from a model with channel self-attention."""
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; say overwrite to replace it")
    adapter = next((one for one in ADAPTERS if isinstance(model, one.model_class)), None)
    if adapter is None:
        raise ValueError(f"a model of the zoo becomes a published checkpoint, no {type(model)}")
    names = sorted({settings.name for settings in model.config.block_settings()})
    if names != ["csa"]:
        has = " and ".join(names)
        raise ValueError(f"the published {adapter.name} knows csa only; this model has {has}")
    tensors = to_published(model.state_dict(), adapter.correspondences(model.config))
    wrapped = {"params": tensors} if adapter is restormer.ADAPTER else {"state_dict": tensors}
    contents = io.BytesIO()
    torch.save(wrapped, contents)
    with replaced_file(path) as unfinished:
        unfinished.write_bytes(contents.getbuffer())
    return path


def read_checkpoint(path: Path) -> tuple[str | None, dict[str, Tensor]]:
    """The name of the weights' wrapper, if there is one, and the weights without it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file")
    try:
        if path.suffix == ".safetensors":
            contents: object = load_file(path)
        else:
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch stumble anywhere
        reason = str(error).partition("\n")[0] or type(error).__name__
        if isinstance(error, pickle.UnpicklingError) and _is_pickle(path):
            raise ValueError(
                f"{path} holds more than tensors and is not loaded, as that could run code: "
                f"{reason}"
            ) from None
        if isinstance(error, pickle.UnpicklingError):  # torch would advise to run what is in it
            reason = "it is neither torch's nor safetensors'"
        raise ValueError(f"{path} is not a checkpoint: {reason}") from None
    wrapper, contents = _unwrap(contents)
    tensors = {
        _without_prefix(str(key)): value
        for key, value in contents.items()
        if isinstance(value, Tensor) and key != AVERAGED_COUNT
    }
    if not tensors:
        raise ValueError(f"{path} holds no tensors")
    return wrapper, tensors


def _is_pickle(path: Path) -> bool:
    """Whether it begins as what `torch.save` writes, of whatever age, and not as text."""
    with path.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02")


def _unwrap(contents: object) -> tuple[str | None, Mapping]:
    wrapper = None
    while isinstance(contents, Mapping):
        full = (key for key in WRAPPERS if isinstance(contents.get(key), Mapping) and contents[key])
        name = next(full, None)
        if name is None:
            return wrapper, contents
        wrapper, contents = name, contents[name]
    return wrapper, {}


def _without_prefix(key: str) -> str:
    key = key.replace(COMPILED, "")
    while prefix := next((prefix for prefix in PREFIXES if key.startswith(prefix)), None):
        key = key.removeprefix(prefix)
    return key


def find_adapter(path: Path, tensors: Mapping[str, Tensor]) -> Adapter:
    for adapter in ADAPTERS:
        if adapter.recognises(tensors):
            return adapter
    names = ", ".join(adapter.name for adapter in ADAPTERS)
    raise ValueError(
        f"{path} is no checkpoint of {names}: its {len(tensors)} tensors begin with "
        f"{', '.join(list(tensors)[:3])}"
    )


def build_model(
    adapter: Adapter,
    config: ChannelAttentionConfig,
    tensors: Mapping[str, Tensor],
    *,
    dtype: torch.dtype | None,
) -> ChannelAttentionModel:
    with torch.device("meta"):
        model = adapter.model_class(config)
    weights = to_zoo(tensors, adapter.correspondences(config), model.state_dict())
    stored = dtype or next(iter(weights.values())).dtype
    model.load_state_dict(
        {name: weight.to(stored) for name, weight in weights.items()}, strict=True, assign=True
    )
    config.dtype = stored
    return model


def processor_for(config: ChannelAttentionConfig) -> PictureProcessor | SnapshotProcessor:
    """The image processor that suits a published model's input."""
    if isinstance(config, MstConfig) and config.guidance == "mask":
        return SnapshotProcessor(
            bands=config.in_channels, dispersion_step=config.dispersion_step, mask_form="shifted"
        )
    if isinstance(config, MstPlusPlusConfig) and config.mask_input:
        return SnapshotProcessor(bands=config.in_channels, mask_form="plain")
    spectral = config.out_channels not in (1, 3)
    return PictureProcessor(
        channels=config.in_channels, value_range="min_max" if spectral else "full"
    )
