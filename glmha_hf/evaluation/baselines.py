"""What a model has to beat, scored beside it: regressions from RGB, GAP-TV, BM3D."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..baselines.gap_tv import ITERATIONS, TV_ITERATIONS, TV_WEIGHT, gap_tv
from ..baselines.spectral_regression import (
    PIXELS_PER_SCENE,
    RIDGE,
    SpectralRegression,
    fit_regression,
)
from ..data.cassi import CassiSystem
from ..data.spectral_sets import NtirePairs
from .journal import entry_key
from .sets import NtireScenes, Sample, TestSet, degraded_input, file_identity

GAP_TV, BM3D = "gap-tv", "bm3d"
REGRESSIONS = {"linear": 1, "polynomial": 4}
"""The degree of the root-polynomial."""
BASELINES = (*REGRESSIONS, GAP_TV, BM3D)


class GapTvRestorer:
    """Inverts each snapshot by total variation, without training."""

    name = GAP_TV
    gray = False
    facts: dict[str, Any] = {}  # noqa: RUF012
    fingerprint = entry_key(GAP_TV, ITERATIONS, TV_WEIGHT, TV_ITERATIONS)

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def require_fit(self, test_set: TestSet) -> None:
        if test_set.input_kind != "snapshot":
            raise ValueError(f"{test_set.name} holds no snapshots: {self.name} inverts only those")

    def restore(self, sample: Sample) -> np.ndarray:
        assert sample.snapshot is not None
        assert sample.mask is not None
        bands = len(sample.target)
        step = (sample.snapshot.shape[1] - sample.target.shape[2]) // max(bands - 1, 1)
        snapshot, mask = (
            torch.from_numpy(values).to(self.device) for values in (sample.snapshot, sample.mask)
        )
        return gap_tv(snapshot, CassiSystem(mask, bands=bands, step=step)).cpu().numpy()


class Bm3dRestorer:
    """Block matching and 3D filtering, told the noise level, by its authors' package."""

    name = BM3D
    gray = False
    facts: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        try:
            import bm3d
        except ImportError:
            raise ValueError(
                "the baseline bm3d needs its authors' package: pip install bm3d "
                "(for non-commercial use)"
            ) from None
        self.package = bm3d

    @property
    def fingerprint(self) -> str:
        return entry_key(BM3D, importlib.metadata.version("bm3d"))

    def require_fit(self, test_set: TestSet) -> None:
        if "sigma" not in test_set.settings:
            raise ValueError(f"{test_set.name} has no known noise level, which {self.name} needs")

    def restore(self, sample: Sample) -> np.ndarray:
        assert sample.sigma is not None
        noisy = np.moveaxis(degraded_input(sample), 0, -1)
        denoise = self.package.bm3d if noisy.shape[-1] == 1 else self.package.bm3d_rgb
        clean = denoise(noisy, sample.sigma / 255)
        return np.moveaxis(np.reshape(clean, noisy.shape), -1, 0)


class RegressionRestorer:
    """A regression from RGB to spectra, fitted to training scenes when it is first asked."""

    gray = False
    facts: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, name: str, training: NtirePairs) -> None:
        self.name = name
        self.training = training

    @cached_property
    def fingerprint(self) -> str:
        """Of the settings and the training files, so that a finished run fits nothing again."""
        files = [file for pair in self.training.files for file in pair]
        settings = [REGRESSIONS[self.name], PIXELS_PER_SCENE, RIDGE]
        return entry_key(self.name, settings, file_identity(files))

    @cached_property
    def regression(self) -> SpectralRegression:
        pairs = (self.training.load(index) for index in range(len(self.training)))
        return fit_regression(pairs, degree=REGRESSIONS[self.name])

    def require_fit(self, test_set: TestSet) -> None:
        if not isinstance(test_set, NtireScenes):
            raise ValueError(f"{test_set.name} is not RGB with cubes, which {self.name} maps to")
        trained = {cube.resolve() for _, cube in self.training.files}
        both = [cube for _, cube in test_set.source.files if cube.resolve() in trained]
        if both:
            raise ValueError(
                f"{self.name} would be scored on {len(both)} scenes that it is fitted to, such as "
                f"{both[0].name}: name a folder of other scenes with --fit"
            )

    def restore(self, sample: Sample) -> np.ndarray:
        assert sample.picture is not None
        return self.regression(sample.picture)


Baseline = GapTvRestorer | Bm3dRestorer | RegressionRestorer


def load_baselines(
    names: Sequence[str],
    sets: Sequence[TestSet],
    *,
    training: Path | str | None = None,
    device: str = "cpu",
) -> list[Baseline]:
    """Baselines by name; regressions are fitted to the train split of `training`.

    Without it, that is the train split beside the first set of RGB pictures and cubes.
    """
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        raise ValueError(f"no baseline {unknown[0]}: there are {', '.join(BASELINES)}")
    loaded: list[Baseline] = []
    for name in dict.fromkeys(names):
        if name == GAP_TV:
            loaded.append(GapTvRestorer(device))
        elif name == BM3D:
            loaded.append(Bm3dRestorer())
        else:
            loaded.append(RegressionRestorer(name, _training_scenes(name, sets, training)))
    return loaded


def _training_scenes(name: str, sets: Sequence[TestSet], training: Path | str | None) -> NtirePairs:
    if training is None:
        roots = [each.source.root for each in sets if isinstance(each, NtireScenes)]
        if not roots:
            raise ValueError(f"{name} maps RGB to cubes, and no set holds both")
        training = roots[0]
    pairs = NtirePairs(training, split="train")
    if not len(pairs):
        raise ValueError(
            f"{training} has no training scenes to fit {name} to: "
            "Train_RGB/*.jpg and Train_Spec/*.mat, those of split_txt/train_list.txt"
        )
    return pairs
