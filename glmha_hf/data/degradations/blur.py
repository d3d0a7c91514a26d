"""Camera shake: what a sensor gathers while the camera moves and turns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from .base import (
    Picture,
    Range,
    from_eight_bit,
    to_eight_bit,
)

_FRAMES_AT_ONCE = 8


@dataclass(frozen=True)
class MotionBlur:
    """Average of the sub-frames along a random trajectory, taken in linear light.

    The sharp picture is the one at mid-exposure, as in GoPro, so pairs stay aligned.
    """

    travel: Range = (1.0, 28.0)  # length of the camera's path, pixels
    rotation: float = 1.5  # standard deviation of the turn during exposure, degrees
    wander: float = 0.8  # 0 for a straight path, above 1 for an erratic one
    gamma: float = 2.2
    noise_sigma: Range = (0.0, 0.0)  # sensor noise afterwards, 8-bit levels
    most_frames: int = 49

    @property
    def margin(self) -> int:
        return int(np.ceil(0.6 * self.travel[1])) + 4

    def __call__(self, clean: Picture, rng: np.random.Generator) -> Picture:
        path, turn = self.trajectory(rng, diagonal=float(np.hypot(*clean.shape[:2])))
        linear = torch.from_numpy(np.clip(clean, 0, 1) ** np.float32(self.gamma))
        gathered = _expose(linear.permute(2, 0, 1), path, turn)
        light = gathered.permute(1, 2, 0).clamp_(0, 1).numpy()
        blurred = light ** np.float32(1 / self.gamma)
        sigma = rng.uniform(*self.noise_sigma) / 255
        if sigma:
            blurred = blurred + np.float32(sigma) * rng.standard_normal(blurred.shape, np.float32)
        return from_eight_bit(to_eight_bit(blurred))

    def trajectory(
        self, rng: np.random.Generator, *, diagonal: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Offsets (N×2 pixels) and turns (N radians) of the sub-frames, zero at mid-exposure.

        N grows with the fastest point's path, so that neighbouring frames are about a pixel apart.
        """
        travel = rng.uniform(*self.travel)
        turned = np.deg2rad(rng.normal(0, self.rotation)) * min(1.0, travel / 10)
        reach = travel + abs(turned) * diagonal / 2
        frames = int(np.clip(np.ceil(reach), 2, self.most_frames - 1)) // 2 * 2 + 1

        velocity = _unit(rng.uniform(0, 2 * np.pi)) + self.wander * rng.normal(0, 0.7, (7, 2))
        velocity[1:] = 0.5 * (velocity[1:] + velocity[:-1])  # hands have inertia
        knots = np.vstack([np.zeros(2), np.cumsum(velocity, axis=0)])
        length = np.linalg.norm(np.diff(knots, axis=0), axis=1).sum()
        time, times = np.linspace(0, 1, frames), np.linspace(0, 1, len(knots))
        path = np.stack([np.interp(time, times, axis) for axis in knots.T], axis=1)
        path *= travel / max(length, 1e-9)
        middle = frames // 2
        return path - path[middle], turned * (time - time[middle])


def _unit(angle: float) -> NDArray[np.float64]:
    return np.array([np.cos(angle), np.sin(angle)])


def _expose(
    linear: torch.Tensor, path: NDArray[np.float64], turn: NDArray[np.float64]
) -> torch.Tensor:
    """Mean of a C×H×W picture shifted along `path` and turned about its centre by `turn`."""
    _, H, W = linear.shape
    # affine_grid maps output to input in coordinates where the picture spans [-1, 1] both ways.
    cosine, sine = np.cos(turn), np.sin(turn)
    rows = np.stack(
        [
            np.stack([cosine, -sine * H / W, 2 * path[:, 0] / W], axis=1),
            np.stack([sine * W / H, cosine, 2 * path[:, 1] / H], axis=1),
        ],
        axis=1,
    )
    total = torch.zeros_like(linear)
    for theta in torch.from_numpy(rows.astype(np.float32)).split(_FRAMES_AT_ONCE):
        grid = F.affine_grid(theta, [len(theta), 1, H, W], align_corners=False)
        frames = linear.expand(len(theta), -1, -1, -1)
        total += F.grid_sample(
            frames, grid, mode="bilinear", padding_mode="reflection", align_corners=False
        ).sum(0)
    return total / len(path)
