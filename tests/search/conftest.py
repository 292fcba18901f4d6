"""What all tests of the search share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Networks here are small: threads that wait for each other would only be slow where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
