"""Training after the start: each block by itself against the teacher's, then all of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from ..files import replaced_file
from ..models.modeling_base import ChannelAttentionModel
from .blocks import Inputs, Meeting, at, attended_features
from .pictures import Crops

SAVE_SECONDS = 60
MEASURED = 8  # pictures that tell whether training end to end was worth it


def attention_targets(meeting: Meeting) -> Tensor:
    """What the student's attention has to give so that its features become the teacher's."""
    outputs = [
        meeting.teacher.attention(
            attended_features(meeting.teacher, meeting.theirs[place : place + 1]),
            *at(meeting.context, place),
        )[0]
        for place in range(len(meeting.theirs))
    ]
    return meeting.theirs + torch.cat(outputs) - meeting.ours


@torch.no_grad()
def block_error(meeting: Meeting, targets: Tensor) -> float:
    """What is left of the targets' energy, from 0 to about 1."""
    left = sum(
        float((targets[place] - attended(meeting, slice(place, place + 1))[0]).square().sum())
        for place in range(len(targets))
    )
    return left / float(targets.square().sum().clamp_min(1e-30))


def attended(meeting: Meeting, places: slice) -> Tensor:
    features = attended_features(meeting.student, meeting.ours[places])
    context = tuple(each[places] for each in meeting.context)
    return meeting.student.attention(features, *context)[0]


def finish_block(
    meeting: Meeting, targets: Tensor, *, steps: int, batch: int = 4, peak: float = 2e-3, seed: int
) -> None:
    """Adam on the block's attention; what it began with is kept where that was better."""
    layer = meeting.student.attention
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    error = block_error(meeting, targets)
    scale = 1 / targets.square().mean().clamp_min(1e-30)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(layer.parameters(), lr=peak)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = cosine(peak, step / steps)
        chosen = torch.randperm(len(targets), generator=generator)[:batch]
        with torch.enable_grad():
            features = attended_features(meeting.student, meeting.ours[chosen])
            output = layer(features, *(each[chosen] for each in meeting.context))[0]
            loss = (output - targets[chosen]).square().mean() * scale
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if block_error(meeting, targets) > error:
        layer.load_state_dict(before)


def cosine(peak: float, progress: float) -> float:
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass
class Distillation:
    """The whole student after the teacher's output: L1, no labels, fresh crops at every step.

    What it began with is kept where that was nearer to the teacher.
    """

    teacher: ChannelAttentionModel
    student: ChannelAttentionModel
    crops: Crops
    steps: int
    batch: int = 4
    peak: float = 3e-4
    state: Path | None = None  # where it is kept how far this is

    def run(self, report: Callable[[str], None]) -> None:
        optimizer = torch.optim.Adam(self.student.parameters(), lr=self.peak)
        before = {name: value.clone() for name, value in self.student.state_dict().items()}
        distance = self.distance()
        done, losses = self._resume(optimizer)
        saved = time.monotonic()
        for step in range(done, self.steps):
            optimizer.param_groups[0]["lr"] = cosine(self.peak, step / self.steps)
            loss = self.loss(self.crops.batch(step, self.batch))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            if (step + 1) % 50 == 0:
                report(f"end to end, step {step + 1} of {self.steps}: {mean(losses[-50:]):.5f}")
            if self.state is not None and time.monotonic() - saved >= SAVE_SECONDS:
                self._save(optimizer, step + 1, losses)
                saved = time.monotonic()
        if self.distance() > distance:
            self.student.load_state_dict(before)

    def loss(self, inputs: Inputs) -> Tensor:
        moved = {name: values.to(self.student.device) for name, values in inputs.items()}
        with torch.no_grad():
            wanted = self.teacher(**moved).reconstruction
        return (self.student(**moved).reconstruction - wanted).abs().mean()

    @torch.no_grad()
    def distance(self) -> float:
        """The loss on some pictures, one by one."""
        pictures = self.crops.spread(MEASURED)
        return mean(
            float(self.loss({name: values[place : place + 1] for name, values in pictures.items()}))
            for place in range(MEASURED)
        )

    def _resume(self, optimizer: torch.optim.Optimizer) -> tuple[int, list[float]]:
        if self.state is None or not self.state.is_file():
            return 0, []
        state = torch.load(self.state, weights_only=True)
        self.student.load_state_dict(state["student"])
        optimizer.load_state_dict(state["optimizer"])
        return state["step"], state["losses"]

    def _save(self, optimizer: torch.optim.Optimizer, step: int, losses: list[float]) -> None:
        assert self.state is not None
        with replaced_file(self.state) as unfinished:
            torch.save(
                {
                    "student": self.student.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                    "losses": losses,
                },
                unfinished,
            )
