"""For the tests of a GPU, which `make test-gpu` runs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from gpu.place import REAL


@pytest.fixture(scope="session", autouse=True)
def place() -> None:
    """The engine computes on the device of `gpu.place`."""
    if not REAL:
        from tconv.nn.engines.triton.interpreted import compute_on_the_cpu

        compute_on_the_cpu()
    elif not torch.cuda.is_available():
        pytest.exit("make test-gpu: PyTorch sees no GPU here", returncode=2)
    elif os.environ.get("TCONV_TRITON") != "try":
        pytest.exit("make test-gpu: set TCONV_TRITON=try, so that the engine is used before it is proven", returncode=2)


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """PyTorch's own operator in place of the engine is an error."""
    monkeypatch.setenv("TCONV_STRICT", "1")
    torch.manual_seed(0)
    yield
