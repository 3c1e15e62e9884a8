"""`operator`: against the matrix, PyTorch and NumPy's linear algebra; and as SciPy's solvers use it."""

from __future__ import annotations

import copy
import pickle
import re
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, IDS, Case
from scipy.sparse.linalg import aslinearoperator, lsmr, svds

import tconv
from tconv import Geometry, errors
from tconv.forms import matrix as matrix_form
from tconv.linear import TransposedConvolution, operator

DTYPES = [np.float32, np.float64, np.complex64, np.complex128, np.int64]
STAMP = np.array([[[[0, 1, 1], [0, 1, 0], [1, 0, 1]]]])


def made(case: Case, dtype: Any = np.int64) -> TransposedConvolution:
    """The operator of a case; complex weights with an imaginary part."""
    weight = case.arrays(dtype)[1]
    if np.issubdtype(dtype, np.complexfloating):
        weight = weight + 1j * case.arrays(dtype, seed=1)[1]
    return operator(case.geometry, case.in_size, weight, case.groups)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_products_are_the_matrix_and_its_adjoint(case: Case, dtype: Any) -> None:
    op, rng = made(case, dtype), np.random.default_rng(2)
    matrix = op.matrix()
    dense = matrix_form.dense(case.geometry, case.in_size, op.weight, case.groups)
    x, y = (rng.integers(-4, 5, (n, 3)).astype(dtype) for n in op.shape[::-1])
    assert matrix.dtype == op.dtype == dtype
    assert (matrix.toarray() == dense).all()
    for product, expected in ((op @ x, dense @ x), (op.rmatmat(y), dense.conj().T @ y), (op.T @ y, dense.T @ y)):
        assert product.dtype == dtype
        assert (product == expected).all()  # small integers: exact in every dtype
    assert (op @ x[:, 0] == matrix @ x[:, 0]).all()
    assert (op.matvec(x[:, :1]) == dense @ x[:, :1]).all()
    assert (op.H @ y[:, 0] == dense.conj().T @ y[:, 0]).all()
    assert (op.matmat(x[:, :0]).shape, op.rmatmat(y[:, :0]).shape) == ((op.shape[0], 0), (op.shape[1], 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_dot_test(case: Case, dtype: Any) -> None:
    op = made(case, dtype)
    rounding = np.finfo(dtype).eps if op.dtype.kind in "fc" else np.finfo(np.float64).eps
    assert max(op.dot_test(seed) for seed in range(3)) < 10 * rounding


def test_dot_test_notices_a_wrong_adjoint(monkeypatch: pytest.MonkeyPatch) -> None:
    op = made(CASES[1], np.float64)
    right = TransposedConvolution.forward
    monkeypatch.setattr(TransposedConvolution, "forward", lambda self, y: 1.01 * right(self, y))
    assert op.dot_test() > 1e-6
    assert operator(Geometry(2), 3, np.zeros((1, 1, 2))).dot_test() == 0


PADS = [case for case in CASES if case.geometry.ndim < 4 and "window beyond" not in case.name]  # which torch cannot pad


@pytest.mark.parametrize("case", PADS, ids=lambda case: case.name)
def test_the_adjoint_is_pytorchs_convolution(case: Case) -> None:
    op, ndim = made(case, np.float64), case.geometry.ndim
    y = np.random.default_rng(0).integers(-4, 5, (2, *op.out_shape)).astype(np.float64)
    crop = [side for lo_hi in reversed(case.geometry.crop) for side in lo_hi]
    convolve = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)[ndim - 1]
    padded = torch.nn.functional.pad(torch.from_numpy(y), crop)
    weight, geometry = torch.from_numpy(op.weight.copy()), case.geometry
    z = convolve(padded, weight, None, geometry.stride, 0, geometry.dilation, case.groups).numpy()
    assert (op.forward(y) == z).all()
    assert (op.forward(y[0]) == z[0]).all()
    assert (op.rmatmat(y.reshape(2, -1).T) == z.reshape(2, -1).T).all()


def test_it_is_conv_transpose() -> None:
    case = CASES[IDS.index("groups")]
    x, w, _ = case.arrays(np.float32)
    op = operator(case.geometry, case.in_size, w, case.groups)
    y = tconv.prepare(w, geometry=case.geometry, groups=case.groups)(x)
    assert (op.in_shape, op.out_shape) == (x.shape[1:], y.shape[1:])
    assert (op.matmat(x.reshape(len(x), -1).T) == y.reshape(len(y), -1).T).all()


def test_worked_example() -> None:
    op = tconv.operator(Geometry((3, 3)), (2, 2), STAMP)
    c = np.array(
        [
            [0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0],
            [0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0],
            [0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1],
        ]
    )
    assert (op.matrix().T.toarray() == c).all()
    assert (op @ [2, 3, 1, 3]).tolist() == [0, 2, 5, 3, 0, 3, 7, 3, 2, 4, 5, 3, 1, 3, 1, 3]
    assert (op.H @ [1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 0]).tolist() == [2, 3, 1, 3]
    assert op.rank() == 4
    assert op.null_space().shape == (4, 0)


def test_dtypes_meet_in_their_common_one() -> None:
    op = operator(Geometry(2), 3, np.array([[[1, 200]]], np.uint8))
    assert (op @ np.array([1, 0, 2], np.uint8)).dtype == np.uint8
    for x in (np.array([0.5, 0, 2]), np.array([0.5, 0, 2j]), np.array([300, 0, 2])):
        assert (op @ x).dtype == np.result_type(np.uint8, x.dtype)
        np.testing.assert_array_equal(op @ x, op.matrix().astype(float) @ x)
        np.testing.assert_array_equal(op.H @ (op @ x), op.matrix().astype(float).T @ (op @ x))
    swapped = operator(Geometry(2), 3, np.array([[[1.0, 2.0]]], ">f8"))
    assert swapped.dtype.isnative
    assert (swapped @ np.array([1, 0, 2], ">f4")).tolist() == [1, 2, 2, 4]


def test_a_large_matrix_has_one_entry_per_pair() -> None:
    op = operator(Geometry((3, 3)), 256, np.arange(1.0, 10).reshape(1, 1, 3, 3))
    matrix = op.matrix()
    x = np.random.default_rng(0).standard_normal(256 * 256)
    assert (matrix.format, matrix.shape, matrix.nnz) == ("csr", (258 * 258, 256 * 256), 9 * 256 * 256)
    assert matrix.has_canonical_format
    np.testing.assert_allclose(matrix @ x, op @ x, atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_entries_are_the_pairs_inside_the_window(case: Case) -> None:
    macs = case.geometry.macs(case.in_size, case.in_channels, case.out_channels, case.groups)
    assert made(case).matrix().nnz == macs


SMALL = [case for case in CASES if prod(case.in_size) * case.in_channels <= 200]


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.complex128])
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_spectral_questions_against_numpy(case: Case, dtype: Any) -> None:
    op = made(case, dtype)
    dense = op.matrix().toarray().astype(np.complex128 if op.dtype.kind == "c" else np.float64)
    values = np.linalg.svd(dense, compute_uv=False)
    kernel, inverse = op.null_space(), op.pseudo_inverse()
    np.testing.assert_allclose(op.singular_values(), values, rtol=1e-9, atol=1e-11 * values[0])
    assert op.rank() == np.linalg.matrix_rank(dense)
    assert kernel.shape == (op.shape[1], op.shape[1] - op.rank())
    np.testing.assert_allclose(kernel.conj().T @ kernel, np.eye(kernel.shape[1]), atol=1e-12)
    np.testing.assert_allclose(dense @ kernel, 0, atol=1e-11 * values[0])
    for law, expected in _penrose(dense, inverse):
        np.testing.assert_allclose(law, expected, atol=1e-9 * abs(expected).max())
    if op.rank() == min(op.shape):
        assert op.condition_number() == pytest.approx(np.linalg.cond(dense))
    else:
        assert op.condition_number() == np.inf


def _penrose(a: Any, p: Any) -> list[tuple[Any, Any]]:
    """The four equations that have one solution p, the Moore-Penrose inverse of a."""
    return [(a @ p @ a, a), (p @ a @ p, p), ((a @ p).conj().T, a @ p), ((p @ a).conj().T, p @ a)]


def test_null_space_of_a_wide_matrix_are_inputs_that_vanish() -> None:
    op = operator(Geometry((3, 3), crop=(3, 3)), 7, STAMP)
    inputs = op.null_space().T.reshape(-1, *op.in_shape)
    assert (op.shape, op.rank(), inputs.shape) == ((9, 49), 9, (40, 1, 7, 7))
    y = tconv.prepare(STAMP.astype(float), geometry=op.geometry)(inputs)
    np.testing.assert_allclose(y, 0, atol=1e-14)


def test_a_zero_kernel_has_rank_zero() -> None:
    op = operator(Geometry(2), 3, np.zeros((1, 1, 2)))
    assert (op.rank(), op.condition_number(), op.null_space().shape) == (0, np.inf, (3, 3))
    assert (op.pseudo_inverse() == np.zeros((3, 4))).all()


def test_rank_follows_the_precision_of_the_weight() -> None:
    nearly = np.array([[[1.0]], [[1 + 1e-7]]])  # two input channels, the same up to single precision
    nearly = np.concatenate([nearly, [[[1.0]], [[1.0]]]], axis=1)
    assert operator(Geometry(1), 1, nearly).rank() == 2
    assert operator(Geometry(1), 1, nearly.astype(np.float32)).rank() == 1


def test_scipy_takes_it() -> None:
    rng = np.random.default_rng(0)
    geometry, w = Geometry((3, 3), 2, crop=(1, 0)), rng.standard_normal((2, 3, 3, 3))
    op = operator(geometry, (4, 5), w)
    x = rng.standard_normal(op.shape[1])
    np.testing.assert_allclose(lsmr(op, op @ x, atol=1e-12, btol=1e-12)[0], x, atol=1e-8)
    largest = svds(op, k=3, return_singular_vectors=False, rng=rng)
    np.testing.assert_allclose(sorted(largest), sorted(op.singular_values()[:3]))
    gram = op.H @ op + 2 * aslinearoperator(np.eye(op.shape[1]))
    np.testing.assert_allclose(gram @ x, op.matrix().T @ (op.matrix() @ x) + 2 * x)


def test_lsmr_undoes_a_large_one() -> None:
    op = operator(Geometry((2, 2), 2), 100, np.array([[[[1, 2], [3, 4]]]], np.float32))
    x = np.random.default_rng(0).standard_normal(op.shape[1])
    np.testing.assert_allclose(lsmr(op, op @ x)[0], x, atol=1e-6)
    with pytest.raises(errors.TooLargeError):
        op.rank()


def test_it_keeps_its_own_weight_and_copies_and_pickles() -> None:
    weight = np.array([[[1.0, 2.0]]])
    op = operator(Geometry(2), 3, weight)
    weight[...] = 0
    for one in (op, copy.deepcopy(op), pickle.loads(pickle.dumps(op))):
        assert (one @ [1, 0, 0]).tolist() == [1, 2, 0, 0]
        assert not one.weight.flags.writeable
    sizes = "(1, 3) -> (1, 4), groups 1, 1-D: kernel 2, stride 1, dilation 1, crop (0, 0)"
    assert repr(op) == f"<4x3 TransposedConvolution {sizes}, float64>"


W = np.ones((2, 3, 2, 2))


def square(kernel: int, in_size: int, crop: int = 0, fill: float = 1) -> TransposedConvolution:
    """A square image and kernel of one channel."""
    return operator(Geometry((kernel, kernel), crop=(crop, crop)), in_size, np.full((1, 1, kernel, kernel), fill))


MESSAGES: list[tuple[Any, type[Exception], str]] = [
    (
        lambda: square(3, 256).rank(),
        errors.TooLargeError,
        "the matrix is 66564 x 65536, 4,362,338,304 entries; dense answers are given up to 25,000,000 (5000 x 5000): "
        "use a smaller in_size, or scipy.sparse.linalg.svds(op) or lsmr(op, y), which take this operator",
    ),
    (
        lambda: square(2, 100, crop=49).null_space(),
        errors.TooLargeError,
        "the null space is 10000 x 10000, 100,000,000 entries; dense answers are given up to 25,000,000 (5000 x 5000): "
        "use a smaller in_size, or crop less",
    ),
    (
        lambda: square(3, 10_000).matrix(),
        errors.TooLargeError,
        "the sparse matrix has 900,000,000 entries, more than 100,000,000: use a smaller in_size, or the operator "
        "itself, which multiplies without a matrix",
    ),
    (
        lambda: square(2, 3, fill=np.nan).rank(),
        errors.TconvError,
        "the matrix holds NaN or Inf, so it has no rank and no inverse; give finite numbers",
    ),
    (
        lambda: operator(Geometry((2, 2)), (3, 0), W),
        errors.InputSizeError,
        "in_size (3, 0) must be at least 1 on every axis",
    ),
    (
        lambda: operator(Geometry((2, 2)), 3, W.astype(np.float16)),
        errors.DtypeError,
        "weight has dtype float16, which SciPy's linear algebra does not have; convert it: weight.astype('float32')",
    ),
    (
        lambda: operator(Geometry((2, 2)), 3, W).forward(np.ones((2, 4, 4))),
        errors.RankError,
        "y has shape (2, 4, 4); it must be (3, 4, 4), or a batch of such",
    ),
    (
        lambda: operator(Geometry((2, 2)), 3, W, 3),
        errors.ChannelError,
        "groups 3 does not divide the 2 input channels; choose a divisor of 2",
    ),
    (
        lambda: operator(Geometry((2, 3)), 3, W),
        errors.KernelError,
        "weight (2, 3, 2, 2) does not have the geometry's kernel (2, 3)",
    ),
    (
        lambda: operator(Geometry((2, 2)), (3, 3, 3), W),
        errors.LengthError,
        "in_size has 3 entries, (3, 3, 3), for 2 spatial axes; give 1 or 2",
    ),
]


@pytest.mark.parametrize(("call", "law", "text"), MESSAGES, ids=[text[:40] for _, _, text in MESSAGES])
def test_messages(call: Any, law: type[Exception], text: str) -> None:
    with pytest.raises(law, match=f"^{re.escape(text)}$") as caught:
        call()
    assert caught.type is law
