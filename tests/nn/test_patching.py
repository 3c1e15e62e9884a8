"""Functional callers: within a block, and in the whole process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tconv.nn
from tconv.nn import functional
from tconv.nn.operator import OWN


class Caller(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.up = nn.Parameter(torch.randn(3, 2, 2, 2)), nn.ConvTranspose2d(2, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(F.conv_transpose2d(x, self.weight))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What reaches tconv's functions."""
    seen: list[Any] = []
    original = functional.conv_transpose
    monkeypatch.setattr(functional, "conv_transpose", lambda *a: seen.append(a) or original(*a))
    return seen


@pytest.fixture
def uninstalled() -> Iterator[None]:
    yield
    tconv.nn.uninstall()


@torch.no_grad()
def test_within_a_block(calls: list[Any]) -> None:
    model, x = Caller(), torch.randn(1, 3, 5, 5)
    expected = model(x)
    with tconv.nn.patched():
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
        assert len(calls) == 2 and torch.add(x, 1).shape == x.shape
    model(x)
    assert len(calls) == 2


@torch.no_grad()
def test_a_block_is_a_threads_own(calls: list[Any]) -> None:
    x, w = torch.randn(1, 3, 5, 5), torch.randn(3, 2, 2, 2)
    with tconv.nn.patched():
        thread = threading.Thread(target=lambda: F.conv_transpose2d(x, w))
        thread.start()
        thread.join()
    assert not calls


@torch.no_grad()
def test_installed_for_all_threads(calls: list[Any], uninstalled: None) -> None:
    model, x = Caller(), torch.randn(1, 3, 5, 5)
    expected = model(x)
    tconv.nn.install()
    tconv.nn.install()
    found: list[Tensor] = []
    thread = threading.Thread(target=lambda: found.append(Caller.forward(model, x)))
    thread.start()
    thread.join()
    torch.testing.assert_close(found[0].detach(), expected, rtol=1e-4, atol=1e-5)
    assert len(calls) == 2 and torch.conv_transpose2d is F.conv_transpose2d is functional.conv_transpose2d
    tconv.nn.uninstall()
    tconv.nn.uninstall()
    model(x)
    assert len(calls) == 2 and F.conv_transpose2d is OWN[2] and torch.conv_transpose1d is OWN[1]


@torch.no_grad()
def test_what_the_engine_refuses_still_reaches_pytorch(uninstalled: None) -> None:
    tconv.nn.install()
    x, w = (torch.randn(*size, dtype=torch.complex64) for size in ((1, 3, 5, 5), (3, 2, 2, 2)))
    assert torch.equal(F.conv_transpose2d(x, w), OWN[2](x, w))
    with pytest.raises(RuntimeError, match="channels"):
        F.conv_transpose2d(x[:, :2], w)


@torch.no_grad()
@pytest.mark.usefixtures("captures")
def test_a_folded_model_within_both(uninstalled: None) -> None:
    model, x = Caller().eval(), torch.randn(1, 3, 5, 5)
    expected = model(x)
    tconv.nn.fold(model)
    with tconv.nn.patched():
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    tconv.nn.install()
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    tconv.nn.uninstall()
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
