"""What glibc keeps of the memory that it is given back, in a process of its own."""

import platform
import subprocess
import sys

import pytest

PAGES_OF_A_BLOCK = 2048
ROUNDS = 20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another")
def test_freed_pages_are_used_again():
    """By blocks of 8 MiB, three at once, that are written to and freed again and again."""
    script = f"""
from resource import RUSAGE_SELF, getrusage
from glmha_hf.cpu import keep_pages
assert keep_pages()
before = getrusage(RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    blocks = [bytearray(4096 * {PAGES_OF_A_BLOCK}) for _ in range(3)]
    del blocks
print(getrusage(RUSAGE_SELF).ru_minflt - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 2 * 3 * PAGES_OF_A_BLOCK  # and not as much in every round
