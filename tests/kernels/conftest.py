from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> None:
    """Products this small spend their time waiting for a second thread."""
    torch.set_num_threads(1)
