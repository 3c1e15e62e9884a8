"""`generalised_inverse`: the laws of Y B = X."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tconv import Geometry, errors
from tconv.linear import generalised_inverse, operator

RNG = np.random.default_rng(0)


def low_rank(rows: int, columns: int, rank: int, dtype: Any = np.float64) -> Any:
    left, right = RNG.standard_normal((rows, rank)), RNG.standard_normal((rank, columns))
    if np.dtype(dtype).kind == "c":
        right = right + 1j * RNG.standard_normal((rank, columns))
    return (left @ right).astype(dtype)


def another_inverse(matrix: Any) -> Any:
    """A generalised inverse that is not the Moore-Penrose one, nor even reflexive."""
    p = np.linalg.pinv(matrix, rcond=1e-10)
    free = RNG.standard_normal(p.shape)
    return p + free - p @ matrix @ free @ matrix @ p


SHAPES = [(5, 3, 3), (3, 5, 3), (5, 5, 5), (6, 4, 2), (4, 6, 2), (1, 7, 1), (7, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("own", [False, True])
def test_every_member_solves_and_every_solution_is_a_member(shape: Any, dtype: Any, own: bool) -> None:
    y, solution = low_rank(*shape, dtype=dtype), RNG.standard_normal((shape[1], 2))
    x = y @ solution
    family = generalised_inverse(y, x, another_inverse(y) if own else None)
    close = 1e-9 * abs(x).max()
    assert family.exists
    assert family.rank == shape[2]
    assert family.is_unique == (shape[2] == y.shape[1])
    np.testing.assert_allclose(y @ family.particular, x, atol=close)
    for _ in range(3):
        np.testing.assert_allclose(y @ family.member(RNG.standard_normal(solution.shape)), x, atol=close)
    np.testing.assert_allclose(family.member(solution), solution, atol=close)
    np.testing.assert_array_equal(family.member(np.zeros(solution.shape)), family.particular)


def test_single_precision_is_judged_by_its_own_rounding() -> None:
    y = low_rank(20, 10, 4).astype(np.float32)
    x = y @ np.ones((10, 2), np.float32)
    family = generalised_inverse(y, x)
    assert (family.exists, family.rank) == (True, 4)
    assert family.residual > 1e-9
    assert not generalised_inverse(y, RNG.standard_normal((20, 2)).astype(np.float32)).exists


@pytest.mark.parametrize("own", [False, True])
def test_no_solution(own: bool) -> None:
    y, x = low_rank(5, 3, 2), RNG.standard_normal((5, 2))
    family = generalised_inverse(y, x, another_inverse(y) if own else None)
    assert not family.exists
    assert not family.is_unique
    assert family.residual == pytest.approx(np.linalg.norm(y @ family.particular - x) / np.linalg.norm(x))
    if not own:
        np.testing.assert_allclose(family.particular, np.linalg.lstsq(y, x, rcond=None)[0])
    assert str(family) == f"no B satisfies Y B = X (Y Y^g X differs from X by {family.residual:.2g} of its size)"
    size = f"{family.residual:.2g} of its size, more than rtol {family.rtol:.2g}"
    text = f"Y Y^g X differs from X by {size}; correct the data, or accept more by a larger rtol"
    with pytest.raises(errors.TconvError, match=f"^no B satisfies Y B = X: {re.escape(text)}$"):
        family.member(np.zeros((3, 2)))


def test_zeros() -> None:
    assert not generalised_inverse(np.zeros((2, 3)), np.ones((2, 1))).exists
    family = generalised_inverse(np.zeros((2, 3)), np.zeros((2, 1)))
    assert (family.exists, family.rank, family.residual) == (True, 0, 0)
    assert family.member([[1], [2], [3]]).tolist() == [[1], [2], [3]]


def test_text() -> None:
    assert str(generalised_inverse([[2, 0], [0, 4]], [[2], [4]])) == (
        "exactly one B satisfies Y B = X (Y Y^g X = X, residual 0)"
    )
    assert str(generalised_inverse([[2, 0]], [[2]])) == "infinitely many B satisfy Y B = X (Y Y^g X = X, residual 0)"


@pytest.mark.parametrize("crop", [0, 1, 2])
def test_all_unit_inputs_ask_for_a_left_inverse(crop: int) -> None:
    op = operator(Geometry((3, 3), crop=(crop, crop)), 4, np.arange(9.0).reshape(1, 1, 3, 3))
    family = generalised_inverse(op.matrix().toarray().T, np.eye(op.shape[1]))
    assert family.exists == (op.rank() == op.shape[1]) == (crop < 2)
    if family.exists:
        left = family.member(RNG.standard_normal(op.shape)).T
        np.testing.assert_allclose(left @ op.matrix().toarray(), np.eye(op.shape[1]), atol=1e-9)


def test_rtol_accepts_measured_values() -> None:
    y = low_rank(6, 3, 3)
    x = y @ np.ones((3, 1)) + 1e-6 * RNG.standard_normal((6, 1))
    assert not generalised_inverse(y, x).exists
    assert generalised_inverse(y, x, rtol=1e-4).exists


MESSAGES: list[tuple[Any, type[Exception], str]] = [
    (
        lambda: generalised_inverse([1, 2], [[1]]),
        errors.RankError,
        "Y has shape (2,); it must be a matrix, 2 dimensions",
    ),
    (
        lambda: generalised_inverse([[1, 2]], [[1], [2]]),
        errors.RankError,
        "Y has shape (1, 2) and X (2, 1); both need one row per sample, as Y B = X",
    ),
    (
        lambda: generalised_inverse([[1, 2]], [[1]], [[1, 2]]),
        errors.RankError,
        "Yg has shape (1, 2); for Y (1, 2) it must be (2, 1)",
    ),
    (
        lambda: generalised_inverse([[1, 0], [0, 1]], [[1], [1]], [[1, 0], [0, 0]]),
        errors.TconvError,
        "Yg is not a generalised inverse of Y: Y Yg Y differs from Y by 0.71 of its size (rtol 6.3e-15); give one that "
        "satisfies Y Yg Y = Y, or none for the Moore-Penrose inverse",
    ),
    (
        lambda: generalised_inverse([[1, 2]], [[1]]).member([1, 2]),
        errors.RankError,
        "W has shape (2,); it must be that of B, (2, 1)",
    ),
    (
        lambda: generalised_inverse([[1, np.inf]], [[1]], [[1], [0]]),
        errors.TconvError,
        "Y holds NaN or Inf; give finite numbers",
    ),
    (
        lambda: generalised_inverse([[1, 2]], [[None]]),
        errors.DtypeError,
        "X has dtype object; give integers, floats or complex numbers",
    ),
    (
        lambda: generalised_inverse(np.broadcast_to(1.0, (6000, 5000)), np.broadcast_to(1.0, (6000, 1))),
        errors.TooLargeError,
        "Y is 6000 x 5000, 30,000,000 entries; dense answers are given up to 25,000,000 (5000 x 5000): give fewer "
        "samples (rows), or a Yg of your own",
    ),
]


@pytest.mark.parametrize(("call", "law", "text"), MESSAGES, ids=[text[:40] for _, _, text in MESSAGES])
def test_messages(call: Any, law: type[Exception], text: str) -> None:
    with pytest.raises(law, match=f"^{re.escape(text)}$") as caught:
        call()
    assert caught.type is law
