"""Keep the memory that a CPU needs from one tensor to the next."""

from __future__ import annotations

import ctypes
import sys

# The largest block that glibc still learns from, less what it adds to it.
_LARGEST_LESSON = 2**25 - 2**16
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8  # malloc.h of glibc


def keep_freed_blocks() -> None:
    """Free a large block that nobody wrote to.

    That has glibc keep some 64 MiB of what is freed, where it gives a few megabytes back to the
    system at once and has every next window fault its pages in again. It does the same in any
    process that has freed such a block.
    """
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        libc.free(ctypes.c_void_p(libc.malloc(ctypes.c_size_t(_LARGEST_LESSON))))


def keep_pages() -> bool:
    """Tell glibc to keep pages: every large tensor would have to fault them in again.

    Says whether it could: other C libraries have no such switch and need none.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26), (_ARENA_MAX, 1))
    return all(mallopt(*setting) == 1 for setting in settings)
