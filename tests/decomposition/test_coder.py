"""The sparse coder: at the optimum, within its gap, for every kind of problem; and what was planted is found."""

from __future__ import annotations

import signal
import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from decomposition.problems import Array, kernels, matrix, objective, optimum

from tconv.decomposition import ConvSparseCoder
from tconv.decomposition.frame import frame

CASES = [
    ((4, 1, 5), (40,), 1),
    ((3, 2, 6), (31,), 3),
    ((3, 1, 3, 3), (9, 8), 1),
    ((4, 2, 4, 3), (10, 9), 2),
    ((2, 3, 3, 5), (8, 11), (2, 3)),
    ((2, 1, 2, 3, 3), (4, 5, 4), 1),
]
EACH = pytest.mark.parametrize(("shape", "size", "stride"), CASES)
SOLVER = pytest.mark.parametrize("solver", ["descent", "fista"])


def made(shape: Any, size: Any, stride: Any, border: str = "cropped") -> tuple[Array, Array, Array]:
    """Kernels, an image of planted atoms and noise, and the synthesis as a matrix."""
    d = kernels(*shape)
    where = frame(size, shape[2:], stride, border)
    rng = np.random.default_rng(4)
    a = matrix(d, size, where.places, where.geometry.stride, tuple(low for low, _ in where.geometry.crop))
    z = (rng.random(a.shape[1]) < 0.05) * rng.standard_normal(a.shape[1])
    s = a @ z + 0.05 * rng.standard_normal(len(a))
    return d, s.reshape(1, shape[1], *size), a


@EACH
@SOLVER
@pytest.mark.parametrize("positive", [False, True])
def test_the_lasso_of_an_independent_solver(shape: Any, size: Any, stride: Any, solver: str, positive: bool) -> None:
    d, s, a = made(shape, size, stride)
    coder = ConvSparseCoder(d, 0.1, stride=stride, positive=positive, solver=solver, tol=1e-8, max_iter=20_000)
    z = coder.transform(s)
    _, best = optimum(a, s, 0.1, positive=positive)
    assert objective(a, s, z, 0.1) == pytest.approx(best, rel=1e-7)
    assert coder.objective_ == pytest.approx(objective(a, s, z, 0.1), rel=1e-12)
    assert coder.converged_ and not coder.interrupted_ and 0 <= coder.dual_gap_ <= 1e-8 * best
    assert not positive or (z >= 0).all()


@EACH
@SOLVER
def test_conditions_of_the_optimum(shape: Any, size: Any, stride: Any, solver: str) -> None:
    d, s, a = made(shape, size, stride)
    z = ConvSparseCoder(d, 0.1, stride=stride, solver=solver, tol=1e-10, max_iter=50_000).transform(s).ravel()
    slope = a.T @ (a @ z - s.ravel())
    assert np.abs(slope[z == 0]).max() <= 0.1 + 1e-5
    assert np.abs(slope[z != 0] + 0.1 * np.sign(z[z != 0])).max() <= 1e-5


@EACH
@pytest.mark.parametrize("solver", ["descent", "fista"])
def test_missing_pixels_and_weights(shape: Any, size: Any, stride: Any, solver: str) -> None:
    d, s, a = made(shape, size, stride)
    rng = np.random.default_rng(6)
    for w in (rng.random(s.shape) < 0.7, rng.random(s.shape) * (rng.random(s.shape) < 0.8)):
        coder = ConvSparseCoder(d, 0.05, stride=stride, solver=solver, tol=1e-7, max_iter=20_000)
        z = coder.transform(np.where(w > 0, s, np.nan), mask=w)
        _, best = optimum(a, s, 0.05, w.astype(float))
        assert objective(a, s, z, 0.05, w.ravel()) == pytest.approx(best, rel=1e-6)
        assert coder.objective_ == pytest.approx(best, rel=1e-6)


def test_atoms_inside() -> None:
    d, s, a = made((3, 1, 3, 3), (9, 8), 1, "inside")
    coder = ConvSparseCoder(d, 0.1, border="inside", tol=1e-8)
    assert objective(a, s, coder.transform(s), 0.1) == pytest.approx(optimum(a, s, 0.1)[1], rel=1e-7)


@EACH
@SOLVER
def test_single_precision(shape: Any, size: Any, stride: Any, solver: str) -> None:
    d, s, a = made(shape, size, stride)
    coder = ConvSparseCoder(d, 0.1, stride=stride, solver=solver, tol=1e-5)
    z = coder.transform(s.astype(np.float32))
    assert z.dtype == np.float32
    assert objective(a, s, z, 0.1) == pytest.approx(optimum(a, s, 0.1)[1], rel=2e-5)


@SOLVER
def test_the_gap_bounds_the_distance_from_the_optimum(solver: str) -> None:
    d, s, a = made((4, 2, 4, 3), (10, 9), 2)
    _, best = optimum(a, s, 0.02)
    for limit in (1, 3, 10, 30, 100):
        coder = ConvSparseCoder(d, 0.02, stride=2, solver=solver, tol=0, max_iter=limit)
        value = objective(a, s, coder.transform(s), 0.02)
        assert best - 1e-9 <= value <= best + coder.dual_gap_ + 1e-9
        assert coder.n_iter_ <= limit


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("limit", [1, 2, 5, 10, 20, 40, 80])
def test_the_objective_never_rises(dtype: Any, limit: int) -> None:
    """The same path, ended ever later, for coordinates; every step, for proximal gradients."""
    from tconv.decomposition.coding import Coding
    from tconv.decomposition.descent import descend
    from tconv.decomposition.fista import fista

    d, s, _ = made((6, 1, 5, 5), (24, 30), 1)
    where = frame((24, 30), (5, 5))
    slack = 1e-6 if dtype == np.float32 else 1e-13
    for solve in (descend, fista):
        coding = Coding(s.astype(dtype), None, where, d.astype(dtype), False)
        found = solve(coding, 0.02, 0.0, limit).objectives
        assert all(after <= before * (1 + slack) for before, after in pairwise(found))
    assert len(found) > 1


def test_both_solvers_agree_on_a_picture() -> None:
    from skimage import data

    from tconv.decomposition import split

    rest, _ = split(data.camera()[100:164, 200:280][None, None].astype(np.float32) / 255)
    d = kernels(12, 1, 8, 8)
    values = [ConvSparseCoder(d, 0.05, solver=name, tol=1e-4) for name in ("descent", "fista")]
    codes = [coder.transform(rest) for coder in values]
    assert values[0].objective_ == pytest.approx(values[1].objective_, rel=2e-4)
    assert all(0 < np.count_nonzero(z) < 0.1 * z.size for z in codes)


def test_planted_codes_are_found() -> None:
    """Atoms far apart, of random kernels: each is found where it is, smaller by the penalty."""
    d = kernels(5, 1, 6, 6)
    z = np.zeros((1, 5, 45, 45))
    for n, (row, column) in enumerate((r, c) for r in (6, 20, 34) for c in (8, 22, 36)):
        z[0, n % 5, row, column] = 1 if n % 2 else -1
    coder = ConvSparseCoder(d, 0.05, tol=1e-8)
    found = coder.transform(coder.inverse_transform(z))
    assert np.array_equal(np.nonzero(found), np.nonzero(z))
    assert np.allclose(found[z != 0], 0.95 * z[z != 0], atol=1e-6)


def test_warm_start_is_where_it_was() -> None:
    d, s, _ = made((3, 1, 3, 3), (9, 8), 1)
    coder = ConvSparseCoder(d, 0.1, tol=1e-6)
    z = coder.transform(s)
    cold = coder.n_iter_
    again = coder.transform(s, codes=z)
    assert coder.n_iter_ == 0 < cold and np.array_equal(again, z)
    films = [s[0] + 0.01 * n for n in range(2)]
    listed = coder.transform(films, codes=[z[0], z[0]])
    assert len(listed) == 2 and listed[0].shape == z.shape[1:]


def test_lists_of_images_of_any_size() -> None:
    d = kernels(3, 2, 3, 3)
    rng = np.random.default_rng(0)
    images = [rng.standard_normal((2, 8, 9)), rng.standard_normal((2, 5, 12))]
    coder = ConvSparseCoder(d, 0.5)
    codes = coder.transform(images, mask=[np.ones((2, 8, 9), bool), np.ones((1, 5, 12), bool)])
    assert [one.shape for one in codes] == [(3, 10, 11), (3, 7, 14)]
    alone = [coder.transform(one[None])[0] for one in images]
    assert all(np.array_equal(one, other) for one, other in zip(codes, alone, strict=True))
    assert [one.shape for one in coder.inverse_transform(codes)] == [(2, 8, 9), (2, 5, 12)]


def test_images_back_from_codes_of_any_stride() -> None:
    d = kernels(3, 1, 4)
    coder = ConvSparseCoder(d, 0.01, stride=3, tol=1e-6)
    for n in (10, 11, 12, 13):
        s = np.random.default_rng(n).standard_normal((1, 1, n))
        z = coder.transform(s)
        assert coder.inverse_transform(z).shape == s.shape == coder.inverse_transform(z, size=n).shape
    del coder.size_
    assert coder.inverse_transform(z).shape[2] >= 13


def test_nothing_given_is_written_to() -> None:
    d, s, _ = made((3, 1, 3, 3), (9, 8), 1)
    mask = np.random.default_rng(0).random(s.shape) < 0.8
    begin = np.zeros((1, 3, 11, 10))
    given = [array.copy() for array in (d, s, mask, begin)]
    for solver in ("descent", "fista"):
        for p in (1.0, 0.5):
            ConvSparseCoder(d, 0.1, solver=solver, p=p).transform(s, mask=mask, codes=begin)
    assert all(np.array_equal(one, two) for one, two in zip(given, (d, s, mask, begin), strict=True))


def test_integers_halves_and_foreign_layouts() -> None:
    d = kernels(3, 1, 3, 3)
    x = np.random.default_rng(0).integers(0, 9, (1, 1, 8, 9))
    coder = ConvSparseCoder(d, 1.0, tol=1e-8)
    wanted = coder.transform(x.astype(np.float64))
    assert np.allclose(coder.transform(x), wanted)
    assert np.allclose(coder.transform(x.astype(">f8")), wanted) and np.allclose(
        coder.transform(np.asfortranarray(x.astype(np.float64))), wanted
    )
    assert coder.transform(x.astype(np.float16)).dtype == np.float32


def test_an_interrupt_keeps_what_is_there() -> None:
    d = kernels(16, 1, 8, 8)
    s = np.random.default_rng(0).standard_normal((1, 1, 200, 200))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins with it ignored
    for solver in ("descent", "fista"):
        coder = ConvSparseCoder(d, 0.01, solver=solver, tol=0, max_iter=10**6)
        timer = threading.Timer(1.0, signal.raise_signal, [signal.SIGINT])
        timer.start()
        z = coder.transform(s)
        timer.join()
        assert coder.interrupted_ and not coder.converged_ and z.shape == (1, 16, 207, 207)
        rest = s - coder.inverse_transform(z)
        assert coder.objective_ == pytest.approx((rest * rest).sum() / 2 + 0.01 * np.abs(z).sum(), rel=1e-9)
        assert coder.objective_ <= (s * s).sum() / 2 * (1 + 1e-12)


@pytest.mark.parametrize("p", [0.5, 2 / 3, 0.9])
def test_powers_below_one(p: float) -> None:
    """A proximal step finds the lowest point of its problem in one number; the objective never rises at the end."""
    from tconv.decomposition.coding import Coding
    from tconv.decomposition.powers import proximal, shrink_by_power

    v = np.linspace(-3, 3, 601)
    grid = np.linspace(-3, 3, 60_001)
    for penalty in (0.1, 0.7):
        found = proximal(v, penalty, p)
        values = (found - v) ** 2 / 2 + penalty * np.abs(found) ** p
        best = [((grid - one) ** 2 / 2 + penalty * np.abs(grid) ** p).min() for one in v]
        assert np.allclose(values, best, atol=1e-6)
        assert np.array_equal(proximal(v, penalty, p, positive=True), np.where(v > 0, found, 0))
    d, s, _ = made((4, 1, 5, 5), (20, 22), 1)
    coding = Coding(s, None, frame((20, 22), (5, 5)), d, False)
    outcome = shrink_by_power(coding, 0.05, p, 1e-6, 500)
    found = outcome.objectives
    assert len(found) > 1 and all(after <= before * (1 + 1e-12) for before, after in pairwise(found))
    coder = ConvSparseCoder(d, 0.05, p=p)
    z = coder.transform(s)
    rest = s - coder.inverse_transform(z)
    assert coder.objective_ == pytest.approx((rest * rest).sum() / 2 + 0.05 * (np.abs(z) ** p).sum(), rel=1e-9)
    assert np.isnan(coder.dual_gap_)
    assert coder.objective_ < (s * s).sum() / 2


def test_a_lower_power_takes_fewer_and_larger_atoms() -> None:
    d = kernels(4, 1, 5, 5)
    z = np.zeros((1, 4, 44, 44))
    rng = np.random.default_rng(1)
    z.reshape(-1)[rng.choice(z.size, 60, replace=False)] = rng.choice([-1, 1], 60)
    convex = ConvSparseCoder(d, 0.02, tol=1e-6)
    s = convex.inverse_transform(z)
    first = convex.transform(s)
    lower = ConvSparseCoder(d, 0.02, p=0.5, tol=1e-6).transform(s)
    counts = [np.count_nonzero(np.abs(one) > 1e-3) for one in (first, lower)]
    sizes = [np.abs(one[np.abs(one) > 0.5]).mean() for one in (first, lower)]
    assert 50 <= counts[1] < counts[0] and sizes[1] > sizes[0]
