from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch
import torch._dynamo
import torch._inductor  # which TorchDynamo imports when it looks for backends, and which is frozen with the rest

from tconv.nn import comparison
from tconv.nn.comparison import Comparison
from tconv.nn.engines import cpu
from tconv.nn.engines.cpu import Cpu


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine alone: no fallback, and all calls with gradients too, in both directions."""
    monkeypatch.setenv("TCONV_STRICT", "1")
    monkeypatch.setattr(Cpu, "pays_with_gradients", lambda *_, **__: True)
    monkeypatch.setattr(Cpu, "gradients_pay", lambda _, call: call.weight.dtype in cpu.GRADIENTS)


@pytest.fixture
def captures() -> Iterator[None]:
    """For tests in which TorchDynamo captures: no graph outlives its test, and no guard counts against the next.

    Each capture ends with a collection of garbage, which then looks at what the test made, and not at all else.
    """
    torch._dynamo.reset()
    torch.manual_seed(0)
    gc.freeze()
    yield
    torch._dynamo.reset()


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every comparison finds the new faster: what is tested must not depend on the machine's mood."""
    monkeypatch.setattr(comparison, "SECONDS", 0)
    monkeypatch.setattr(Comparison, "faster", True)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No comparison finds the new faster."""
    monkeypatch.setattr(comparison, "SECONDS", 0)
    monkeypatch.setattr(Comparison, "faster", False)
