"""The five channel attentions: how queries, keys and values combine.

Axes: B batch, C channels, H and W height and width, L = H·W, h heads, d = C/h channels of a head,
r the channels of a head that are left in keys and values (its rank).
"""

import contextlib
import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init

from .configuration_attention import AttentionSettings


def full_precision(x: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager:
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


class ChannelSelfAttention(nn.Module):
    """CSA (Eqs. 1-2), and what the other attentions have in common.

    A mixer says how many channels keys and values have (`kv_channels`), may change what they are
    generated from (`guide`), and combines them. Queries, keys and values come as B×h×d×L.
    """

    needs_scores = True
    # Where tiles of a picture are to share what is made of the whole: that, by name, once it is
    # known, for the picture or for each of a batch.
    statistics: dict[str, Tensor] | None = None

    key_projection: nn.Parameter | None
    value_projection: nn.Parameter | None

    def __init__(self, *, channels: int, heads: int, settings: AttentionSettings):
        super().__init__()
        self.heads = heads
        self.head_channels = channels // heads
        self.settings = settings
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        # Maps along the channel sequence, r×d, where keys and values go through one.
        self.register_parameter("key_projection", None)
        self.register_parameter("value_projection", None)

    @property
    def kv_channels(self) -> int:
        return self.heads * self.head_channels

    def guide(self, x: Tensor, query: Tensor) -> Tensor:
        """What keys and values are generated from: B×C×H×W in and out."""
        return x

    def of_picture(self, name: str, batch: int, compute: Callable[[], Tensor]) -> Tensor:
        """`compute()`, or what it was for the whole pictures if this is a batch of their tiles."""
        if self.statistics is None:
            return compute()
        if name not in self.statistics:
            self.statistics[name] = compute()
        return self.known(name, batch)

    def known(self, name: str, batch: int) -> Tensor:
        """What was made of the whole pictures, for as many tiles of them."""
        assert self.statistics is not None
        statistic = self.statistics[name]
        return statistic.repeat(batch // len(statistic), *[1] * (statistic.ndim - 1))

    def directions(self, length: int, device: torch.device) -> Tensor | None:
        """Fixed directions, L×count, that `weigh` wants queries and keys projected on."""
        return None

    def weigh(
        self,
        scores: Tensor,
        query_projections: Tensor | None = None,
        key_projections: Tensor | None = None,
    ) -> Tensor:
        """The attention map, B×h×d×r, from norm(Q)·norm(K)ᵀ and what `directions` asks for."""
        return torch.softmax(scores * self.temperature, dim=-1)

    def attention(self, query: Tensor, key: Tensor) -> Tensor:
        """softmax(norm(Q)·norm(K)ᵀ·β) or the mixer's own map, in float32 at least."""
        with without_autocast(query.device):
            query = F.normalize(full_precision(query), dim=-1)
            key = F.normalize(full_precision(key), dim=-1)
            directions = self.directions(query.shape[-1], query.device)
            scores = query @ key.transpose(-2, -1) if self.needs_scores else query.new_empty(0)
            if directions is None:
                return self.weigh(scores)
            directions = directions.to(query.dtype)
            return self.weigh(scores, query @ directions, key @ directions)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        attention = self.of_picture("attention", query.shape[0], lambda: self.attention(query, key))
        return attention.to(value.dtype) @ value, attention

    def reset_parameters(self) -> None:
        """What a fresh mixer starts from, beyond its convolutions and linear layers."""
        init.ones_(self.temperature)


class GuidedLowRankAttention(ChannelSelfAttention):
    """GLMHA (Eqs. 3-7): keys and values at rank r, generated from a calibrated X."""

    def __init__(self, *, channels: int, heads: int, settings: AttentionSettings):
        super().__init__(channels=channels, heads=heads, settings=settings)
        self.kernel_size = settings.calibration_kernel_size
        self.calibration_depthwise = nn.Conv2d(
            channels, channels, self.kernel_size, groups=channels, bias=False
        )
        self.calibration_linear = nn.Linear(self.head_channels, self.head_channels, bias=False)

    @property
    def kv_channels(self) -> int:
        return self.heads * self.settings.rank(self.head_channels)

    def calibrate(self, query: Tensor) -> Tensor:
        """The weighting vector A of Eq. (4), B×C."""
        return self.calibrate_pooled(F.adaptive_max_pool2d(query, self.kernel_size))

    def calibrate_pooled(self, pooled: Tensor) -> Tensor:
        """A from the queries' maxima, B×C×k×k."""
        features = F.gelu(self.calibration_depthwise(pooled))  # B×C×1×1
        features = features.view(-1, self.heads, self.head_channels)
        return torch.tanh(self.calibration_linear(features)).flatten(1)

    def guide(self, x: Tensor, query: Tensor) -> Tensor:
        """Eq. (5): X̲ = X + αA⊙X."""
        return x * self.guidance(query)[:, :, None, None]

    def guidance(self, query: Tensor) -> Tensor:
        """What X is multiplied with in Eq. (5): 1 + αA, B×C."""
        return self.of_picture(
            "guidance",
            query.shape[0],
            lambda: self.guidance_of_pooled(F.adaptive_max_pool2d(query, self.kernel_size)),
        )

    def guidance_of_pooled(self, pooled: Tensor) -> Tensor:
        return 1 + self.settings.alpha * self.calibrate_pooled(pooled)


class LinformerAttention(ChannelSelfAttention):
    """Full-size keys and values, projected along the channel sequence to r of d."""

    key_projection: nn.Parameter
    value_projection: nn.Parameter

    def __init__(self, *, channels: int, heads: int, settings: AttentionSettings):
        super().__init__(channels=channels, heads=heads, settings=settings)
        rank = settings.rank(self.head_channels)
        self.key_projection = nn.Parameter(torch.empty(rank, self.head_channels))
        self.value_projection = nn.Parameter(torch.empty(rank, self.head_channels))
        self.reset_parameters()

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(
            query,
            _along_channels(self.key_projection, key),
            _along_channels(self.value_projection, value),
        )

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for projection in (self.key_projection, self.value_projection):
            init.normal_(projection, std=self.head_channels**-0.5)


def _along_channels(projection: Tensor, x: Tensor) -> Tensor:
    """B×h×d×L to B×h×r×L by a map that all heads share."""
    return projection.to(x.dtype).expand(*x.shape[:2], -1, -1) @ x


class PerformerAttention(ChannelSelfAttention):
    """FAVOR+: the softmax kernel estimated with positive orthogonal random features.

    The features are as long as the picture has pixels; they are drawn from the seed for the size
    at hand. The temperature is split evenly between queries and keys, its sign on the queries.
    """

    needs_scores = False

    def directions(self, length: int, device: torch.device) -> Tensor:
        return orthogonal_features(
            self.settings.performer_features, length, self.settings.seed, device
        )

    def weigh(
        self,
        scores: Tensor,
        query_projections: Tensor | None = None,
        key_projections: Tensor | None = None,
    ) -> Tensor:
        assert query_projections is not None
        assert key_projections is not None
        # φ(x) = exp(ω·x - |x|²/2): all normalised tokens have one length, so that |x|² cancels,
        # as does one factor a query row and one a head.
        scale = self.temperature.abs().clamp_min(1e-6).sqrt()
        query = query_projections * scale * self.temperature.sign()
        key = key_projections * scale
        query_features = (query - query.amax(-1, keepdim=True)).exp()
        key_features = (key - key.amax((-2, -1), keepdim=True)).exp()
        weights = query_features @ key_features.transpose(-2, -1)
        return weights / weights.sum(-1, keepdim=True)


class ReformerAttention(ChannelSelfAttention):
    """LSH attention: a channel attends to those whose hash it shares in at least one round.

    Queries and keys are separate but hashed by the same rotations. A query that shares a bucket
    with no key attends to the key of its own channel.
    """

    def directions(self, length: int, device: torch.device) -> Tensor | None:
        rounds, buckets = self.settings.reformer_rounds, self.settings.reformer_buckets
        if buckets == 1:
            return None
        return gaussian_features(rounds * buckets // 2, length, self.settings.seed, device)

    def weigh(
        self,
        scores: Tensor,
        query_projections: Tensor | None = None,
        key_projections: Tensor | None = None,
    ) -> Tensor:
        scores = scores * self.temperature
        if query_projections is None or key_projections is None:
            return torch.softmax(scores, dim=-1)
        query_hash, key_hash = self.hash(query_projections), self.hash(key_projections)
        shared = (query_hash.unsqueeze(-2) == key_hash.unsqueeze(-3)).any(-1)
        own = torch.eye(self.head_channels, dtype=torch.bool, device=scores.device)
        shared = shared | (own & ~shared.any(-1, keepdim=True))
        return torch.softmax(scores.masked_fill(~shared, -math.inf), dim=-1)

    def hash(self, projections: Tensor) -> Tensor:
        """Each channel's bucket in each round, B×h×d×rounds."""
        rotated = projections.unflatten(-1, (self.settings.reformer_rounds, -1))
        return torch.cat([rotated, -rotated], dim=-1).argmax(-1)


MIXERS: dict[str, type[ChannelSelfAttention]] = {
    "csa": ChannelSelfAttention,
    "glmha": GuidedLowRankAttention,
    "linformer": LinformerAttention,
    "performer": PerformerAttention,
    "reformer": ReformerAttention,
}


def build_mixer(*, channels: int, heads: int, settings: AttentionSettings) -> ChannelSelfAttention:
    return MIXERS[settings.name](channels=channels, heads=heads, settings=settings)


@functools.lru_cache(maxsize=4)
def gaussian_features(count: int, length: int, seed: int, device: torch.device) -> Tensor:
    """Gaussian directions, length×count; drawn on the CPU, where a seed means the same anywhere."""
    with torch.inference_mode(False), torch.device("cpu"):
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(length, count, generator=generator).to(device)


@functools.lru_cache(maxsize=4)
def orthogonal_features(count: int, length: int, seed: int, device: torch.device) -> Tensor:
    """Directions that are orthogonal as far as the length allows, with Gaussian norms."""
    with torch.inference_mode(False), torch.device("cpu"):
        directions = gaussian_features(count, length, seed, torch.device("cpu")).double()
        norms = directions.norm(dim=0)
        blocks = [torch.linalg.qr(block).Q for block in directions.split(length, dim=1)]
        return (torch.cat(blocks, dim=1) * norms).float().to(device)
