"""All forms, and the compiled core, are the same function."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from cases import CASES, IDS, Case
from hypothesis import given, settings
from hypothesis import strategies as st

from tconv import Geometry, errors, native
from tconv.forms import FORMS, adjoint, col2im, matrix, zero_insert

ALL = {**FORMS, "native": native.run}

X, W = np.array([[[2, 3], [1, 3]]]), np.array([[[[0, 1, 1], [0, 1, 0], [1, 0, 1]]]])
SQUARE = np.array([[0, 1], [2, 3]])

WORKED = [
    ("stamp", X[0], W[0, 0], 1, 0, [[0, 2, 5, 3], [0, 3, 7, 3], [2, 4, 5, 3], [1, 3, 1, 3]]),
    ("2x2 by 2x2", SQUARE, SQUARE, 1, 0, [[0, 0, 1], [0, 4, 6], [4, 12, 9]]),
    ("padding crops the output", SQUARE, SQUARE, 1, 1, [[4]]),
    ("stride spreads the output", SQUARE, SQUARE, 2, 0, [[0, 0, 0, 1], [0, 0, 2, 3], [0, 2, 0, 3], [4, 6, 6, 9]]),
]


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize(("name", "x", "w", "stride", "padding", "y"), WORKED, ids=[row[0] for row in WORKED])
def test_worked_values(form: str, name: str, x: Any, w: Any, stride: int, padding: int, y: Any) -> None:
    geometry = Geometry.from_torch(w.shape, stride, padding)
    x, w = (np.asarray(a, np.float64 if form == "native" else np.int64) for a in (x, w))
    assert ALL[form](geometry, x[None, None], w[None, None]).tolist() == [[y]]


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_agree_exactly_on_integers(form: str, case: Case) -> None:
    x, w, b = case.arrays(np.float32 if form == "native" else np.int64)
    y = ALL[form](case.geometry, x, w, b, case.groups)
    expected = FORMS["gather"](case.geometry, *case.arrays(), case.groups)
    assert y.dtype == x.dtype and y.shape == expected.shape == (
        case.batch,
        case.out_channels,
        *case.geometry.output_size(case.in_size),
    )
    assert (y == expected).all()


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_agree_in_float64(form: str, case: Case) -> None:
    rng = np.random.default_rng(1)
    x, w, b = (rng.standard_normal(a.shape) for a in case.arrays())
    expected = FORMS["gather"](case.geometry, x, w, b, case.groups)
    np.testing.assert_allclose(ALL[form](case.geometry, x, w, b, case.groups), expected, rtol=1e-12, atol=1e-12)


@st.composite
def drawn_cases(draw: st.DrawFn) -> Case:
    """Any geometry whose output is not empty."""
    ndim = draw(st.integers(1, 3))
    per_axis = lambda low, high: draw(st.tuples(*[st.integers(low, high)] * ndim))  # noqa: E731  # a def would hide that it is one strategy
    kernel, stride, dilation, in_size = per_axis(1, 4), per_axis(1, 3), per_axis(1, 3), per_axis(1, 3)
    full = Geometry(kernel, stride, dilation).full_size(in_size)
    crop = []
    for n in full:
        lo = draw(st.integers(-2, n + 1))
        crop.append((lo, draw(st.integers(-2 - max(lo - n + 1, 0), n - lo - 1)) if n - lo - 1 >= -2 else n - lo - 1))
    groups = draw(st.integers(1, 2))
    channels = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    return Case(
        "drawn",
        Geometry(kernel, stride, dilation, tuple(crop)),
        in_size,
        draw(st.integers(0, 2)),
        groups * channels[0],
        groups * channels[1],
        groups,
    )


@settings(max_examples=150, deadline=None)
@given(drawn_cases(), st.integers(0, 2**32))
def test_agree_on_drawn_geometries(case: Case, seed: int) -> None:
    x, w, b = case.arrays(seed=seed)
    expected = FORMS["gather"](case.geometry, x, w, b, case.groups)
    for name, form in FORMS.items():
        assert (form(case.geometry, x, w, b, case.groups) == expected).all(), name
    for dtype in (np.float32, np.float64):
        x, w, b = case.arrays(dtype, seed)
        assert (native.run(case.geometry, x, w, b, case.groups) == expected).all()


@pytest.mark.parametrize("form", FORMS)
def test_every_dtype_that_numpy_multiplies(form: str) -> None:
    case = Case("dtypes", Geometry.from_torch((3, 2), 2, 1, 1), (2, 3), 2, 2, 2)
    expected = FORMS["gather"](case.geometry, *case.arrays())
    for dtype in (np.int8, np.uint16, np.float16, np.longdouble, np.complex64, np.clongdouble):
        x, w, b = case.arrays(dtype)
        y = FORMS[form](case.geometry, x, w, b)
        assert y.dtype == dtype
        assert (y == expected.astype(dtype)).all()
    thirds = [np.vectorize(lambda v: Fraction(int(v), 3), otypes=[object])(a) for a in case.arrays()]
    assert (FORMS[form](case.geometry, *thirds[:2]) == FORMS["gather"](case.geometry, *thirds[:2])).all()
    either = FORMS[form](case.geometry, *(a > 0 for a in case.arrays()[:2]))
    assert (
        either.dtype == bool and (either == FORMS["gather"](case.geometry, *(a > 0 for a in case.arrays()[:2]))).all()
    )


@pytest.mark.parametrize("form", ALL)
def test_without_a_batch(form: str) -> None:
    x, w, b = Case("", Geometry((2, 2), 2), (2, 3), 1, 2, 3).arrays(np.float64)
    geometry = Geometry((2, 2), 2)
    assert (ALL[form](geometry, x[0], w, b) == ALL[form](geometry, x, w, b)[0]).all()


def test_only_true_pairs_are_multiplied() -> None:
    """NaN and Inf reach the cells that the definition says, in the forms that multiply nothing else."""
    geometry = Geometry.from_torch((3, 3), 2, 1, 1)
    x, w = np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3))
    x[0, 0, 1, 1], w[0, 0, 0, 2] = np.nan, np.inf
    reached = FORMS["gather"](geometry, x, w)
    for name in ("scatter", "taps", "col2im", "phases"):
        np.testing.assert_array_equal(FORMS[name](geometry, x, w), reached)
    assert np.isnan(reached).sum() == 9 and np.isinf(reached).sum() == 2


def test_matrix_is_the_worked_one() -> None:
    rows = [
        [0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1],
    ]
    geometry = Geometry((3, 3))
    assert matrix.dense(geometry, (2, 2), W).T.tolist() == rows
    assert matrix.sparse(geometry, (2, 2), W).toarray().T.tolist() == rows
    forward_input = np.array([[1, 0, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 0, 0]])
    assert adjoint.forward(geometry, forward_input[None, None, None], W[None], (2, 2)).tolist() == [[[X[0].tolist()]]]


@pytest.mark.parametrize("case", [case for case in CASES if case.batch == 1], ids=lambda case: case.name)
def test_dense_and_sparse_matrix(case: Case) -> None:
    x, w, _ = case.arrays()
    dense = matrix.dense(case.geometry, case.in_size, w, case.groups)
    assert (matrix.sparse(case.geometry, case.in_size, w, case.groups).toarray() == dense).all()
    expected = FORMS["gather"](case.geometry, x, w, groups=case.groups)
    assert (dense @ x.ravel() == expected.ravel()).all()


def test_intermediate_steps_have_the_sizes_that_geometry_says() -> None:
    geometry = Geometry.from_torch((3,), 2, 1)
    x = np.array([[[[1, 2, 3]]]])
    spread = zero_insert.insert_zeros(geometry, x)
    assert spread.tolist() == [[[[1, 0, 2, 0, 3]]]]
    assert zero_insert.pad(geometry, spread).tolist() == [[[[0, 1, 0, 2, 0, 3, 0]]]]
    assert zero_insert.flip(np.array([[[[1, 2, 3]]]])).tolist() == [[[[3, 2, 1]]]]
    assert col2im.columns(x, np.array([[[[1, 10, 100]]]])).tolist() == [[[[[1, 2, 3], [10, 20, 30], [100, 200, 300]]]]]


def test_contract_judges_the_arrays() -> None:
    with pytest.raises(errors.KernelError, match=r"weight \(1, 1, 3, 3\) does not have the geometry's kernel \(2, 2\)"):
        FORMS["scatter"](Geometry((2, 2)), X[None], W)
    with pytest.raises(errors.DtypeError, match="input has dtype float64 but the weight has int64"):
        FORMS["phases"](Geometry((3, 3)), X[None].astype(float), W)
    with pytest.raises(errors.DtypeError, match="no arithmetic"):
        FORMS["taps"](Geometry((3, 3)), np.full((1, 1, 2, 2), "a"), W)
