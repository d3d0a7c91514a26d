"""How much memory a model takes, how much there is, and the tile that fits."""

import math
from pathlib import Path

import torch

from ..models.configuration_attention import ChannelAttentionConfig

# Values held per pixel at the peak of a call, in multiples of `dim`, by architecture and form:
# measured as resident memory on the CPU with the published sizes, rounded up.
PEAK_VALUES = {
    ("restormer", True): 8,
    ("restormer", False): 45,
    ("mst", True): 24,
    ("mst", False): 24,
    ("mst_plus_plus", True): 8,
    ("mst_plus_plus", False): 24,
}
# What a call takes whatever the size: windows that stay in cache, and the libraries' workspaces.
FIXED_BYTES = 256 * 2**20
ASSUMED_MEMORY = 4 * 2**30
SMALLEST_TILE = 128


def bytes_per_pixel(config: ChannelAttentionConfig, *, itemsize: int) -> int:
    """What a call needs per pixel beside the weights; the published form computes in float32."""
    values = PEAK_VALUES.get((config.model_type, config.fused), 45)
    return values * config.hidden_size * (itemsize if config.fused else 4)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on a device."""
    if device.type == "cuda":
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + idle
    return min(_available_to_the_machine(), _available_to_the_container())


def _available_to_the_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return ASSUMED_MEMORY
    kibibytes = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return kibibytes[0] * 1024 if kibibytes else ASSUMED_MEMORY


def _available_to_the_container() -> int:
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
    except (OSError, ValueError):
        return 2**63
    return 2**63 if limit == "max" else max(0, int(limit) - used)


def largest_tile(
    config: ChannelAttentionConfig,
    *,
    height: int,
    width: int,
    batch_size: int,
    itemsize: int,
    budget: int,
) -> int | None:
    """The side of the largest tile within a budget of bytes; None where the picture fits whole."""
    room = max(0, budget - FIXED_BYTES)
    pixels = room // (bytes_per_pixel(config, itemsize=itemsize) * batch_size)
    if height * width <= pixels:
        return None
    multiple = config.size_multiple
    smallest = max(SMALLEST_TILE, 8 * multiple)
    return max(smallest, math.isqrt(pixels) // multiple * multiple)
