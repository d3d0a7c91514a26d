"""Keep the memory that a CPU needs from one tensor to the next."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8  # malloc.h of glibc


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
