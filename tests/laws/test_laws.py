"""What makes it a transposed convolution: laws that hold for every geometry, and tell implementations apart."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES, IDS, Case

from tconv import Geometry, native, prepare
from tconv.forms import adjoint

NOT_EMPTY = [case for case in CASES if case.batch]
NAMES = [case.name for case in NOT_EMPTY]


def apply(case: Case, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return prepare(w, None, case.geometry, case.groups)(x)


@pytest.mark.parametrize("case", NOT_EMPTY, ids=NAMES)
def test_adjoint_of_the_forward_convolution(case: Case) -> None:
    """<C z, x> = <z, C^T x>, exactly, on integers."""
    x, w, _ = case.arrays(np.float64)
    y = apply(case, x, w)
    z = np.random.default_rng(2).integers(-4, 5, y.shape).astype(np.float64)
    grouped = (case.groups, -1)
    forward = adjoint.forward(
        case.geometry,
        z.reshape(case.batch, *grouped, *z.shape[2:]),
        w.reshape(*grouped, *w.shape[1:]),
        case.in_size,
    ).reshape(x.shape)
    assert (forward * x).sum() == (z * y).sum()


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_linear_in_the_input_and_in_the_weight(case: Case) -> None:
    x, w, _ = case.arrays(np.float64)
    u, v, _ = case.arrays(np.float64, seed=3)
    assert (apply(case, 2 * x - 3 * u, w) == 2 * apply(case, x, w) - 3 * apply(case, u, w)).all()
    assert (apply(case, x, 2 * w - 3 * v) == 2 * apply(case, x, w) - 3 * apply(case, x, v)).all()


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_shifting_the_input_by_one_shifts_the_canvas_by_the_stride(case: Case) -> None:
    uncropped = Geometry(case.geometry.kernel, case.geometry.stride, case.geometry.dilation)
    x, w, _ = case.arrays(np.float64)
    y = prepare(w, None, uncropped, case.groups)(x)
    moved = np.pad(x, [(0, 0), (0, 0)] + [(1, 0)] * uncropped.ndim)
    expected = np.pad(y, [(0, 0), (0, 0)] + [(stride, 0) for stride in uncropped.stride])
    assert (prepare(w, None, uncropped, case.groups)(moved) == expected).all()


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_crop_is_a_window_of_the_canvas(case: Case) -> None:
    """Cropped cells do not depend on the crop; cells beyond the canvas hold exactly the bias."""
    wide = [(lo - 3, hi - 4) for lo, hi in case.geometry.crop]
    extended = Geometry(case.geometry.kernel, case.geometry.stride, case.geometry.dilation, wide)
    x, w, b = case.arrays(np.float32)
    y = prepare(w, b, extended, case.groups)(x)
    inside = (..., *[slice(3, -4)] * extended.ndim)
    assert (y[inside] == prepare(w, b, case.geometry, case.groups)(x)).all()


@pytest.mark.parametrize("case", NOT_EMPTY, ids=NAMES)
def test_ones_count_the_pairs(case: Case) -> None:
    """An input and a kernel of ones give the coverage; its holes hold exactly the bias."""
    x, w, b = case.arrays(np.float64)
    y = prepare(np.ones_like(w), b, case.geometry, case.groups)(np.ones_like(x))
    counts = case.geometry.coverage(case.in_size)
    expected = np.array([counts.count_at(o) for o in np.ndindex(y.shape[2:])]).reshape(y.shape[2:])
    each = case.in_channels // case.groups
    assert (y == expected * each + b.reshape(-1, *[1] * case.geometry.ndim)).all()
    assert counts.hole_count == (expected == 0).sum()


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_batches_and_channels_are_independent(case: Case) -> None:
    x, w, b = case.arrays(np.float32)
    y = prepare(w, b, case.geometry, case.groups)(x)
    for n in range(case.batch):
        assert (prepare(w, b, case.geometry, case.groups)(x[n : n + 1]) == y[n : n + 1]).all()


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_bits_do_not_depend_on_threads_or_repetition(case: Case) -> None:
    rng = np.random.default_rng(4)
    x, w, b = (rng.standard_normal(a.shape).astype(np.float32) for a in case.arrays())
    layer = prepare(w, b, case.geometry, case.groups)
    results = []
    for threads in (1, 2, 3, 0):
        native.set_num_threads(threads)
        results.append(layer(x).tobytes())
    assert len(set(results)) == 1
