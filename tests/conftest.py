import torch


def pytest_configure() -> None:
    """Small models run faster on one thread, and a busy machine does not slow them down."""
    torch.set_num_threads(1)
