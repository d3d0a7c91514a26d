"""What an adapter of a published codebase says, and what follows from it alone."""

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor

from ..models.configuration_attention import ChannelAttentionConfig
from ..models.modeling_base import ChannelAttentionModel

ConfigT = TypeVar("ConfigT", bound=ChannelAttentionConfig)
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Correspondence:
    """A published tensor, and the zoo's tensors that stand for its rows from first to last."""

    published: str
    ours: tuple[str, ...]


@dataclass(frozen=True)
class Adapter(Generic[ConfigT]):
    """One published codebase: how its checkpoints are recognised, read and renamed."""

    name: str
    signature: str
    model_class: type[ChannelAttentionModel]
    read_config: Callable[[Shapes], ConfigT]
    correspondences: Callable[[ConfigT], list[Correspondence]]

    def config_of(self, shapes: Shapes) -> ConfigT:
        """The configuration of the model whose tensors have these shapes."""
        try:
            return self.read_config(shapes)
        except KeyError as error:
            raise CheckpointMismatchError(
                f"keys do not fit: {error.args[0]} of {self.name} is missing"
            ) from None
        except CheckpointMismatchError:
            raise
        except (IndexError, ValueError, ZeroDivisionError, StrictDataclassError) as error:
            reason = error.__cause__ or error
            raise CheckpointMismatchError(f"shapes do not fit {self.name}: {reason}") from None

    def recognises(self, keys: Mapping[str, object]) -> bool:
        return any(re.fullmatch(self.signature, key) for key in keys)


class CheckpointMismatchError(ValueError):
    """The checkpoint's architecture is known, but its tensors are not exactly that model's."""


def to_zoo(
    published: Mapping[str, Tensor],
    correspondences: list[Correspondence],
    ours: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """The published tensors under the zoo's names; `ours` is the model they have to fit exactly."""
    check_keys(published, [pair.published for pair in correspondences])
    tensors: dict[str, Tensor] = {}
    for pair in correspondences:
        source = published[pair.published]
        if not source.is_floating_point() or source.layout != torch.strided:
            raise CheckpointMismatchError(f"{pair.published} holds no floating-point numbers")
        rows = [ours[name].shape[0] for name in pair.ours]
        expected = (sum(rows), *ours[pair.ours[0]].shape[1:])
        if tuple(source.shape) != expected:
            raise CheckpointMismatchError(
                f"{pair.published} should be {list(expected)} and is {list(source.shape)}"
            )
        for name, part in zip(pair.ours, source.split(rows), strict=True):
            tensors[name] = part.clone()
    return tensors


def to_published(
    ours: Mapping[str, Tensor], correspondences: list[Correspondence]
) -> dict[str, Tensor]:
    """The zoo's tensors under the published names."""
    return {
        pair.published: torch.cat([ours[name] for name in pair.ours]) for pair in correspondences
    }


def check_keys(found: Mapping[str, object], expected: list[str]) -> None:
    missing = [key for key in expected if key not in found]
    alien = sorted(set(found) - set(expected))
    problems = [
        f"{len(keys)} {what} ({', '.join(keys[:5])}{', …' if len(keys) > 5 else ''})"
        for what, keys in (("missing", missing), ("alien", alien))
        if keys
    ]
    if problems:
        raise CheckpointMismatchError(f"keys do not fit: {'; '.join(problems)}")


def count_children(shapes: Shapes, prefix: str) -> int:
    """How many numbered children stand under a prefix such as `latent.`."""
    children = {
        int(match[1]) for key in shapes if (match := re.match(re.escape(prefix) + r"(\d+)\.", key))
    }
    return next(number for number in itertools.count() if number not in children)
