"""The compiled core's lists of atoms, held to dense arrays."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from typing import Any

import numpy as np
import pytest
from decomposition.problems import Array, kernels, matrix

import tconv
from tconv import native
from tconv.decomposition.coding import Coding
from tconv.decomposition.frame import frame

CASES = [
    ((4, 1, 5), (40,), 1, 1),
    ((3, 2, 21), (300,), 3, 1),
    ((4, 1, 8, 8), (30, 41), 1, 2),
    ((3, 2, 5, 11), (47, 24), 2, 2),
    ((3, 1, 17, 4), (60, 18), 1, 1),
    ((2, 1, 3, 4, 5), (9, 8, 12), 1, 2),
]
EACH = pytest.mark.parametrize(("shape", "size", "stride", "images"), CASES)
BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def sparse(coding: Coding, seed: int = 3, share: float = 0.05) -> Array:
    """Codes of which a few are not zero."""
    rng = np.random.default_rng(seed)
    shape = (len(coding.images), len(coding.kernels), *coding.frame.places)
    return ((rng.random(shape) < share) * rng.standard_normal(shape)).astype(coding.images.dtype)


def problem(
    shape: Any, size: Any, stride: int, images: int, dtype: Any, masked: bool = False
) -> tuple[Coding, Array, Array]:
    """A coding, its synthesis as a matrix, and its weights."""
    rng = np.random.default_rng(2)
    where = frame(size, shape[2:], stride)
    d = kernels(*shape, dtype=dtype)
    x = rng.standard_normal((images, shape[1], *size)).astype(dtype)
    w = rng.choice([0, 0.5, 1], x.shape, p=[0.2, 0.2, 0.6]).astype(dtype)
    low = tuple(low for low, _ in where.geometry.crop)
    a = matrix(d, size, where.places, where.geometry.stride, low)
    return Coding(x, w if masked else None, where, d, False), a, w if masked else np.ones_like(w)


@EACH
@BOTH
@pytest.mark.parametrize("masked", [False, True])
def test_residual_of_codes(shape: Any, size: Any, stride: int, images: int, dtype: Any, masked: bool) -> None:
    coding, a, w = problem(shape, size, stride, images, dtype, masked)
    z = sparse(coding)
    coding.load(z)
    wanted = w * (coding.images - (z.reshape(images, -1) @ a.T).reshape(coding.images.shape))
    assert np.allclose(coding.rest, wanted, atol=1e-4 if dtype == np.float32 else 1e-12)
    outside = coding.atoms.residual.copy()
    outside[(slice(None), slice(None), *coding.frame.window)] = 0
    assert not outside.any()
    z *= (w.reshape(images, -1) @ a**2 > 0).reshape(z.shape)  # an atom over nothing that counts is left out
    assert np.array_equal(coding.codes(), z) and coding.atoms.count(False) == np.count_nonzero(z)
    assert coding.atoms.norm() == pytest.approx(np.abs(z.astype(np.float64)).sum())


@EACH
@BOTH
@pytest.mark.parametrize("masked", [False, True])
def test_a_sweep_lowers_the_objective_by_what_it_says(
    shape: Any, size: Any, stride: int, images: int, dtype: Any, masked: bool
) -> None:
    coding, _, _ = problem(shape, size, stride, images, dtype, masked)
    coding.screen(0.2)
    before = coding.objective(0.3)
    for again in (0, 2, 0):
        less = coding.atoms.descend(0.3, False, again)
        after = coding.objective(0.3)
        assert less > 0 and before - after == pytest.approx(less, rel=1e-3 if dtype == np.float32 else 1e-9)
        before = after
    rest = coding.rest.copy()
    coding.renew()
    assert np.allclose(rest, coding.rest, atol=1e-5 if dtype == np.float32 else 1e-13)


@EACH
def test_screen_finds_the_responses_above_the_threshold(shape: Any, size: Any, stride: int, images: int) -> None:
    coding, a, _ = problem(shape, size, stride, images, np.float64)
    z = sparse(coding, share=0.01)
    coding.load(z)
    responses = (coding.rest.reshape(images, -1) @ a).reshape(z.shape)
    peak = coding.screen(1.0)
    assert peak == pytest.approx(np.abs(responses).max())
    assert coding.atoms.count(True) == np.count_nonzero((np.abs(responses) > 1.0) | (z != 0))
    assert np.array_equal(coding.codes(), z)
    coding.positive = True
    coding.load(np.zeros_like(z))
    responses = (coding.images.reshape(images, -1) @ a).reshape(z.shape)
    assert coding.screen(1.0) == pytest.approx(responses.max())
    assert coding.atoms.count(True) == np.count_nonzero(responses > 1.0)


@EACH
@BOTH
def test_correlations_with_the_residual(shape: Any, size: Any, stride: int, images: int, dtype: Any) -> None:
    coding, _, _ = problem(shape, size, stride, images, dtype)
    z = sparse(coding)
    coding.load(z)
    rest, wanted = coding.atoms.residual, np.zeros(shape)
    for tap in product(*map(range, shape[2:])):
        under = tuple(slice(t, t + stride * (n - 1) + 1, stride) for t, n in zip(tap, coding.frame.places, strict=True))
        lies = rest[(slice(None), slice(None), *under)].reshape(images, shape[1], -1)
        wanted[(slice(None), slice(None), *tap)] = np.einsum("nkp,ncp->kc", z.reshape(images, shape[0], -1), lies)
    found = np.empty(shape, dtype)
    coding.atoms.correlate(found)
    assert np.allclose(found, wanted, atol=1e-3 if dtype == np.float32 else 1e-11)
    one = np.empty((1, *shape[1:]), dtype)
    coding.atoms.correlate(one, shape[0] - 1)
    assert np.allclose(one, found[-1:], atol=1e-4)


@EACH
@BOTH
def test_a_kernel_that_moves(shape: Any, size: Any, stride: int, images: int, dtype: Any) -> None:
    coding, _, _ = problem(shape, size, stride, images, dtype, masked=True)
    coding.load(sparse(coding))
    change = kernels(1, *shape[1:], seed=5, dtype=dtype)[0]
    coding.atoms.move(1, change)
    moved = coding.rest.copy()
    new = coding.kernels.copy()
    new[1] += change
    coding.use(new)
    assert np.allclose(moved, coding.rest, atol=1e-4 if dtype == np.float32 else 1e-12)


@EACH
def test_overlaps(shape: Any, size: Any, stride: int, images: int) -> None:
    coding, _, _ = problem(shape, size, stride, images, np.float64)
    z = sparse(coding, share=0.1)
    coding.load(z)
    reach = [(k - 1) // stride for k in shape[2:]]
    assert coding.atoms.lags == [2 * r + 1 for r in reach]
    found = np.ones((shape[0], shape[0], *coding.atoms.lags))
    coding.atoms.overlaps(found)
    padded = np.pad(z, [(0, 0), (0, 0), *((r, r) for r in reach)])
    for lag in product(*(range(2 * r + 1) for r in reach)):
        moved = padded[
            (slice(None), slice(None), *(slice(u, u + n) for u, n in zip(lag, coding.frame.places, strict=True)))
        ]
        wanted = np.einsum("nkp,njp->kj", z.reshape(images, shape[0], -1), moved.reshape(images, shape[0], -1))
        assert np.allclose(found[(slice(None), slice(None), *lag)], 1 + wanted)


def test_the_same_bits_with_any_number_of_threads() -> None:
    results = []
    try:
        for threads in (1, 2, 5):
            tconv.set_num_threads(threads)
            coding, _, _ = problem((6, 1, 8, 8), (90, 70), 1, 2, np.float32)
            coding.screen(0.1)
            for _ in range(3):
                coding.atoms.descend(0.2, False, 1)
            sums = np.empty((6, 1, 8, 8), np.float32)
            coding.atoms.correlate(sums)
            results.append((coding.codes(), coding.rest.copy(), sums))
    finally:
        tconv.set_num_threads(0)
    for other in results[1:]:
        assert all(np.array_equal(one, two) for one, two in zip(results[0], other, strict=True))


@pytest.mark.parametrize("backend", native.backends())
def test_backends_agree(backend: str) -> None:
    code = """if True:
        import numpy as np
        from decomposition.problems import kernels
        from tconv.decomposition import ConvSparseCoder
        x = np.random.default_rng(0).standard_normal((1, 2, 20, 31))
        for shape in ((3, 2, 4, 5), (3, 2, 3, 9), (2, 2, 2, 17)):
            for dtype in ("float32", "float64"):
                coder = ConvSparseCoder(kernels(*shape), alpha=0.3, tol=1e-5)
                coder.transform(x.astype(dtype))
                print(f"{coder.objective_:.3f}")
        """
    path = os.pathsep.join(sys.path)
    found = {
        name: subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"TCONV_BACKEND": name, "PYTHONPATH": path},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in (backend, "portable")
    }
    ours, portable = (np.array(text.split(), float) for text in found.values()) if len(found) > 1 else (np.ones(6),) * 2
    assert np.allclose(ours, portable, rtol=1e-4) and len(ours) == 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda atoms: atoms.screen(0, 1, np.zeros((2, 3, 6)), 1.0, False), "rows are not whole stripes"),
        (lambda atoms: atoms.screen(1, 0, np.zeros((2, 6, 6)), 1.0, False), "responses"),
        (lambda atoms: atoms.set(np.zeros((2, 1, 3, 4)), [0, 0, 0, 0]), "kernels"),
        (lambda atoms: atoms.set(np.zeros((2, 1, 3, 3)), [0, 99, 0, 0]), "plain"),
        (lambda atoms: atoms.correlate(np.zeros((2, 1, 3, 3)), 1), "kernels"),
        (lambda atoms: atoms.move(2, np.zeros((1, 3, 3))), "kernel"),
        (lambda atoms: atoms.overlaps(np.zeros((2, 2, 5, 4))), "sums"),
        (lambda atoms: atoms.read(np.zeros((1, 2, 6, 7))), "codes"),
        (lambda atoms: atoms.energy(-1), "kernel"),
    ],
)
def test_memory_is_safe(call: Any, message: str) -> None:
    atoms = native._core.CodesF64(1, 1, 2, [3, 3], [1, 1], [6, 6], native.active())
    with pytest.raises(ValueError, match=f"^{message}$"):
        call(atoms)


def test_sizes_that_nothing_can_have() -> None:
    for wrong in ([0, 1, 2, [3], [1], [6]], [1, 1, 2, [3], [1], [2**50]], [1, 1, 2, [3, 3], [1], [6]]):
        with pytest.raises(ValueError):
            native._core.CodesF64(*wrong, native.active())
