"""Group norm in half precision: the definition in double precision, rounded once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tconv import native
from tconv.nn.engine import RefusedError
from tconv.nn.engines.cpu import ENGINE

ACTIVATIONS: dict[str, Any] = {
    "": lambda x: x,
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "silu": F.silu,
}
HALVES = (torch.bfloat16, torch.float16)


@pytest.fixture(params=native.backends(), autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TCONV_BACKEND", request.param)
        yield request.param


@pytest.fixture(params=HALVES, ids=["bfloat16", "float16"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    found: torch.dtype = request.param
    return found


def numbers(*shape: int, seed: int = 1, mean: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 + mean


def check(x: Tensor, weight: Tensor | None, bias: Tensor | None, groups: int, activation: str = "") -> None:
    """Half a step of the dtype from the exact result, and what single precision rounds off before that."""
    before = x.clone()
    named = (activation, 0.3) if activation == "leaky_relu" else activation
    y = ENGINE.normalise(x, weight, bias, groups, 1e-5, named)
    assert y.dtype == x.dtype and y.stride() == x.stride() and x.equal(before)
    wide = [None if t is None else t.double() for t in (weight, bias)]
    exact = ACTIVATIONS[activation](F.group_norm(x.double(), groups, *wide))
    step = torch.finfo(x.dtype).eps * exact.abs().clamp(min=torch.finfo(x.dtype).tiny)
    excess = (y.double() - exact).abs() - step / 2
    assert excess.max() <= 4e-6 * (1 + exact.abs().max()), (x.shape, groups, activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_every_activation_is_rounded_once(dtype: torch.dtype, activation: str, last: bool) -> None:
    for shape, groups in (((2, 24, 9, 11), 3), ((1, 17, 5, 7), 17), ((3, 64, 1, 1), 2), ((1, 8, 70, 71), 1)):
        x = numbers(*shape).to(dtype)
        x = x.contiguous(memory_format=torch.channels_last) if last else x
        weight, bias = (numbers(shape[1], seed=seed).to(dtype) for seed in (2, 3))
        check(x, weight, bias, groups, activation)
        check(x, None, None, groups, activation)


def test_weights_in_single_precision_keep_their_digits(dtype: torch.dtype) -> None:
    weight, bias = (numbers(12, seed=seed).float() for seed in (4, 5))
    check(numbers(2, 12, 31, 3).to(dtype), weight, bias, 4)


def test_a_large_mean_leaves_the_digits_of_small_deviations(dtype: torch.dtype) -> None:
    check(numbers(1, 6, 5000, mean=300.0).to(dtype), None, None, 3)


def test_any_number_of_threads_gives_the_same_bits(dtype: torch.dtype) -> None:
    x = numbers(1, 48, 60, 61).to(dtype)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(ENGINE.normalise(x, None, None, 3, 1e-5, "gelu"))
    finally:
        torch.set_num_threads(threads)
    assert all(result.equal(results[0]) for result in results)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_stays_in_its_group(dtype: torch.dtype, value: float) -> None:
    x = numbers(2, 4, 999).to(dtype)
    x[1, 2, 500] = value
    y = ENGINE.normalise(x, None, None, 2, 1e-5)
    assert y[1, 2:].isnan().all() and y[0].isfinite().all() and y[1, :2].isfinite().all()


def test_weights_of_another_kind_are_refused(dtype: torch.dtype) -> None:
    x, weight = numbers(1, 4, 5), numbers(4)
    for given, scale in ((x.to(dtype), weight), (x.float(), weight.to(dtype))):
        with pytest.raises(RefusedError) as raised:
            ENGINE.normalise(given, scale, None, 2, 1e-5)
        kinds = (given.dtype, scale.dtype)
        assert str(raised.value) == f"the input is {kinds[0]}, the norm's weight or bias {kinds[1]}"
