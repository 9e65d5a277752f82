"""These tests run on one thread: their tensors are small, and threads that wait for each other cost more than that."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def the_same_draws_every_time() -> None:
    """Start torch's random numbers at the same place in every test."""
    torch.manual_seed(0)
