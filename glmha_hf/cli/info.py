"""What this installation has: versions and architectures."""

import argparse
import json
from importlib.metadata import PackageNotFoundError, version

from ..registration import ZOO_CLASSES

EXAMPLES = """examples:
  glmha info
  glmha info --json"""

PACKAGES = (
    "glmha-hf",
    "torch",
    "transformers",
    "huggingface-hub",
    "safetensors",
    "numpy",
    "pillow",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    facts = {
        "versions": {package: _version(package) for package in PACKAGES},
        "architectures": {name: classes[1] for name, classes in ZOO_CLASSES.items()},
    }
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return
    for title, entries in facts.items():
        print(f"{title}:")
        for name, value in entries.items():
            print(f"  {name:<16}  {value}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
