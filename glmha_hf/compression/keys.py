"""Which of a head's keys are missed least: the closed form behind ranks and starting points.

With the keys S of a head left, the softmax over them is the map A's columns S, each row divided by
its sum. The values that then come nearest to the head's old output are V̲ = M·V, M by least squares.
Keys are dropped one after the other, the one whose absence leaves the smallest error first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .blocks import Block, Context, at, attended_features, output_weight, queries_keys_values

STEPS = 16  # of dropping: heads of more keys drop several in one


@dataclass(frozen=True)
class Head:
    """What one head does on N pictures, in float64.

    `maps` are N×d×d; `values` V·Vᵀ, the mean over the pictures; `output` WᵀW of the columns of the
    output projection that the head's channels go through.
    """

    maps: Tensor
    values: Tensor
    output: Tensor

    def fit(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Of sets of keys, …×r: the squared error of the output a picture, …, and M, …×r×d."""
        reduced = reduced_maps(self.maps, kept)
        weighted = reduced.mT @ self.output  # …×N×r×d
        gram = (weighted @ reduced).mean(-3)
        cross = (weighted @ self.maps).mean(-3)
        mixing = torch.linalg.pinv(gram, hermitian=True, rtol=1e-12) @ cross
        whole = (self.maps.mT @ self.output @ self.maps).mean(-3)
        left = whole - cross.mT @ mixing
        return (left * self.values).sum((-2, -1)).clamp_min(0), mixing


def reduced_maps(maps: Tensor, kept: Tensor) -> Tensor:
    """The softmax over some keys instead of all: N×d×d and …×r to …×N×d×r."""
    chosen = maps[:, :, kept].movedim((0, 1), (-3, -2))
    return chosen / chosen.sum(-1, keepdim=True)


@dataclass(frozen=True)
class KeyOrder:
    """A head's keys, those that are needed most first; `errors[r-1]` is left with r of them."""

    keys: tuple[int, ...]
    errors: tuple[float, ...]

    def kept(self, rank: int) -> Tensor:
        return torch.tensor(sorted(self.keys[:rank]))


def order_keys(head: Head) -> KeyOrder:
    kept = list(range(head.maps.shape[-1]))
    dropped: list[int] = []
    errors: list[float] = []
    while len(kept) > 1:
        without = torch.tensor([[key for key in kept if key != each] for each in kept])
        cheapest = head.fit(without)[0].argsort()[: max(1, len(kept) // STEPS)]
        for place in sorted(cheapest.tolist(), reverse=True):
            errors.append(float(head.fit(torch.tensor(kept))[0]))
            dropped.append(kept.pop(place))
    errors.append(float(head.fit(torch.tensor(kept))[0]))
    # With all keys nothing is lost, whatever rounding says.
    return KeyOrder((*kept, *reversed(dropped)), (*reversed(errors[1:]), 0.0))


@torch.no_grad()
def heads_of(block: Block, x: Tensor, context: Context) -> list[Head]:
    """The heads of a CSA block on some pictures' features, picture by picture."""
    layer = block.attention
    maps, values = [], []
    for place in range(len(x)):
        features = attended_features(block, x[place : place + 1])
        query, key, value = queries_keys_values(layer, features, at(context, place))
        maps.append(layer.mixer.attention(query, key)[0].double())
        values.append((value @ value.mT)[0].double())
    weight = output_weight(layer).double().unflatten(1, (layer.heads, -1))  # out × h × d
    stacked, squares = torch.stack(maps), torch.stack(values).mean(0)
    return [
        Head(stacked[:, head], squares[head], w.T @ w) for head, w in enumerate(weight.unbind(1))
    ]
