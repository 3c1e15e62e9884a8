"""Random arguments: an answer that agrees with the definition, or a TconvError. Never a crash, a hang or a surprise."""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tconv
from tconv import Geometry, errors
from tconv.forms import FORMS
from tconv.functional import geometry_of
from tconv.geometry import Axis

SIZES = st.one_of(st.integers(0, 4), st.integers(0, 4), st.sampled_from([-1, 7]))
HUGE = st.sampled_from([2**40, 2**62, 2**63, -(2**63), 2**200])
INT = st.one_of(st.integers(-1, 4), st.integers(1, 3), HUGE, st.sampled_from([2.0, True, None, "2", np.int8(2)]))
PER_AXIS = st.one_of(INT, st.lists(INT, max_size=4), st.tuples(INT, INT))
PADDING = st.one_of(PER_AXIS, st.lists(st.tuples(INT, INT), max_size=3), st.sampled_from(["same", "valid", "x"]))
DTYPES = st.sampled_from(["f4", "f4", "f8", "f2", "i1", "i8", "c8", ">f4", "?", "U1", "O"])


@st.composite
def arrays(draw: st.DrawFn, rank: st.SearchStrategy[int]) -> Any:
    shape = [max(draw(SIZES), 0) for _ in range(draw(rank))]
    return np.ones(shape, draw(DTYPES))


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_random_arguments(data: st.DataObject) -> None:
    x = data.draw(arrays(st.integers(0, 5)), "input")
    w = data.draw(arrays(st.integers(0, 5)), "weight")
    if data.draw(st.booleans()):
        w = np.ones(w.shape, x.dtype)
    arguments = {
        "bias": data.draw(st.one_of(st.none(), arrays(st.integers(0, 2)))),
        "stride": data.draw(st.one_of(st.just(2), PER_AXIS)),
        "padding": data.draw(st.one_of(st.just(0), PADDING)),
        "output_padding": data.draw(st.one_of(st.just(0), PER_AXIS)),
        "groups": data.draw(st.one_of(st.just(1), INT)),
        "dilation": data.draw(st.one_of(st.just(1), PER_AXIS)),
        "output_size": data.draw(st.one_of(st.none(), st.none(), PER_AXIS)),
    }
    try:
        y = tconv.conv_transpose(x, w, **arguments)
    except errors.TconvError as error:
        assert str(error)
        return
    if y.size > 500:  # the definition, in Python, would take too long
        return
    numbers = [arguments.get(name) for name in ("stride", "padding", "output_padding", "dilation", "output_size")]
    geometry = geometry_of(w.shape[2:], x.shape[-w.ndim + 2 :], *numbers)
    batched = x if x.ndim == w.ndim else x[None]
    expected = FORMS["gather"](geometry, batched, w, arguments["bias"], arguments["groups"])
    assert (y == expected.reshape(y.shape)).all()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_nearly_valid_arguments(data: st.DataObject) -> None:
    """Small values only, so that most calls run; what runs agrees with the definition."""
    ndim = data.draw(st.integers(1, 3))
    per_axis = lambda low, high: data.draw(st.tuples(*[st.integers(low, high)] * ndim))  # noqa: E731  # a def would hide that it is one strategy
    groups = data.draw(st.integers(1, 2))
    x = np.arange(groups * 2 * np.prod(size := per_axis(1, 3))).reshape(1, groups * 2, *size).astype("f4")
    w = np.ones((groups * 2, data.draw(st.integers(1, 3)), *per_axis(1, 4)), "f4")
    pairs = tuple(zip(per_axis(-2, 3), per_axis(-2, 3), strict=True))
    arguments = (per_axis(1, 3), pairs, per_axis(0, 2), per_axis(1, 3), None)
    stride, padding, output_padding, dilation, _ = arguments
    try:
        y = tconv.conv_transpose(x, w, None, stride, padding, output_padding, groups, dilation)
    except (errors.EmptyOutputError, errors.OutputPaddingError):
        return
    geometry = geometry_of(w.shape[2:], x.shape[2:], *arguments)
    assert (y == FORMS["gather"](geometry, x, w, groups=groups)).all()


NUMBERS = st.one_of(
    st.integers(1, 9),
    st.builds(lambda power, more: 2**power + more, st.integers(4, 61), st.integers(-2, 2)),
    st.sampled_from([10**6, 10**12 + 39, 10**18 + 9, 3**38]),
)


@st.composite
def axes(draw: st.DrawFn) -> tuple[Axis, int]:
    """An axis with numbers of any size, an input, and a window of some cells where a stamp is, or near it."""
    in_size, kernel = draw(st.integers(1, 20)), draw(st.integers(1, 4))
    whole = Axis(kernel, draw(NUMBERS), draw(NUMBERS))
    at = whole.stride * draw(st.integers(0, in_size - 1)) + whole.dilation * draw(st.integers(0, kernel - 1))
    at += draw(st.sampled_from([0, 0, 0, -3, 2, 2**45, -(2**45), -(2**60), 2**60]))
    first, cells = at - draw(st.integers(0, 6)), draw(st.integers(1, 9))
    return replace(whole, crop_lo=first, crop_hi=whole.full_size(in_size) - first - cells), in_size


@pytest.fixture
def time_limit() -> Iterator[None]:
    """A call that hangs in the core cannot be interrupted: the process ends, and says where it was."""
    faulthandler.dump_traceback_later(300, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.mark.usefixtures("time_limit")
@settings(max_examples=1500, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_huge_numbers(data: st.DataObject) -> None:
    """Strides, dilations and crops up to 2**61, on each axis, in each layout: the definition's numbers or a refusal."""
    drawn = data.draw(st.lists(axes(), min_size=1, max_size=3))
    geometry, size = Geometry.from_axes([axis for axis, _ in drawn]), tuple(n for _, n in drawn)
    groups, each, out_channels = data.draw(st.sampled_from([(1, 1, 1), (1, 2, 3), (2, 1, 1), (2, 2, 1), (1, 3, 20)]))
    rng = np.random.default_rng(0)
    dtype = data.draw(st.sampled_from(["f4", "f8", "i8"]))
    x = rng.integers(-4, 5, (data.draw(st.integers(1, 2)), groups * each, *size)).astype(dtype)
    w = rng.integers(-4, 5, (groups * each, out_channels, *geometry.kernel)).astype(dtype)
    b = rng.integers(-4, 5, groups * out_channels).astype(dtype)
    if data.draw(st.booleans()):
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    if data.draw(st.booleans()):
        x = x[..., ::-1].copy()[..., ::-1]
    activation = None if dtype == "i8" or data.draw(st.booleans()) else "relu"
    try:
        y = tconv.prepare(w, b, geometry, groups, activation)(x)
    except errors.SizeOverflowError:
        assert any(max(abs(a.crop_lo), abs(a.crop_hi), a.extent, a.full_size(n)) >= 2**62 for a, n in drawn)
        return
    expected = FORMS["taps"](geometry, x, w, b, groups)
    assert (y == (expected if activation is None else np.maximum(expected, 0))).all()
