"""Models as graphs that run without this package's code: ONNX and torch.export programs.

The graph is the published form on sides that are the model's multiple, height, width and batch
left free. What runs it pads and crops, as `ExportedNetwork` does.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ..convert.conversion import processor_for
from ..files import replaced_folder
from ..models.modeling_base import ChannelAttentionModel, Recorder
from .exported import ONNX_FILE, PROGRAM_FILE, ExportedNetwork
from .network import reference_form

Format = Literal["onnx", "torch-export"]
# Performer draws features for the size at hand and Reformer sorts into buckets drawn for it.
EXPORTABLE = ("csa", "glmha", "linformer")
TOLERANCE = 1e-4
CHECKED_SIZES = ((37, 51), (64, 33), (90, 72), (5, 8))


@dataclass(frozen=True)
class Export:
    file: Path
    deviation: float


class Core(nn.Module):
    """The network between padding and cropping."""

    def __init__(self, model: ChannelAttentionModel):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.model.reconstruct(pixel_values, Recorder(), mask)


def export_model(
    model: ChannelAttentionModel,
    folder: str | Path,
    *,
    format: Format = "onnx",
    processor: Any = None,
    overwrite: bool = False,
) -> Export:
    """Writes graph, configuration and processor, once the graph agrees with the model.

    The deviation is the largest on several odd sizes, relative to the model's largest value.
    """
    folder = Path(folder)
    config: Any = model.config
    _check_exportable(model)
    processor = processor_for(config) if processor is None else processor
    reference = reference_form(model).float().cpu().eval()
    file_name = ONNX_FILE if format == "onnx" else PROGRAM_FILE
    with replaced_folder(folder, overwrite=overwrite) as unfinished:
        program = trace(reference)
        with _quiet():
            if format == "onnx":
                _save_onnx(program, unfinished / file_name)
            else:
                torch.export.save(program, unfinished / file_name)
        reference.config.save_pretrained(unfinished)
        processor.save_pretrained(unfinished)
        found = deviation(reference, ExportedNetwork.from_folder(unfinished))
        if not found <= TOLERANCE:
            raise ArithmeticError(f"the exported graph deviates by {found:.1e}; it was not kept")
    return Export(folder / file_name, found)


def _check_exportable(model: ChannelAttentionModel) -> None:
    names = {settings.name for settings in model.config.block_settings()}
    refused = sorted(names.difference(EXPORTABLE))
    if refused:
        raise ValueError(
            f"{refused[0]} attention cannot be exported, because it draws random directions for "
            f"each picture's size; {', '.join(EXPORTABLE)} can"
        )


def trace(model: ChannelAttentionModel) -> ExportedProgram:
    """The model as a torch program with free batch, height and width."""
    multiple = model.config.size_multiple
    inputs = model.example_inputs(5 * multiple, 7 * multiple)
    # Two pictures: a batch of one would be taken for a constant.
    inputs = {name: zeros.expand(2, -1, -1, -1).contiguous() for name, zeros in inputs.items()}
    batch, rows, columns = (Dim(name, min=1) for name in ("batch", "rows", "columns"))
    width = inputs["pixel_values"].shape[-1]
    shapes = {
        name: {
            0: batch,
            2: multiple * rows,
            3: multiple * columns + extra
            if (extra := zeros.shape[-1] - width)
            else multiple * columns,
        }
        for name, zeros in inputs.items()
    }
    with torch.no_grad(), _quiet():
        return torch.export.export(Core(model), (), inputs, dynamic_shapes=shapes, strict=False)


def _max_pool(x: Tensor, size: list[int]) -> tuple[Tensor, Tensor]:
    """Adaptive max pooling as slices, because ONNX has none; nobody asks for the positions."""
    rows, columns = (_pooled_slices(x.shape[axis - 2], size[axis]) for axis in (0, 1))
    pooled = torch.cat([x[:, :, part].amax(-2, keepdim=True) for part in rows], -2)
    pooled = torch.cat([pooled[..., part].amax(-1, keepdim=True) for part in columns], -1)
    return pooled, torch.zeros_like(pooled, dtype=torch.int64)


def _pooled_slices(length: int, count: int) -> list[slice]:
    # Rounded up by an addition: a negative floor division would be cut off towards zero in ONNX.
    return [
        slice(index * length // count, ((index + 1) * length + count - 1) // count)
        for index in range(count)
    ]


def _save_onnx(program: ExportedProgram, file: Path) -> None:
    try:
        from onnx_ir.passes import Sequential, common
        from onnxscript import optimizer
    except ImportError:
        raise ValueError(
            "exporting to ONNX needs three packages: pip install onnx onnxscript onnxruntime"
        ) from None
    program = program.run_decompositions({torch.ops.aten.adaptive_max_pool2d.default: _max_pool})
    exported = torch.onnx.export(program, dynamo=True, verbose=False, optimize=False)
    assert exported is not None
    # What the exporter does by itself includes a search for patterns, which takes many minutes for
    # a full-size model and finds next to nothing: the graph is as large and as fast without.
    optimizer.fold_constants(exported.model)
    tidy = Sequential(
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
    )
    tidy(exported.model)
    exported.save(str(file))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporters speak of their own deprecations and of nothing that a user could change."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def deviation(model: ChannelAttentionModel, exported: ExportedNetwork) -> float:
    """The largest relative difference on random pictures of odd sizes."""
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for height, width in CHECKED_SIZES:
        inputs = {
            name: torch.rand(zeros.shape, generator=generator)
            for name, zeros in model.example_inputs(height, width).items()
        }
        with torch.no_grad():
            expected = model(**inputs).reconstruction
            difference = exported(**inputs).reconstruction - expected
        largest = max(largest, float(difference.abs().max() / expected.abs().max()))
    return largest
