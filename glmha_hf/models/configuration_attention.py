"""What every backbone's configuration says about its channel attention."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers.configuration_utils import PreTrainedConfig


@dataclass(frozen=True, kw_only=True)
class AttentionSettings:
    """One block's attention: which mixer, and what shapes it."""

    name: str = "csa"
    kv_reduction: float = 0.5
    alpha: float = 0.6
    calibration_kernel_size: int = 3
    performer_features: int = 32
    reformer_buckets: int = 4
    reformer_rounds: int = 2
    seed: int = 0

    def rank(self, head_channels: int) -> int:
        """How many of a head's channels are left in its keys and values."""
        kept = round(head_channels * (1 - self.kv_reduction), 9)  # 10·(1 - 0.7) is 3, not 3 + 4e-16
        return max(1, math.ceil(kept))


@strict
class ChannelAttentionConfig(PreTrainedConfig):
    """The attention fields shared by the three backbones.

    `attention` is one name or one per level; `kv_reduction` one number, one per level, or one per
    block in the order in which the blocks run. A level is a resolution: the encoder's and the
    decoder's blocks of one resolution belong to the same level.
    """

    attention: str | list[str] | tuple[str, ...] = "csa"
    kv_reduction: float | int | list[float | int] | tuple[float | int, ...] = 0.5
    alpha: float | int = 0.6
    calibration_kernel_size: int = 3
    performer_features: int = 32
    reformer_buckets: int = 4
    reformer_rounds: int = 2
    attention_seed: int = 0
    fused: bool = True
    loss: Literal["l1", "mrae", "rmse"] = "l1"

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Another architecture's is refused: transformers would draw all of its weights anew."""
        stored = config_dict.get("model_type", cls.model_type)
        if stored != cls.model_type:
            raise ValueError(
                f"this is a model of type {stored}, not {cls.model_type}: the Auto classes, such "
                "as AutoModelForImageToImage, find the class that fits"
            )
        return super().from_dict(config_dict, **kwargs)

    def changed(self, **fields: Any) -> "ChannelAttentionConfig":
        """The same configuration with some fields changed."""
        values = self.to_dict() | fields
        values.pop("model_type", None)
        return type(self)(**values)

    @property
    def block_levels(self) -> list[int]:
        """The level of each block, in the order in which the blocks run."""
        raise NotImplementedError

    @property
    def num_levels(self) -> int:
        return max(self.block_levels) + 1

    @property
    def num_hidden_layers(self) -> int:
        return len(self.block_levels)

    def block_settings(self) -> list[AttentionSettings]:
        """Each block's attention, in the order in which the blocks run."""
        levels = self.block_levels
        names = _spread(self.attention, levels)
        reductions = _spread(self.kv_reduction, levels)
        return [
            AttentionSettings(
                name=name,
                kv_reduction=float(reduction),
                alpha=float(self.alpha),
                calibration_kernel_size=self.calibration_kernel_size,
                performer_features=self.performer_features,
                reformer_buckets=self.reformer_buckets,
                reformer_rounds=self.reformer_rounds,
                seed=self.attention_seed,
            )
            for name, reduction in zip(names, reductions, strict=True)
        ]

    def validate_above_zero(self) -> None:
        """The first of these checks, which run in the order of their names: others divide."""
        for name in ("in_channels", "out_channels", "dim", "num_blocks", "num_heads", "num_stages"):
            value = getattr(self, name, 1)
            numbers = [value] if isinstance(value, int) else value
            if not all(number >= 1 for number in numbers):
                raise ValueError(f"{name} must be at least 1, not {value}")
        for name in ("num_refinement_blocks", "dispersion_step"):
            if getattr(self, name, 0) < 0:
                raise ValueError(f"{name} must not be below 0, and is {getattr(self, name)}")
        if int(self.dim * getattr(self, "ffn_expansion", 1)) < 1:
            raise ValueError(f"ffn_expansion leaves no channels: {self.ffn_expansion}")
        if not math.isfinite(self.alpha):
            raise ValueError(f"alpha must be a finite number, not {self.alpha}")

    def validate_attention(self) -> None:
        from .attention import MIXERS

        names = [self.attention] if isinstance(self.attention, str) else self.attention
        unknown = [name for name in names if name not in MIXERS]
        if unknown:
            raise ValueError(f"there is no attention {unknown[0]!r}; there are {', '.join(MIXERS)}")
        if not isinstance(self.attention, str) and len(self.attention) != self.num_levels:
            raise ValueError(
                f"attention has {len(self.attention)} names; give one, or one for each of the "
                f"{self.num_levels} levels"
            )

    def validate_kv_reduction(self) -> None:
        reductions = self.kv_reduction
        if isinstance(reductions, (int, float)):
            reductions = [reductions]
        elif len(reductions) not in (self.num_levels, len(self.block_levels)):
            raise ValueError(
                f"kv_reduction has {len(reductions)} numbers; give one, one for each of the "
                f"{self.num_levels} levels, or one for each of the {len(self.block_levels)} blocks"
            )
        if not all(0 <= reduction < 1 for reduction in reductions):
            raise ValueError(
                f"kv_reduction must be at least 0 and below 1, not {self.kv_reduction}"
            )

    def validate_mixer_sizes(self) -> None:
        for name in ("calibration_kernel_size", "performer_features", "reformer_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.reformer_buckets != 1 and self.reformer_buckets % 2:
            raise ValueError(f"reformer_buckets must be 1 or even, not {self.reformer_buckets}")


def _spread(value: object, levels: Sequence[int]) -> list:
    """One value, one per level or one per block, as one per block."""
    if isinstance(value, (str, int, float)) or not isinstance(value, Sequence):
        return [value] * len(levels)
    if len(value) == len(levels) != max(levels) + 1:
        return list(value)
    return [value[level] for level in levels]
