"""A model's example call: its arguments, its random numbers, and that it leaves no trace."""

from __future__ import annotations

import collections
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tconv.nn.example import Example, no_trace, same_random_numbers

T = torch.ones(1, 2)


class Codec(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 2)

    def decode(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.a(x)) + self.a[0](x)

    def fails(self, x: Tensor) -> Tensor:
        self.b(x)
        raise ValueError("no")


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        (T, (T,), {}),
        ((T, 1), (T, 1), {}),
        ([T, 1], ([T, 1],), {}),
        ({"x": T}, (), {"x": T}),
        (collections.UserDict(x=T), (), {"x": T}),
        (((T,), {"n": 1}), (T,), {"n": 1}),
        (((T,), collections.UserDict(n=1)), (T,), {"n": 1}),
        (((T,), 1), ((T,), 1), {}),
        ((T, {"n": 1}), (T, {"n": 1}), {}),
        ((), (), {}),
    ],
)
def test_forms(given: Any, args: Any, kwargs: Any) -> None:
    example = Example(nn.Identity(), given, None)
    assert example.args == args and example.kwargs == kwargs


def test_what_a_method_enters() -> None:
    """The modules that are called from outside of other modules, in their order, each once."""
    model = Codec()
    assert Example(model, T, "decode").entered() == [model.a, model.a[0]]
    assert Example(model, T, None).entered() == [model]
    with pytest.raises(ValueError, match=r"^no$"):
        Example(model, T, "fails").entered()
    calls: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Linear, "forward", lambda self, x: calls.append(x) or x)
        model.b(T)
    assert len(calls) == 1 and not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks


def test_random_numbers_are_given_back() -> None:
    def drawn() -> tuple[float, ...]:
        return random.random(), float(np.random.rand()), torch.rand(1).item()

    with same_random_numbers():
        first = drawn()
    with same_random_numbers():
        assert drawn() == first
    with pytest.raises(KeyError), same_random_numbers():
        drawn()
        raise KeyError
    assert drawn() == first and drawn() != first


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("sparse", torch.eye(2).to_sparse(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.norm(x)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning")
def test_no_trace() -> None:
    model = Counts()
    memory = model.calls.data_ptr()
    with no_trace(model):
        assert not model.norm.training and not torch.is_grad_enabled()
        model(torch.randn(3, 2))
        assert model.calls == 1
    assert model.calls == 0 and model.calls.data_ptr() == memory and model.norm.training
    with pytest.raises(KeyError), no_trace(model):
        model(torch.randn(3, 2))
        raise KeyError
    assert model.calls == 0
