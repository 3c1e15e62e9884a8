"""Random arguments: an answer that agrees with the definition, or a TconvError. Never a crash, a hang or a surprise."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tconv
from tconv import errors
from tconv.forms import FORMS
from tconv.functional import _geometry

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
        tconv.conv_transpose(x, w, **arguments)
    except errors.TconvError as error:
        assert str(error)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_nearly_valid_arguments(data: st.DataObject) -> None:
    """Small values only, so that most calls run; what runs agrees with the definition."""
    ndim = data.draw(st.integers(1, 3))
    per_axis = lambda low, high: data.draw(st.tuples(*[st.integers(low, high)] * ndim))  # noqa: E731
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
    geometry = _geometry(w.shape[2:], x.shape[2:], *arguments)
    assert (y == FORMS["gather"](geometry, x, w, groups=groups)).all()
