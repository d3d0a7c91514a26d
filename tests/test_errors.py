"""What is told in one line, and what keeps its traceback."""

import importlib.metadata
import re

import pytest
from huggingface_hub.errors import StrictDataclassFieldValidationError

from glmha_hf.errors import EXTRAS, is_bad_input, missing_extra, one_line

IMPORTED_AS = {"pyyaml": "yaml", "colour-science": "colour"}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\n  line"), "one line"),
        (FileNotFoundError(2, "No such file", "a.png"), "a.png: No such file"),
        (
            StrictDataclassFieldValidationError("dim", ValueError("must be at least 1")),
            "must be at least 1",
        ),
        (
            ModuleNotFoundError("No module named 'scipy.io'", name="scipy.io"),
            "this needs scipy: pip install 'glmha-hf[spectral]'",
        ),
    ],
)
def test_bad_input_is_one_line(error: Exception, line: str) -> None:
    assert is_bad_input(error)
    assert one_line(error) == line


@pytest.mark.parametrize(
    "error", [KeyError("ours"), ModuleNotFoundError("ours", name="ours"), ImportError("broken")]
)
def test_errors_of_ours_are_none(error: Exception) -> None:
    assert not is_bad_input(error)
    assert missing_extra(error) is None


def test_extras_are_those_that_the_package_declares() -> None:
    declared: dict[str, set[str]] = {}
    for requirement in importlib.metadata.requires("glmha-hf") or []:
        name, extra = re.match(r"([\w-]+).*?(?:extra == .(\w+).)?$", requirement).groups()
        declared.setdefault(IMPORTED_AS.get(name, name), set()).add(extra)
    for package, extra in EXTRAS.items():
        assert extra in declared[package]
