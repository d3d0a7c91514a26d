"""How low-rank channel attention is: the eigenvalues of its maps, layer by layer (Figure 1)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.modeling_base import ChannelAttentionModel

ENERGIES = (0.90, 0.95, 0.99)


@dataclass(frozen=True)
class LayerSpectrum:
    """One block's attention, averaged over heads and pictures.

    `cumulative[i]` is the share of energy in the i+1 largest eigenvalues of A·Aᵀ (the squared
    singular values of the map A); `ranks` says how many eigenvalues hold each energy.
    """

    block: int
    level: int
    head_channels: int
    cumulative: NDArray[np.float64]
    ranks: dict[float, float]

    def rank_share(self, energy: float) -> float:
        return self.ranks[energy] / self.head_channels


@dataclass(frozen=True)
class LevelRank:
    """The block of a level that needs most, and the `kv_reduction` that leaves all enough.

    Blocks of one level may differ in width: Restormer's first level is wider on the way up.
    """

    level: int
    blocks: int
    most: dict[float, LayerSpectrum]
    kv_reductions: dict[float, float]


def attention_spectra(
    model: ChannelAttentionModel, inputs: Iterable[Mapping[str, Tensor]]
) -> list[LayerSpectrum]:
    """The spectrum of every block's maps over all inputs, in the order in which the blocks run."""
    levels = model.config.block_levels
    sums: list[NDArray[np.float64]] = []
    rank_sums: list[NDArray[np.float64]] = []
    head_channels: list[int] = []
    maps = 0
    for each in inputs:
        with torch.inference_mode():
            attentions = model(**each, output_attentions=True).attentions
        shares = [cumulative_energy(attention) for attention in attentions]
        if not sums:
            sums = [np.zeros(share.shape[-1]) for share in shares]
            rank_sums = [np.zeros(len(ENERGIES)) for _ in shares]
            head_channels = [attention.shape[-2] for attention in attentions]
        for block, share in enumerate(shares):
            sums[block] += share.mean(axis=0)
            rank_sums[block] += [effective_rank(share, energy).mean() for energy in ENERGIES]
        maps += 1
    if not maps:
        raise ValueError("no picture was given, so there are no attention maps")
    return [
        LayerSpectrum(
            block,
            levels[block],
            head_channels[block],
            sums[block] / maps,
            dict(zip(ENERGIES, (rank_sums[block] / maps).tolist(), strict=True)),
        )
        for block in range(len(sums))
    ]


def cumulative_energy(attention: Tensor) -> NDArray[np.float64]:
    """B×h×d×r maps as maps×min(d, r) cumulative shares of energy, largest eigenvalue first."""
    singular = torch.linalg.svdvals(attention.double().flatten(0, 1).cpu()).numpy()
    energy = singular**2
    return energy.cumsum(axis=-1) / energy.sum(axis=-1, keepdims=True)


def effective_rank(cumulative: NDArray[np.float64], energy: float) -> NDArray[np.int64]:
    """How many eigenvalues it takes to hold so much of the energy."""
    return (cumulative < energy - 1e-12).sum(axis=-1) + 1


def level_ranks(spectra: Sequence[LayerSpectrum]) -> list[LevelRank]:
    """Level by level, and the largest `kv_reduction` that keeps each energy in every block."""
    found = []
    for level in sorted({spectrum.level for spectrum in spectra}):
        blocks = [spectrum for spectrum in spectra if spectrum.level == level]
        most = {energy: max(blocks, key=lambda b: b.rank_share(energy)) for energy in ENERGIES}
        reductions = {
            energy: min(suggested_reduction(b.ranks[energy], b.head_channels) for b in blocks)
            for energy in ENERGIES
        }
        found.append(LevelRank(level, len(blocks), most, reductions))
    return found


def suggested_reduction(rank: float, head_channels: int) -> float:
    """1 - rank/d in whole hundredths, rounded so that no less than the rank is left."""
    kept = min(math.ceil(rank - 1e-9), head_channels)
    return math.floor(100 * (1 - kept / head_channels) + 1e-9) / 100


def rank_table(ranks: Sequence[LevelRank]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the ranks a level needs, of d channels, and the reductions they suggest."""
    header = ["level", "blocks"]
    header += [f"rank of d at {energy:.0%}" for energy in ENERGIES]
    header += [f"kv_reduction at {energy:.0%}" for energy in ENERGIES]
    rows = [
        [
            str(each.level + 1),
            str(each.blocks),
            *(
                f"{each.most[energy].ranks[energy]:.1f} of {each.most[energy].head_channels}"
                for energy in ENERGIES
            ),
            *(f"{each.kv_reductions[energy]:.2f}" for energy in ENERGIES),
        ]
        for each in ranks
    ]
    return header, rows
