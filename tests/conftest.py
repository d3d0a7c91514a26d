import logging
from collections.abc import Iterator

import pytest
import torch


def pytest_configure() -> None:
    """Small models run faster on one thread, and a busy machine does not slow them down."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """The training script logs to the error stream of its test, which is closed after it."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
