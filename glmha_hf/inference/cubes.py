"""Many pictures or snapshots to spectral cubes: bad files told and passed over."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from ..baselines.gap_tv import ITERATIONS, TV_WEIGHT, gap_tv
from ..data.cassi import CassiSystem, load_mask
from ..data.cube_formats import USUAL_WAVELENGTHS, SpectralCube, write_cube
from ..data.snapshots import check_mask, read_snapshot
from ..data.spectral_sets import CASSI_WAVELENGTHS
from ..models.image_processing_picture import as_array
from .files import Job
from .folder import FILE_ERRORS, Tally, record_failure
from .restoration import Restorer, batches
from .saving import read_facts, without_pillow_limit

# Called with the share of one input that has been finished since the last call.
Share = Callable[[float], object]


class Reconstructor(Protocol):
    """Reads its kind of input, and makes cubes of several inputs of one size."""

    @property
    def wavelengths(self) -> tuple[float, ...]: ...

    @property
    def batch_size(self) -> int: ...

    def read(self, path: Path) -> Any: ...

    def cubes(self, inputs: list[Any], progress: Share) -> list[np.ndarray]: ...


@dataclass(frozen=True, kw_only=True)
class PictureReconstructor:
    """RGB pictures through a model."""

    restorer: Restorer
    max_pixels: int | None = None

    @property
    def wavelengths(self) -> tuple[float, ...]:
        return model_wavelengths(self.restorer)

    @property
    def batch_size(self) -> int:
        return self.restorer.batch_size

    def read(self, path: Path) -> np.ndarray:
        facts = read_facts(path, max_pixels=self.max_pixels)
        if facts.frames > 1:
            raise ValueError(f"{path} has {facts.frames} frames: give them one by one")
        with without_pillow_limit():
            return as_array(path)

    def cubes(self, inputs: list[np.ndarray], progress: Share) -> list[np.ndarray]:
        return _run(self.restorer, self.restorer.processor(inputs), progress)


@dataclass(frozen=True, kw_only=True)
class SnapshotReader:
    """Snapshots of one system, in the forward model's units."""

    system: CassiSystem
    mask_file: Path
    variable: str | None = None
    peak: float | None = None

    @classmethod
    def open(
        cls, mask_file: Path, *, bands: int = 28, step: int = 2, **settings: Any
    ) -> "SnapshotReader":
        system = CassiSystem(load_mask(mask_file), bands=bands, step=step)
        return cls(system=system, mask_file=mask_file, **settings)

    def read(self, path: Path) -> Tensor:
        snapshot = read_snapshot(path, variable=self.variable)
        check_mask(self.system, snapshot.values, mask_file=self.mask_file)
        return snapshot.scaled(self.system, peak=self.peak)


@dataclass(frozen=True, kw_only=True)
class SnapshotReconstructor:
    """CASSI snapshots of one mask through a model."""

    restorer: Restorer
    reader: SnapshotReader

    @property
    def wavelengths(self) -> tuple[float, ...]:
        return model_wavelengths(self.restorer)

    @property
    def batch_size(self) -> int:
        return self.restorer.batch_size

    def read(self, path: Path) -> Tensor:
        return self.reader.read(path)

    def cubes(self, inputs: list[Tensor], progress: Share) -> list[np.ndarray]:
        given = self.restorer.processor(inputs, mask=self.reader.system.mask)
        return _run(self.restorer, given, progress)


@dataclass(frozen=True, kw_only=True)
class GapTvReconstructor:
    """CASSI snapshots of one mask without a model, one by one."""

    reader: SnapshotReader
    iterations: int = ITERATIONS
    tv_weight: float = TV_WEIGHT
    batch_size: int = 1

    @property
    def wavelengths(self) -> tuple[float, ...]:
        return CASSI_WAVELENGTHS

    def read(self, path: Path) -> Tensor:
        return self.reader.read(path)

    def cubes(self, inputs: list[Tensor], progress: Share) -> list[np.ndarray]:
        return [
            gap_tv(
                snapshot,
                self.reader.system,
                iterations=self.iterations,
                tv_weight=self.tv_weight,
                progress=lambda done: progress(done / self.iterations),
            )
            .clamp_min(0)
            .numpy()
            for snapshot in inputs
        ]


def model_wavelengths(restorer: Restorer) -> tuple[float, ...]:
    """The processor's wavelengths; those of the benchmarks' cubes, known by their bands, else."""
    named = getattr(restorer.processor, "wavelengths", None)
    bands = restorer.network.config.out_channels
    if named is None and bands not in USUAL_WAVELENGTHS:
        raise ValueError(
            f"the wavelengths of this model's {bands} bands are not known: write them as "
            '"wavelengths" into its preprocessor_config.json'
        )
    return USUAL_WAVELENGTHS[bands] if named is None else tuple(named)


def _run(restorer: Restorer, inputs: Any, progress: Share) -> list[np.ndarray]:
    height, width = inputs["pixel_values"].shape[-2:]
    cubes = restorer.reconstruct(
        dict(inputs), progress=lambda pixels: progress(pixels / (height * width))
    )
    return list(cubes.clamp_min(0).numpy())


@dataclass(frozen=True, kw_only=True)
class CubeRun:
    """Makes a cube's file of each job; a failure is told and does not stop the others.

    `view` is called with a cube and its file before that appears, so that a file means done.
    """

    reconstructor: Reconstructor
    view: Callable[[SpectralCube, Path], object] | None = None
    progress: Share = lambda share: None
    report: Callable[[str], object] = print
    tally: Tally = field(default_factory=Tally)

    def run(self, jobs: Sequence[Job]) -> Tally:
        for batch in batches(
            self._opened(jobs),
            size=lambda opened: (opened[1].shape[1], opened[1].shape[0]),
            batch_size=self.reconstructor.batch_size,
            in_order=True,
        ):
            self._reconstruct(batch)
        return self.tally

    def _opened(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Any]]:
        for job in jobs:
            try:
                yield job, self.reconstructor.read(job.source)
            except FILE_ERRORS as error:
                self._fail(job, error)

    def _reconstruct(self, batch: list[tuple[Job, Any]]) -> None:
        try:
            cubes = self.reconstructor.cubes([values for _, values in batch], self.progress)
        except FILE_ERRORS as error:
            for job, _ in batch:
                self._fail(job, error)
            return
        for (job, _), values in zip(batch, cubes, strict=True):
            try:
                self._save(job, SpectralCube(values, self.reconstructor.wavelengths))
            except FILE_ERRORS as error:
                self._fail(job, error)

    def _save(self, job: Job, cube: SpectralCube) -> None:
        if self.view is not None:
            self.view(cube, job.target)
        write_cube(cube, job.target)
        self.tally.restored += 1

    def _fail(self, job: Job, error: BaseException) -> None:
        record_failure(job, error, tally=self.tally, report=self.report)
