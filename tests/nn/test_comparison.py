"""Old against new: errors of results of any kind, times, and modes that stay."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from tconv.nn import private
from tconv.nn.comparison import (
    Comparison,
    as_exact,
    at_first_calls,
    coarseness,
    compare,
    evaluating,
    finer,
    largest_error,
    tensors_in,
    wall_clock,
    widened,
)

T = torch.tensor([1.0, -4.0])


class Held:
    def __init__(self, y: Any) -> None:
        self.y = y


ERRORS: dict[str, tuple[Any, Any, float]] = {
    "equal": (T, T.clone(), 0),
    "relative to the largest": (T, T + torch.tensor([0.0, 0.4]), 0.1),
    "of a dict": ({"a": T, "b": [T, 3]}, {"a": T, "b": [T + 1, 3]}, 0.25),
    "of an object": (Held(T), Held(T * 2), 1),
    "of zeros": (torch.zeros(2), torch.tensor([0.0, 0.5]), 0.5),
    "shapes": (T, T[:1], math.inf),
    "dtypes": (T, T.double(), math.inf),
    "numbers of tensors": ([T], [T, T], math.inf),
    "integers": (torch.tensor([1, 2]), torch.tensor([1, 3]), math.inf),
    "equal integers": (torch.tensor([1, 2]), torch.tensor([1, 2]), 0),
    "one integer": (torch.tensor(3), torch.tensor(4), math.inf),
    "one equal integer": (torch.tensor(3), torch.tensor(3), 0),
    "one number": (torch.tensor(2.0), torch.tensor(1.0), 0.5),
    "booleans": (torch.tensor([True]), torch.tensor([False]), math.inf),
    "NaN at one place": (torch.tensor([1.0, math.nan]), torch.tensor([1.0, math.nan]), 0),
    "NaN at another": (torch.tensor([1.0, math.nan]), torch.tensor([math.nan, 1.0]), math.inf),
    "NaN in place of inf": (torch.tensor([1.0, math.inf]), torch.tensor([1.0, math.nan]), math.inf),
    "meta": (T.to("meta"), T.to("meta"), 0),
    "nothing": (None, None, 0),
    "empty": (torch.ones(0), torch.ones(0), 0),
    "complex": (torch.tensor([2j]), torch.tensor([1j]), 0.5),
}


@pytest.mark.parametrize("name", ERRORS)
def test_largest_error(name: str) -> None:
    expected, actual, error = ERRORS[name]
    assert largest_error(expected, actual) == pytest.approx(error)


def test_minus_infinity_is_not_infinity() -> None:
    assert largest_error(torch.tensor([math.inf]), torch.tensor([-math.inf])) == math.inf


def test_tensors_in_what_refers_to_itself() -> None:
    around: list[Any] = [T]
    around.append(around)
    assert tensors_in(around) and tensors_in({"a": (T, {T})}) and tensors_in("text") == []


def test_a_comparison_prints() -> None:
    told = Comparison(0.002, 0.001, 1e-6)
    assert str(told) == "2 -> 1 ms (2.00x), error 1.0e-06" and told.faster
    assert not Comparison(1, 1, 0).faster


def test_compare_measures_both_ways() -> None:
    layer, x = nn.Conv2d(2, 2, 1), torch.randn(1, 2, 3, 3)
    timed: list[float] = []
    told = compare(
        layer,
        lambda x: layer(x) * 2,
        ((x,), {}),
        seconds=0,
        clock=lambda run: timed.append(wall_clock(run)) or timed[-1],
    )
    assert told.error > 0 and len(timed) == 5 and min(timed) > 0
    assert (told.before, told.after) == (min(timed[1::2]), min(timed[2::2]))
    modes: list[bool] = []
    compare(*[lambda x: modes.append(torch.is_grad_enabled()) or layer(x)] * 2, ((x,), {}), seconds=0)
    compare(*[lambda x: modes.append(torch.is_grad_enabled()) or layer(x)] * 2, ((x,), {}), layer, seconds=0)
    assert modes == [False] * 6 + [True] * 6 and layer.weight.grad is None


def test_evaluating_leaves_the_modes() -> None:
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(2))
    model[1].eval()
    with pytest.raises(KeyError), evaluating(model):
        assert not model.training and not model[0].training and not torch.is_grad_enabled()
        raise KeyError
    assert model.training and model[0].training and not model[1].training and torch.is_grad_enabled()


def test_at_first_calls() -> None:
    one, two = nn.Conv2d(2, 2, 1), nn.Identity()
    model = nn.Sequential(one, two, one)
    x, seen = torch.randn(1, 2, 3, 3), []
    at_first_calls(model, partial(model, x), {"one": one, "two": two}, lambda name, call: seen.append((name, call)))
    assert [name for name, _ in seen] == ["one", "two"] and seen[0][1] == ((x,), {})
    assert not one._forward_pre_hooks and not two._forward_pre_hooks
    with pytest.raises(RuntimeError):
        at_first_calls(model, partial(model, x[:, :1]), {"two": two}, lambda *_: None)
    assert not two._forward_pre_hooks


HALVES = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_held_to_single(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    exact, eps = torch.rand(1000) + 1, torch.finfo(dtype).eps
    old, others = exact.to(dtype), (exact + torch.rand(1000) * eps / 3).to(dtype)
    assert as_exact(exact, old, others) and as_exact({"y": exact}, {"y": old}, [others])
    assert not as_exact(exact, old, (exact + 4 * eps).to(dtype))
    assert not as_exact(exact, exact, exact + 1e-6)  # what is in single precision is held to itself
    far = (exact + 40 * eps).to(dtype)  # as after other random numbers
    assert not as_exact(exact, far, far)


def test_widened() -> None:
    half = torch.ones(2, dtype=torch.float16)
    given = ({"x": half, "n": 3}, [half.bfloat16(), T.double()], torch.ones(1, dtype=torch.int64), T)
    found = widened(given)
    single = [torch.float32] * 2 + [torch.float64, torch.int64, torch.float32]
    assert [t.dtype for t in tensors_in(found)] == single
    assert found[0]["n"] == 3 and type(found[1]) is list and type(found) is tuple
    double = [torch.float64] * 3 + [torch.int64, torch.float64]
    assert [t.dtype for t in tensors_in(widened(given, torch.float64))] == double


def test_float32_on_a_gpu_is_held_to_double_where_it_may_be_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeTensorMode():  # which has tensors on any device
        on_gpu = torch.ones(2, device="cuda")
        for allowed in (True, False):
            monkeypatch.setattr(private, "tf32", lambda allowed=allowed: allowed)
            assert coarseness([on_gpu]) == (2.0**-10 if allowed else 0)
            assert finer([on_gpu]) is (torch.float64 if allowed else torch.float32)
            assert coarseness([on_gpu.double(), on_gpu.half()]) == 2.0**-10
    monkeypatch.setattr(private, "tf32", lambda: True)
    assert coarseness([T]) == 0 and finer([T]) is torch.float32
