"""The page in a process of its own, with small models, for clients and browsers to visit."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
START = """
import sys
from pathlib import Path
from glmha_hf.hub import zoo
zoo.WEIGHTS = Path(sys.argv[2])
from glmha_hf.demo.app import launch
launch(host="127.0.0.1", port=int(sys.argv[1]))
"""
PATIENCE = 120


@dataclass(frozen=True)
class Server:
    address: str
    process: int
    uploads: Path


@contextlib.contextmanager
def served(weights, folder):
    """A page until the block ends; its files are in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uploads = folder / "uploads"
    environment = os.environ | {
        "GRADIO_TEMP_DIR": str(uploads),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
    }
    log = folder / "log.txt"
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "-c", START, str(port), str(weights)],
            env=environment,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}/"
    try:
        _wait(address, process, log)
        yield Server(address, process.pid, uploads)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait(address, process, log):
    for _ in range(2 * PATIENCE):
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.5)
    raise TimeoutError(log.read_text())
