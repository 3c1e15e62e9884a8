"""Group and instance norm with activations, against the definition in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from tconv import errors, native
from tconv.arrays import Array
from tconv.native import _core

ACTIVATIONS: dict[str, Any] = {
    "": lambda x: x,
    "relu": lambda x: np.where(x < 0, 0, x),
    "leaky_relu": lambda x: np.where(x < 0, 0.3 * x, x),
    "tanh": np.tanh,
    "sigmoid": special.expit,
    "gelu": lambda x: x / 2 * special.erfc(-x / np.sqrt(2)),
    "silu": lambda x: x * special.expit(x),
}
BOUNDS = {np.float32: 3e-6, np.float64: 6e-15}
EXACT = np.longdouble  # the mean of 1e4 + noise takes more digits than a float64 has


@pytest.fixture(params=native.backends(), autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TCONV_BACKEND", request.param)
        yield request.param


@pytest.fixture(params=[False, True], ids=["first", "last"])
def last(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def laid_out(x: Array, last: bool) -> Array:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if last else np.ascontiguousarray(x)


def expected(
    x: Array, weight: Array | None, bias: Array | None, groups: int, eps: float, activation: str = ""
) -> Array:
    rows = x.astype(EXACT).reshape(x.shape[0], groups, -1)
    centred = rows - rows.mean(2, keepdims=True)
    normal = (centred / np.sqrt((centred**2).mean(2, keepdims=True) + eps)).reshape(x.shape)
    per_channel = (-1, *(1,) * (x.ndim - 2))
    if weight is not None:
        normal = normal * weight.reshape(per_channel)
    if bias is not None:
        normal = normal + bias.reshape(per_channel)
    return ACTIVATIONS[activation](normal.astype(np.float64))


def check(x: Array, groups: int, activation: str = "", eps: float = 1e-5, affine: bool = True) -> Array:
    """As exact as the dtype, and as a mean in double precision allows where deviations are small beside it."""
    rng = np.random.default_rng(x.shape[1])
    weight, bias = (rng.uniform(-2, 2, x.shape[1]).astype(x.dtype) if affine else None for _ in "wb")
    before = x.copy()
    y = native.group_norm(x, weight, bias, groups, eps, activation, 0.3)
    assert y.dtype == x.dtype and y.shape == x.shape and (x == before).all()
    should = expected(x, weight, bias, groups, eps, activation)
    rows = x.astype(EXACT).reshape(x.shape[0], groups, -1)
    of_mean = np.finfo(np.float64).eps * float(np.max(np.abs(rows).max(2) / np.sqrt(rows.var(2) + eps)))
    bound = BOUNDS[x.dtype.type]
    np.testing.assert_allclose(y, should, rtol=bound, atol=2 * bound + 8 * of_mean)
    return y


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_drawn(data: st.DataObject) -> None:
    draw = data.draw
    groups, depth = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    size = draw(st.lists(st.integers(1, 9), max_size=4))
    x = np.random.default_rng(draw(st.integers(0, 99))).normal(1, 2, (draw(st.integers(1, 3)), groups * depth, *size))
    x = laid_out(x.astype(draw(st.sampled_from([np.float32, np.float64]))), draw(st.booleans()))
    check(
        x,
        groups,
        draw(st.sampled_from(list(ACTIVATIONS))),
        draw(st.sampled_from([1e-5, 1e-3, 1.0])),
        draw(st.booleans()),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tails_of_channels_and_pixels(last: bool, dtype: Any) -> None:
    rng = np.random.default_rng(1)
    for channels, pixels in product(
        (1, 2, 7, 8, 15, 16, 17, 33, 63, 64, 65, 129, 200), (1, 2, 15, 16, 17, 63, 65, 130)
    ):
        x = laid_out(rng.normal(0, 1, (2, channels, pixels)).astype(dtype), last)
        for groups in {1, channels}:
            check(x, groups, "silu", eps=0.1)


@pytest.mark.parametrize(("shape", "groups"), [((1, 24, 70, 71), 3), ((3, 5, 9000), 1), ((2, 96, 21, 23), 96)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_chunks_and_any_number_of_threads(shape: tuple[int, ...], groups: int, dtype: Any, last: bool) -> None:
    x = laid_out(np.random.default_rng(2).normal(3, 2, shape).astype(dtype), last)
    try:
        results = []
        for threads in (1, 2, 3, 7):
            native.set_num_threads(threads)
            results.append(check(x, groups, "gelu").tobytes())
    finally:
        native.set_num_threads(0)
    assert len(set(results)) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_mean_leaves_the_digits_of_small_deviations(dtype: Any, last: bool) -> None:
    rng = np.random.default_rng(3)
    for shape, groups in [((2, 8, 40, 41), 2), ((1, 3, 50000), 3), ((1, 64, 5, 5), 32)]:
        x = 1e4 + rng.normal(0, 1e-2, shape)
        check(laid_out(x.astype(dtype), last), groups, eps=1e-5)


def test_a_step_is_no_harder_than_noise(last: bool) -> None:
    """The first numbers, of which the shift is made, are far away from the others."""
    x = np.random.default_rng(4).normal(0, 1e-3, (1, 16, 30000)).astype(np.float32)
    x[:, :, 300:] += 1000
    check(laid_out(x, last), 16)


@pytest.mark.parametrize("value", [0, 1, -3.7, 1e4 / 3, 1e30])
def test_constant_inputs_are_the_bias(value: float, last: bool) -> None:
    x = laid_out(np.full((2, 6, 37, 5), value, np.float32), last)
    bias = np.arange(6, dtype=np.float32)
    y = native.group_norm(x, np.full(6, 2, np.float32), bias, 3)
    np.testing.assert_allclose(y, np.broadcast_to(bias.reshape(1, -1, 1, 1), x.shape), atol=1e-6 if value < 1e5 else 4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_its_group(value: float, last: bool) -> None:
    for place in (0, 500, 998):
        x = np.random.default_rng(5).normal(0, 1, (2, 4, 999)).astype(np.float32)
        x[1, 2, place] = value
        y = native.group_norm(laid_out(x, last), groups=2)
        torch_says = F.group_norm(torch.from_numpy(x), 2).numpy()
        assert np.isnan(torch_says[1, 2:]).all() and not np.isnan(torch_says[:, :2]).any()
        np.testing.assert_array_equal(np.isnan(y), np.isnan(torch_says))


def test_without_numbers_and_with_the_smallest(last: bool) -> None:
    for shape in ((0, 4, 5, 6), (2, 4, 0), (0, 4), (2, 0, 3)):
        y = native.group_norm(np.zeros(shape, np.float32), groups=2)
        assert y.shape == shape and y.dtype == np.float32
    assert native.group_norm(np.full((1, 1), 7.0), bias=np.array([2.0])) == 2
    x = np.random.default_rng(6).normal(0, 1, (3, 6)).astype(np.float32)
    check(x, 2)


def test_layouts_come_back_and_others_are_copied() -> None:
    x = np.random.default_rng(7).normal(0, 1, (2, 6, 4, 5, 3)).astype(np.float32)
    y = native.group_norm(x, groups=3)
    assert y.flags.c_contiguous and y.flags.writeable
    z = native.group_norm(laid_out(x, True), groups=3)
    assert np.moveaxis(z, 1, -1).flags.c_contiguous
    np.testing.assert_allclose(y, z, atol=1e-6)
    big = np.repeat(x, 2, axis=4)
    assert (native.group_norm(big[..., ::2], groups=3) == y).all()
    assert (native.group_norm(x.astype(">f4"), groups=3) == y).all()
    x.flags.writeable = False
    assert (native.group_norm(x, groups=3) == y).all()


@pytest.mark.parametrize("channels_last", [False, True])
def test_capsules_of_torch(channels_last: bool) -> None:
    x = torch.randn(2, 12, 9, 11, generator=torch.Generator().manual_seed(8))
    x = x.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    weight, bias = torch.rand(12), torch.rand(12)
    numbers = [torch._C._to_dlpack(t) for t in (x, weight, bias)]
    y = torch._C._from_dlpack(_core.group_norm_f32(*numbers, 4, 1e-5, "silu", 0.0, ""))
    assert y.stride() == x.stride()
    torch.testing.assert_close(y, F.silu(F.group_norm(x, 4, weight, bias)), rtol=1e-5, atol=1e-5)


def test_refusals() -> None:
    x = np.ones((2, 6, 5), np.float32)
    for error, text, arguments in [
        (errors.RankError, r"x has shape (6,), without an axis of channels; make it (batch, channels, ...)",
         {"x": x[0, :, 0]}),
        (errors.DtypeError, "x has dtype int64; group_norm computes float32 and float64: pass x.astype(float)",
         {"x": np.ones((2, 6), np.int64)}),
        (errors.ChannelError, "6 channels do not fall into 4 groups; choose a divisor of 6", {"groups": 4}),
        (errors.ChannelError, "6 channels do not fall into 0 groups; choose a divisor of 6", {"groups": 0}),
        (errors.TconvError, "eps -1.0 must be at least 0: it keeps the square root away from 0", {"eps": -1.0}),
        (errors.BiasError, "weight has shape (5,); it needs one value per channel: (6,)", {"weight": x[0, 0]}),
        (errors.DtypeError, "bias has dtype float64 but x has float32; pass bias.astype('float32')",
         {"bias": np.ones(6)}),
        (ValueError, "unknown activation elu", {"activation": "elu"}),
    ]:  # fmt: skip
        with pytest.raises(error) as raised:
            native.group_norm(**{"x": x, **arguments})
        assert str(raised.value) == text


def test_the_core_refuses_what_would_break_memory() -> None:
    x, six = np.ones((2, 6, 5), np.float32), np.ones(6, np.float32)
    for arguments, text in [
        ((x[0, 0], None, None, 1), "no axis of channels"),
        ((x[:, :, ::2], None, None, 1), "the input is neither dense channels-first nor dense channels-last"),
        ((x, None, None, 4), "groups"),
        ((x, None, None, 0), "groups"),
        ((x, six[:5], None, 1), "not one value per channel"),
        ((x, None, np.ones(12, np.float32)[::2], 1), "not one value per channel"),
    ]:
        with pytest.raises(ValueError, match=f"^{text}$"):
            _core.group_norm_f32(*arguments, 1e-5, "", 0.0, "")
    with pytest.raises(ValueError, match=r"^unknown or unsupported backend$"):
        _core.group_norm_f32(x, None, None, 1, 1e-5, "", 0.0, "abacus")
    with pytest.raises(TypeError):
        _core.group_norm_f64(x, None, None, 1, 1e-5, "", 0.0, "")
