"""Winograd's algorithm in half precision: larger tiles, whose errors are small beside the one rounding of a result."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tconv
from tconv import native
from tconv.forms import FORMS
from tconv.geometry import Geometry
from tconv.layer import prepare_lent

Array = np.ndarray[Any, Any]

EPS = {ml_dtypes.bfloat16: 2.0**-8, np.float16: 2.0**-11}  # half the distance of neighbours, relative
DTYPES = list(EPS)
# Relative to the largest output; the definition's own in single precision are a tenth of it.
ERRORS = 3e-5
# Where transformed weights are of float16.
ERRORS_OF_FEW_BITS = 3e-3

# kernel, stride, crops: two or three taps per phase; borders cropped, whole and extended
AXES = [
    (3, 1, (1, 1)),
    (3, 1, (-3, -2)),
    (4, 2, (1, 1)),
    (5, 2, (2, 1)),
    (6, 2, (2, 2)),
    (9, 3, (5, 4)),
]


def last(array: Array) -> Array:
    """The same values, channels-last in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def make(
    axes: list[tuple[int, int, tuple[int, int]]],
    dtype: Any,
    size: tuple[int, ...] = (36, 40),
    channels: tuple[int, int] = (33, 50),
    groups: int = 1,
) -> tuple[Array, Array, Array, Geometry]:
    rng = np.random.default_rng(0)
    kernel, stride, crops = zip(*axes, strict=True)
    weight = rng.standard_normal((channels[0] * groups, channels[1], *kernel)).astype(dtype)
    x = rng.standard_normal((2, channels[0] * groups, *size)).astype(dtype)
    bias = rng.standard_normal(channels[1] * groups).astype(dtype)
    return last(x), weight, bias, Geometry(kernel, stride, 1, crops)


def way(dtype: Any) -> str:
    """In tiles, AMX computes so many more products than there are of floats that none is worth saving."""
    return "cells" if native.active() == "amxbf16" and dtype == ml_dtypes.bfloat16 else "winograd_6x6"


def check(x: Array, weight: Array, bias: Array, geometry: Geometry, groups: int = 1) -> None:
    layer = tconv.prepare(weight, bias, geometry, groups, "relu", winograd=True)
    assert layer.plan(x.shape, channels_last=True).way == way(x.dtype)
    exact = FORMS["taps"](geometry, *(a.astype(np.float64) for a in (x, weight, bias)), groups)
    y, scale = layer(x), np.abs(exact).max()
    assert y.dtype == x.dtype
    exact = np.maximum(exact, 0)
    assert (np.abs(y.astype(np.float64) - exact) <= EPS[x.dtype.type] * exact + ERRORS * scale).all()


@pytest.fixture(params=[name for name in native.backends() if name != "reference"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCONV_BACKEND", request.param)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_a_result_is_rounded_once(axis: tuple[int, int, tuple[int, int]], dtype: Any) -> None:
    check(*make([axis, (3, 1, (1, 1))], dtype))
    check(*make([(3, 1, (0, 2)), axis], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_groups_volumes_and_long_sums(dtype: Any) -> None:
    check(*make([(3, 1, (1, 1)), (3, 1, (1, 1))], dtype, (40, 40), (40, 20), groups=2), 2)
    check(*make([(3, 2, (1, 0)), (3, 1, (1, 1)), (3, 1, (1, 1))], dtype, (3, 24, 22)))
    check(*make([(3, 1, (1, 1)), (3, 1, (1, 1))], dtype, (24, 24), (1100, 17)))


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e12])
def test_weights_that_would_be_too_large_are_kept_in_float16(scale: float) -> None:
    """Where a layer lends its weights, which has room for them so; of any size."""
    rng = np.random.default_rng(0)
    weight = (rng.standard_normal((512, 512, 3, 3)) * scale).astype(ml_dtypes.bfloat16)
    x = last(rng.standard_normal((1, 512, 24, 24)).astype(ml_dtypes.bfloat16))
    layer = prepare_lent(weight, None, Geometry((3, 3), 1, 1, [(1, 1), (1, 1)]), winograd=True)
    assert layer.plan(x.shape, channels_last=True).way == way(x.dtype)
    y = layer.computed(x, None, lambda: (weight, None), native.OWN).astype(np.float64)
    exact = FORMS["taps"](layer.geometry, x.astype(np.float64), weight.astype(np.float64), None, 1)
    assert np.abs(y - exact).max() <= (EPS[ml_dtypes.bfloat16] + ERRORS_OF_FEW_BITS) * np.abs(exact).max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_where_it_belongs(dtype: Any, value: float) -> None:
    x, weight, bias, geometry = make([(3, 1, (1, 1))] * 2, dtype)
    weight = np.abs(weight)
    x[0, 3, 8, 7] = value
    layers = [tconv.prepare(weight, bias, geometry, 1, "relu", winograd=w) for w in (True, False)]
    winograd, direct = (layer(x).astype(np.float64) for layer in layers)
    np.testing.assert_array_equal(winograd, direct)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_depend_on_neither_threads_nor_batch(dtype: Any) -> None:
    x, weight, bias, geometry = make([(3, 1, (1, 1))] * 2, dtype)
    layer = tconv.prepare(weight, bias, geometry, 1, "silu", winograd=True)
    expected, before = layer(x), native.num_threads()
    try:
        for threads in (1, 2, 3):
            native.set_num_threads(threads)
            np.testing.assert_array_equal(layer(x), expected)
            np.testing.assert_array_equal(layer(x[1:]), expected[1:])
    finally:
        native.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_writes_into_a_part_of_the_channels(dtype: Any) -> None:
    x, weight, bias, geometry = make([(4, 2, (1, 1)), (3, 1, (1, 1))], dtype)
    layer = tconv.prepare(weight, bias, geometry, 1, "tanh", winograd=True)
    whole = last(np.full((2, 80, 72, 40), 7, dtype))
    layer(x, whole[:, 20:70])
    np.testing.assert_array_equal(whole[:, 20:70], layer(x))
    assert (whole[:, :20] == 7).all() and (whole[:, 70:] == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_scratch_memory_is_reported_and_bounded(dtype: Any) -> None:
    _, weight, bias, geometry = make([(3, 1, (1, 1))] * 2, dtype, channels=(64, 64))
    layer = tconv.prepare(weight, bias, geometry, winograd=True)
    plans = [layer.plan((n, 64, size, size), channels_last=True) for n, size in ((1, 200), (9, 2000))]
    for plan in plans:
        assert plan.workspace_bytes is not None and 0 < plan.workspace_bytes < 2**21
