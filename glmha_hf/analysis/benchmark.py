"""Speed as ratios: every case is run in turn, again and again, in one process."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .. import cpu
from ..inference.shared_statistics import can_share, sharing_statistics
from ..metrics import psnr
from ..models.configuration_attention import ChannelAttentionConfig
from ..registration import model_class_of
from .benchmark_cases import FORMS, Case, cases_of, check_tiles, compared_with
from .benchmark_subjects import Run, Subject, prepared
from .complexity import count_macs, profile
from .machine import peak_macs, peak_memory, timed
from .seams import seam


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """`ratio` is how many times faster than the first case of the same size.

    `first` is what the first call took, which compiles what is to be compiled. The difference and
    the PSNR are to the case that `compared_with` names; `seam` is for tiles.
    """

    case: Case
    seconds: float
    fastest: float
    first: float
    microseconds_per_pixel: float
    ratio: float
    gmacs: float
    share_of_peak: float
    relative_difference: float | None = None
    psnr: float | None = None
    seam: float | None = None
    peak_gigabytes: float | None = None


def benchmark(
    subject: Subject,
    *,
    forms: Sequence[str] = FORMS,
    dtypes: Sequence[str] = ("float32", "bfloat16"),
    tiles: Sequence[int] = (),
    repeats: int = 5,
    memory: bool = False,
    keep_pages: bool = False,
    device: str = "cpu",
    report: Callable[[str], None] = lambda _: None,
) -> list[Measurement]:
    """Every attention and size of the subject; of each size the published form comes first.

    With `keep_pages` this program's process keeps them from here on, as the commands' do.
    """
    if keep_pages and not cpu.keep_pages():
        raise ValueError("only glibc can be told to keep pages")
    multiple = subject.config.size_multiple
    check_tiles(tiles, forms=forms, sizes=subject.sizes, multiple=multiple)
    measurements = []
    for size in subject.sizes:
        cases = cases_of(
            size, attentions=subject.attentions, forms=forms, dtypes=dtypes, tiles=tiles
        )
        runs = {case: prepared(subject, case, device) for case in cases}
        first, outputs = {}, {}
        for case, run in runs.items():
            report(f"first run: {case.name}")
            with _compiling_anew(case):
                start = time.perf_counter()
                outputs[case] = run().float().cpu()
                first[case] = time.perf_counter() - start
        seconds: dict[Case, list[float]] = {case: [] for case in cases}
        for repeat in range(repeats):
            for case, run in runs.items():
                report(f"run {repeat + 1} of {repeats}: {case.name}")
                seconds[case].append(timed(run, device))
        for case, run in runs.items():
            measurements.append(
                Measurement(
                    case=case,
                    first=first[case],
                    **_speed(case, run, seconds, device),
                    **_accuracy(case, run, outputs),
                    peak_gigabytes=peak_memory(
                        partial(prepared, subject, case, device), device, keep_pages=keep_pages
                    )
                    if memory
                    else None,
                )
            )
    return measurements


def _compiling_anew(case: Case) -> AbstractContextManager[None]:
    """With an empty cache, in which the first call finds nothing of an earlier run's."""
    if case.form != "compiled":
        return nullcontext()
    from torch._inductor.utils import fresh_cache  # a second to import

    return fresh_cache()


def _speed(
    case: Case, run: Run, seconds: Mapping[Case, Sequence[float]], device: str
) -> dict[str, float]:
    first, median = (statistics.median(seconds[each]) for each in (next(iter(seconds)), case))
    macs = _macs(run)
    return {
        "seconds": median,
        "fastest": min(seconds[case]),
        "microseconds_per_pixel": 1e6 * median / (case.width * case.height),
        "ratio": first / median,
        "gmacs": macs / 1e9,
        "share_of_peak": macs / median / peak_macs(case.dtype, device),
    }


def _macs(run: Run) -> int:
    """Of the picture, or of its tiles and the mosaic that they take their statistics from."""
    plan, network = run.plan, run.restorer.network
    sides = {"height": plan.rows.tile, "width": plan.columns.tile}
    whole = profile(network.config, **sides).total.macs
    if plan.tiles == 1 or not can_share(network):
        return plan.tiles * whole
    return whole + plan.tiles * tile_macs(network.config, **sides)


def tile_macs(config: ChannelAttentionConfig, *, height: int, width: int) -> int:
    """What one tile costs, in the fused form, that shares its picture's statistics."""
    with torch.device("meta"):
        network = sharing_statistics(model_class_of(config)(config).eval())
        inputs = network.example_inputs(height, width)
    count_macs(network, inputs)  # the first call is taken for the picture
    return count_macs(network, inputs)


def _accuracy(case: Case, run: Run, outputs: Mapping[Case, Tensor]) -> dict[str, float]:
    reference = compared_with(case, outputs.keys())
    if reference is None:
        return {}
    output, exact = outputs[case], outputs[reference]
    figures = {
        "relative_difference": float((output - exact).abs().max() / exact.abs().max()),
        "psnr": float(psnr(output, exact, peak=1, item_ndim=4)),
    }
    return figures | ({"seam": seam(output, exact, run.plan)} if case.tile else {})


def as_rows(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    """For JSON, which has no infinite PSNR."""
    return [asdict(one) | ({"psnr": "inf"} if one.psnr == math.inf else {}) for one in measurements]
