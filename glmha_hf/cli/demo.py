"""Open the demo in the browser: restore, look at spectra, compare models, offline."""

import argparse
import importlib.util
import socket

EXAMPLES = """The page offers the models whose weights ship with the package; nothing is fetched.
Needs the extras: pip install 'glmha-hf[demo,spectral]'.

examples:
  glmha demo
  glmha demo --port 8080 --open
  glmha demo --host 0.0.0.0     # for everybody on the network"""

LOOPBACK, PORT = "127.0.0.1", 7860


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default=LOOPBACK, help=f"address to listen on ({LOOPBACK})")
    parser.add_argument("--port", type=int, default=PORT, help=f"port to listen on ({PORT})")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def run(arguments: argparse.Namespace) -> None:
    missing = [name for name in ("gradio", "h5py", "matplotlib") if not _has(name)]
    if missing:
        raise ValueError(
            f"the demo needs {' and '.join(missing)}: pip install 'glmha-hf[demo,spectral]'"
        )
    if not 0 < arguments.port < 65536:
        raise ValueError(f"--port is a number from 1 to 65535, not {arguments.port}")
    _check_free(arguments.host, arguments.port)
    from ..demo.app import launch

    launch(host=arguments.host, port=arguments.port, inbrowser=arguments.open)


def _check_free(host: str, port: int) -> None:
    """Before gradio is loaded, and in our own words."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"{host}:{port} cannot be listened on ({error.strerror or error}): give another "
                "--port or --host"
            ) from None


def _has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
