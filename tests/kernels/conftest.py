from __future__ import annotations

import pytest
import torch

from engrain.kernels import native


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> None:
    """Products this small spend their time waiting for a second thread."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="package")
def compiled() -> None:
    """The native code is made before a test, whose time may be limited, is the first to need it."""
    native.library()
