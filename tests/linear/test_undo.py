"""`undo`: is x still in y, and which matrix brings it back?"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from cases import CASES, IDS, Case

import tconv
from tconv import Geometry, errors
from tconv.linear import Undo, undo

STAMP_X, STAMP_W = np.array([[[2, 3], [1, 3]]]), np.array([[[[0, 1, 1], [0, 1, 0], [1, 0, 1]]]])
ONES = np.ones((1, 1, 3, 3))


def stamp() -> Undo:
    """The worked example."""
    return undo(Geometry((3, 3)), STAMP_X, STAMP_W)


def image(size: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(1, 9, (1, size, size))


def test_worked_example_restores_the_size_and_not_the_values() -> None:
    answer = stamp()
    assert answer.y.tolist() == [[[0, 2, 5, 3], [0, 3, 7, 3], [2, 4, 5, 3], [1, 3, 1, 3]]]
    assert answer.transposed.tolist() == [[[17, 22], [16, 21]]]
    assert answer.transposed_residual == pytest.approx(np.sqrt(15**2 + 19**2 + 15**2 + 18**2) / np.sqrt(23))
    np.testing.assert_allclose(answer.recovered, STAMP_X, atol=1e-12)
    assert (answer.rank, answer.null_space_dimension) == (4, 0)
    assert (answer.transposed_is_x, answer.recovered_is_x) == (False, True)
    assert (answer.is_square, answer.is_invertible, answer.has_left_inverse, answer.is_orthonormal) == (0, 0, 1, 0)
    assert answer.condition_number == pytest.approx(np.linalg.cond(answer.operator.matrix().toarray()))
    assert answer.this_input.exists
    assert answer.every_input.exists


def test_worked_example_in_words() -> None:
    answer = stamp()
    rounding = f"{answer.recovered_residual:.2g}"
    expected = f"""\
Yes: pinv(A) gives every x back, though A^-1 does not exist. A^T, the forward convolution, does not.
A is 16 x 4, rank 4, null space of dimension 0, condition number 1.69
A^T y = x?            no   ||A^T y - x|| = 7 ||x||
A^T A = I?            no   the singular values are not all 1, but 1.73 to 2.93
A^-1 exists?          no   A is 16 x 4, not square
left inverse exists?  yes  rank 4 of 4 columns: pinv(A) y = x for every x
pinv(A) y = x?        yes  ||pinv(A) y - x|| = {rounding} ||x||
Y B = X for this x?   yes  Y Y^g X = X: B = Y^g X + (I - Y^g Y) W, any W
Y B = X for all x?    yes  Y Y^g X = X: B = Y^g X + (I - Y^g Y) W, any W"""
    assert str(answer) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_unit_norm_kernels_that_do_not_overlap_are_undone_by_the_transpose(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((1, 1, 2, 2)).astype(dtype)
    if w.dtype.kind == "c":
        w = w + dtype(1j) * rng.standard_normal(w.shape).astype(np.float32)
    answer = undo(Geometry((2, 2), 2), image(3).astype(dtype), w / np.linalg.norm(w))
    assert answer.y.dtype == answer.transposed.dtype == dtype
    assert answer.is_orthonormal
    assert answer.transposed_is_x
    np.testing.assert_allclose(answer.transposed, answer.x, rtol=1e-5 if dtype is not np.float64 else 1e-14)
    t = "A^H" if w.dtype.kind == "c" else "A^T"
    assert answer.verdict == f"Yes, by {t}: the forward convolution gives every x back."
    assert answer.findings[1] == (f"{t} A = I?", True, f"so {t} y = x for every x")


def test_other_kernels_that_do_not_overlap_miss_it_by_a_factor() -> None:
    answer = undo(Geometry((2, 2), 2), image(3), 2 * ONES[..., :2, :2])
    assert (answer.transposed == 16 * answer.x).all()
    assert not answer.is_orthonormal
    assert answer.findings[1].reason == "A^T A = 16 I; it would be I for w / 4"


def test_square_and_invertible() -> None:
    answer = undo(Geometry((3, 3), crop=(1, 1)), image(3), ONES)
    inverse = np.linalg.inv(answer.operator.matrix().toarray())
    np.testing.assert_allclose(inverse @ answer.y.ravel(), answer.x.ravel(), atol=1e-10)
    np.testing.assert_allclose(answer.recovered, answer.x, atol=1e-10)
    assert answer.is_invertible
    assert answer.every_input.is_unique
    assert answer.verdict == "Yes: A^-1 gives every x back. A^T, the forward convolution, does not."
    assert answer.findings[2].reason == "A is square, and its rank is 9 of 9"
    assert answer.findings[6].reason == "Y Y^g X = X: one B only"


def test_square_and_singular() -> None:
    answer = undo(Geometry((3, 3), crop=(1, 1)), image(2), ONES)  # each output is the sum of all inputs
    assert (answer.is_square, answer.is_invertible, answer.rank, answer.null_space_dimension) == (True, False, 1, 3)
    assert answer.condition_number == np.inf
    assert (answer.recovered_is_x, answer.this_input.exists, answer.every_input.exists) == (False, True, False)
    np.testing.assert_allclose(answer.recovered, answer.x.mean() * np.ones((1, 2, 2)))
    assert answer.verdict == "No: A x = 0 on a 3-dimensional space of inputs, and what x has of it is lost."
    assert [finding.reason for finding in answer.findings[1:4]] == [
        "its rank is 1 and that of I is 4",
        "A is square, and its rank is 1 of 4",
        "rank 1 of 4 columns: null space of dimension 3",
    ]


def test_an_x_that_survives_where_others_do_not() -> None:
    answer = undo(Geometry((3, 3), crop=(1, 1)), 7 * np.ones((1, 2, 2)), ONES)
    assert (answer.recovered_is_x, answer.has_left_inverse) == (True, False)
    assert answer.verdict == "This x, yes, by pinv(A); not every x, as A x = 0 on a 3-dimensional space of inputs."


def test_an_x_that_vanishes() -> None:
    answer = undo(Geometry((3, 3), crop=(1, 1)), np.array([[[1, -1], [2, -2]]]), ONES)
    assert not answer.y.any()
    assert (answer.transposed_residual, answer.recovered_residual) == (1, 1)
    assert not answer.this_input.exists
    assert answer.findings[5].reason == "Y Y^g X differs from X by 1 of its size"


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_every_case(case: Case) -> None:
    x, w, _ = case.arrays(np.int32)
    answer = undo(case.geometry, x, w, case.groups)
    expected = tconv.prepare(w.astype(np.float64), geometry=case.geometry, groups=case.groups)(x.astype(np.float64))
    np.testing.assert_array_equal(answer.y, expected)
    assert answer.transposed.shape == answer.recovered.shape == x.shape
    np.testing.assert_array_equal(answer.transposed, answer.operator.forward(answer.y))
    assert answer.has_left_inverse == (answer.rank == answer.operator.shape[1]) == answer.every_input.exists
    assert answer.recovered_is_x or not answer.has_left_inverse
    assert len(str(answer).splitlines()) == 9


def test_a_batch_is_many_samples() -> None:
    x = np.random.default_rng(0).standard_normal((5, 1, 2, 2))
    answer = undo(Geometry((3, 3), crop=(1, 1)), x, ONES)
    assert answer.this_input.Y.shape == answer.this_input.X.shape == (5, 4)
    assert not answer.this_input.exists  # five inputs need what A destroys; one input would not
    assert undo(Geometry((3, 3), crop=(1, 1)), x[:1], ONES).this_input.exists


def test_integers_do_not_wrap() -> None:
    answer = undo(Geometry((2, 2)), np.full((1, 2, 2), 200, np.uint8), np.full((1, 1, 2, 2), 200, np.uint8))
    assert answer.y.max() == 4 * 200 * 200
    assert answer.recovered_is_x


def test_rounding_grows_with_the_condition_number() -> None:
    w = np.array([[[1.0, 2.0, 1.0]]])
    answer = undo(Geometry(3, crop=(1, 1)), np.random.default_rng(0).standard_normal((1, 600)), w)
    assert answer.condition_number > 1e5
    assert answer.recovered_is_x


MESSAGES: list[tuple[Any, type[Exception], str]] = [
    (
        lambda: undo(Geometry((3, 3)), np.zeros((1, 256, 256)), ONES),
        errors.TooLargeError,
        "the matrix is 66564 x 65536, 4,362,338,304 entries; dense answers are given up to 25,000,000 (5000 x 5000): "
        "use a smaller in_size, or scipy.sparse.linalg.svds(op) or lsmr(op, y), which take this operator",
    ),
    (
        lambda: undo(Geometry((3, 3)), np.full((1, 2, 2), np.nan), ONES),
        errors.TconvError,
        "x holds NaN or Inf, which no matrix can give back; give finite numbers",
    ),
    (
        lambda: undo(Geometry((3, 3)), np.zeros((2, 2, 2)), ONES),
        errors.ChannelError,
        "input has 2 channels but weight (1, 1, 3, 3) takes 1; the weight's layout is (in_channels, "
        "out_channels/groups, *kernel)",
    ),
]


@pytest.mark.parametrize(("call", "law", "text"), MESSAGES, ids=[text[:40] for _, _, text in MESSAGES])
def test_messages(call: Any, law: type[Exception], text: str) -> None:
    with pytest.raises(law, match=f"^{re.escape(text)}$") as caught:
        call()
    assert caught.type is law
