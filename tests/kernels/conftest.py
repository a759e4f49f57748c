from __future__ import annotations

import pytest
import torch

from engrain.kernels import native


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> None:
    """Products this small spend their time waiting for a second thread; what is to be compiled is compiled before a test is timed."""
    torch.set_num_threads(1)
    native.library()
