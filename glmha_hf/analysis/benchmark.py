"""Speed as ratios: every case is run in turn, again and again, in one process."""

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.configuration_attention import ChannelAttentionConfig
from ..models.modeling_base import ChannelAttentionModel
from ..models.streaming import linear
from ..registration import model_class_of
from .complexity import profile


@dataclass(frozen=True)
class Case:
    """One way of computing one model on one size."""

    attention: str
    fused: bool
    dtype: str
    size: int

    @property
    def name(self) -> str:
        form = "fused" if self.fused else "published"
        return f"{self.attention}, {form}, {self.dtype}, {self.size}×{self.size}"


@dataclass(frozen=True)
class Measurement:
    """`ratio` is how many times faster than the published form in float32 of the first attention.

    `psnr` compares the output with that of the published float32 form of the same attention.
    """

    case: Case
    seconds: float
    fastest: float
    ratio: float
    gmacs: float
    share_of_peak: float
    relative_difference: float
    psnr: float
    peak_gigabytes: float | None


def benchmark(
    config: ChannelAttentionConfig,
    *,
    attentions: Sequence[str] = ("csa", "glmha"),
    dtypes: Sequence[str] = ("float32", "bfloat16"),
    sizes: Sequence[int] = (256,),
    repeats: int = 5,
    memory: bool = False,
    device: str = "cpu",
    report: Callable[[str], None] = lambda _: None,
) -> list[Measurement]:
    """Random weights, the same for all cases of one attention; published form in float32 first."""
    measurements = []
    for size in sizes:
        cases = [
            Case(attention, fused, dtype, size)
            for attention, (fused, dtype) in product(
                attentions, [(False, "float32"), *product([True], dtypes)]
            )
        ]
        runs = {case: _prepare(config, case, device) for case in cases}
        outputs = {case: run().float().cpu() for case, run in runs.items()}
        seconds: dict[Case, list[float]] = {case: [] for case in cases}
        for repeat in range(repeats):
            for case, run in runs.items():
                report(f"run {repeat + 1} of {repeats}: {case.name}")
                seconds[case].append(timed(run, device))
        measurements += [
            _measurement(config, case, cases, seconds, outputs, device, memory) for case in cases
        ]
    return measurements


def _prepare(config: ChannelAttentionConfig, case: Case, device: str) -> Callable[[], Tensor]:
    model, inputs = _model_and_inputs(config, case, device)

    def run() -> Tensor:
        with torch.inference_mode():
            return model(**inputs).reconstruction

    return run


def _model_and_inputs(
    config: ChannelAttentionConfig, case: Case, device: str
) -> tuple[ChannelAttentionModel, dict[str, Tensor]]:
    torch.manual_seed(0)
    dtype = getattr(torch, case.dtype)
    chosen = config.changed(attention=case.attention, fused=case.fused)
    model = model_class_of(config)(chosen).eval().to(device, dtype)
    generator = torch.Generator().manual_seed(0)
    inputs = {
        name: torch.rand(zeros.shape, generator=generator).to(device, dtype)
        for name, zeros in model.example_inputs(case.size, case.size).items()
    }
    return model, inputs


def timed(run: Callable[[], Any], device: str) -> float:
    """Seconds of one run, what it left to a GPU included."""
    _synchronise(device)
    start = time.perf_counter()
    run()
    _synchronise(device)
    return time.perf_counter() - start


def _synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _measurement(
    config: ChannelAttentionConfig,
    case: Case,
    cases: list[Case],
    seconds: dict[Case, list[float]],
    outputs: dict[Case, Tensor],
    device: str,
    memory: bool,
) -> Measurement:
    counted = profile(config.changed(attention=case.attention), height=case.size, width=case.size)
    median = statistics.median(seconds[case])
    exact = outputs[Case(case.attention, False, "float32", case.size)]
    error = outputs[case] - exact
    return Measurement(
        case=case,
        seconds=median,
        fastest=min(seconds[case]),
        ratio=statistics.median(seconds[cases[0]]) / median,
        gmacs=counted.total.macs / 1e9,
        share_of_peak=counted.total.macs / median / peak_macs(case.dtype, device),
        relative_difference=float(error.abs().max() / exact.abs().max()),
        psnr=float(-10 * torch.log10(error.square().mean())),
        peak_gigabytes=peak_memory(config, case, device) if memory else None,
    )


_PEAKS: dict[tuple[str, str], float] = {}


def peak_macs(dtype: str, device: str) -> float:
    """Multiply-accumulates a second of a large matrix product: what the machine was seen to do."""
    if (dtype, device) not in _PEAKS:
        side = 2048 if device == "cpu" else 8192
        matrix = torch.randn(side, side, device=device).to(getattr(torch, dtype))
        with torch.inference_mode():
            fastest = min(
                timed(partial(multiply, matrix[None, None], matrix), device)
                for multiply in (F.linear, linear)
                for _ in range(5)
            )
        _PEAKS[dtype, device] = side**3 / fastest
    return _PEAKS[dtype, device]


def peak_memory(config: ChannelAttentionConfig, case: Case, device: str) -> float:
    """Gigabytes that a process of its own needs at most for one run, weights included."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_of_one_run, (config, case, device))


def _peak_of_one_run(config: ChannelAttentionConfig, case: Case, device: str) -> float:
    _prepare(config, case, device)()
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 1e9
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts kibibytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def as_rows(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    return [asdict(one) | {"case": asdict(one.case)} for one in measurements]
