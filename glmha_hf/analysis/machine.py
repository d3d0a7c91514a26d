"""What a machine does: the time of a run, its peak memory, its fastest matrix product."""

import multiprocessing
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from .. import cpu
from ..models.streaming import linear


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


def peak_memory(
    prepare: Callable[[], Callable[[], Any]], device: str, *, keep_pages: bool = False
) -> float:
    """Gigabytes that a process of its own needs at most to prepare and do one run."""
    initializer = cpu.keep_pages if keep_pages else None
    with multiprocessing.get_context("spawn").Pool(1, initializer) as pool:
        return pool.apply(_peak_of_one_run, (prepare, device))


def _peak_of_one_run(prepare: Callable[[], Callable[[], Any]], device: str) -> float:
    prepare()()
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 1e9
    return peak_of_this_program() / 1e9


def peak_of_this_program() -> int:
    """Bytes. Linux's getrusage also counts the program that started this one."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else []:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
