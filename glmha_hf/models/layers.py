"""What the backbones share beside attention: norms, convolutions, padding and losses."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of B×C×H×W, as Restormer has it.

    The bias-free kind divides by the standard deviation and does not subtract the mean.
    """

    def __init__(self, channels: int, *, kind: str):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if kind == "with_bias" else None

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, -1)
        variance = x.var(-1, keepdim=True, unbiased=False)
        if self.bias is None:
            x = x / torch.sqrt(variance + 1e-5) * self.weight
        else:
            mean = x.mean(-1, keepdim=True)
            x = (x - mean) / torch.sqrt(variance + 1e-5) * self.weight + self.bias
        return x.movedim(-1, 1)


class PointwiseDepthwise(nn.Module):
    """A 1×1 convolution and a depth-wise 3×3 one: Restormer's projection."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool):
        super().__init__()
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=bias)
        self.depthwise = nn.Conv2d(
            out_channels, out_channels, 3, padding=1, groups=out_channels, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.depthwise(self.pointwise(x))


def project_together(x: Tensor, projections: Sequence[PointwiseDepthwise]) -> tuple[Tensor, ...]:
    """Several projections of one input by one wide convolution of each kind."""
    widths = [projection.pointwise.out_channels for projection in projections]
    pointwise = concatenated([projection.pointwise for projection in projections])
    depthwise = concatenated([projection.depthwise for projection in projections])
    x = F.conv2d(F.conv2d(x, *pointwise), *depthwise, padding=1, groups=sum(widths))
    return x.split(widths, dim=1)


def concatenated(convolutions: Sequence[nn.Conv2d]) -> tuple[Tensor, Tensor | None]:
    """The weights and biases of convolutions of one input, side by side."""
    if len(convolutions) == 1:
        return convolutions[0].weight, convolutions[0].bias
    weight = torch.cat([convolution.weight for convolution in convolutions])
    biases = [convolution.bias for convolution in convolutions if convolution.bias is not None]
    return weight, torch.cat(biases) if biases else None


def split_heads(x: Tensor, heads: int) -> Tensor:
    """B×C×H×W as B×h×d×L."""
    B, C, H, W = x.shape
    return x.reshape(B, heads, C // heads, H * W)


def merge_heads(x: Tensor, height: int, width: int) -> Tensor:
    """B×h×d×L as B×C×H×W."""
    return x.flatten(1, 2).unflatten(-1, (height, width))


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Reflect the right and bottom edges until both sides are multiples; a 1-pixel side repeats."""
    H, W = x.shape[-2:]
    bottom, right = -H % multiple, -W % multiple
    if bottom == right == 0:
        return x
    if bottom < H and right < W:
        return F.pad(x, (0, right, 0, bottom), mode="reflect")
    rows = _reflected_positions(H, H + bottom, x.device)
    columns = _reflected_positions(W, W + right, x.device)
    return x[..., rows[:, None], columns]


def _reflected_positions(size: int, padded: int, device: torch.device) -> Tensor:
    """0, 1, …, size-1, size-2, …, 0, 1, …: which pixel stands at each padded position."""
    period = max(1, 2 * (size - 1))
    positions = torch.arange(padded, device=device) % period
    return torch.minimum(positions, period - positions) if size > 1 else positions


def l1_loss(prediction: Tensor, target: Tensor) -> Tensor:
    return F.l1_loss(prediction, target)


def mrae_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean relative absolute error; labels below 1e-4 count as 1e-4, so that zeros stay finite."""
    return ((prediction - target).abs() / target.clamp_min(1e-4)).mean()


def rmse_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Root of the mean squared error, with a finite gradient where there is no error."""
    return (F.mse_loss(prediction, target) + 1e-12).sqrt()


LOSSES = {"l1": l1_loss, "mrae": mrae_loss, "rmse": rmse_loss}
