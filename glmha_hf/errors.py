"""Errors that speak of what was given, in one line: what every command ends with on bad input."""

import importlib
from typing import Any

# Where an optional package that is not there comes from.
EXTRAS = {
    "accelerate": "train",
    "datasets": "train",
    "evaluate": "train",
    "tqdm": "train",
    "yaml": "train",
    "colour": "spectral",
    "h5py": "spectral",
    "matplotlib": "spectral",
    "scipy": "spectral",
    "gradio": "demo",
}


def is_bad_input(error: BaseException) -> bool:
    """Whether the line is enough; anything else is an error of ours and keeps its traceback."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    of_input = (ValueError, OSError, StrictDataclassError, SafetensorError)
    return isinstance(error, of_input) or missing_extra(error) is not None


def missing_extra(error: BaseException) -> str | None:
    """How to get the package whose import failed, if it is one of ours."""
    if not isinstance(error, ModuleNotFoundError):
        return None
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    return f"this needs {package}: pip install 'glmha-hf[{EXTRAS[package]}]'"


def extra(name: str) -> Any:
    """An optional package's module; where it is not there, the error says how to get it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if told := missing_extra(error):
            raise ModuleNotFoundError(told, name=error.name) from None
        raise


def one_line(error: BaseException) -> str:
    """An error's message on one line; a configuration's error keeps the reason alone."""
    if missing := missing_extra(error):
        return missing
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if type(error).__name__.startswith("StrictDataclass") and len(lines) > 1:
        return lines[-1].partition("Error: ")[2] or lines[-1]
    return " ".join(lines) or type(error).__name__
