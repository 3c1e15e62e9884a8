"""Every solution of Y B = X, by a generalised inverse of Y.

    B = Y^g X + (I - Y^g Y) W        for every W, with any Y^g such that Y Y^g Y = Y

gives all of them, and there is one if and only if Y Y^g X = X.

Source: Penrose, "A generalized inverse for matrices", 1955; Rao and Mitra, "Generalized Inverse of Matrices and its
Applications", 1971.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array, as_array
from tconv.linear.spectrum import Spectrum, double, epsilon, refuse_large, relative


@dataclass(frozen=True, eq=False)
class InverseFamily:
    """All B with Y B = X. Made by `generalised_inverse`.

    Attributes:
        Y: (samples, outputs).
        X: (samples, inputs).
        Yg: the generalised inverse used, (outputs, samples).
        rtol: relative residual up to which Y Y^g X = X counts as true.
    """

    Y: Array
    X: Array
    Yg: Array
    rtol: float

    @cached_property
    def residual(self) -> float:
        """||Y Y^g X - X|| / ||X||: 0, up to rounding, where a solution exists."""
        return relative(np.linalg.multi_dot([self.Y, self.Yg, self.X]) - self.X, self.X)

    @property
    def exists(self) -> bool:
        """Whether there is any B with Y B = X."""
        return self.residual <= self.rtol

    @cached_property
    def rank(self) -> int:
        """Rank of Y: the trace of the projection Y^g Y, whichever Y^g."""
        return round(abs(complex(np.einsum("os,so->", self.Yg, self.Y))))

    @property
    def is_unique(self) -> bool:
        """Whether there is exactly one B: one exists, and Y has full column rank, which makes I - Y^g Y vanish."""
        return self.exists and self.rank == self.Y.shape[1]

    @cached_property
    def particular(self) -> Array:
        """Y^g X, the member with W = 0, (outputs, inputs).

        With the Moore-Penrose inverse it is the smallest solution or, where none exists, the one of least squares.
        """
        product: Array = self.Yg @ self.X
        return product

    def member(self, W: Any) -> Array:
        """The solution that the free matrix W, (outputs, inputs), picks; every solution B is picked by W = B.

        Raises:
            TconvError: there is no solution.
            RankError: W is not of that shape.
        """
        free = as_array("W", W)
        shape = (self.Y.shape[1], self.X.shape[1])
        if free.shape != shape:
            raise errors.RankError(f"W has shape {free.shape}; it must be that of B, {shape}")
        if not self.exists:
            raise errors.TconvError(
                f"no B satisfies Y B = X: Y Y^g X differs from X by {self.residual:.2g} of its size, more "
                f"than rtol {self.rtol:.2g}; correct the data, or accept more by a larger rtol"
            )
        member: Array = self.particular + free - self.Yg @ (self.Y @ free)
        return member

    def __str__(self) -> str:
        if not self.exists:
            return f"no B satisfies Y B = X (Y Y^g X differs from X by {self.residual:.2g} of its size)"
        many = "exactly one B satisfies" if self.is_unique else "infinitely many B satisfy"
        return f"{many} Y B = X (Y Y^g X = X, residual {self.residual:.2g})"


def generalised_inverse(
    Y: Any,
    X: Any,
    Yg: Any = None,
    rtol: float | None = None,
) -> InverseFamily:
    """All B with Y B = X, where rows of Y are outputs and rows of X are the inputs they came from.

    With y = A x for each pair of rows, B^T takes these outputs back to their inputs. The pairs of all unit inputs are
    X = I and Y = A^T: then A^T B = I, B^T is a left inverse of A, and one exists if and only if A has full column rank.

    Args:
        Y: (samples, outputs); real or complex, computed in double precision like the others.
        X: (samples, inputs).
        Yg: any (outputs, samples) with Y Yg Y = Y. Default: the Moore-Penrose inverse.
        rtol: relative residual that counts as zero. Default: the rounding to expect,
            10 * max(Y.shape) * eps * ||Y|| ||Yg||, at most 1e-3.

    Raises:
        RankError: arrays that are not matrices, or do not fit together.
        DtypeError: arrays without numbers.
        TconvError: Y Yg Y is not Y; NaN or Inf.
        TooLargeError: Y is too large for an exact Moore-Penrose inverse.

    >>> family = generalised_inverse([[1, 0, 1]], [[2, 3]])
    >>> family.exists, family.is_unique
    (True, False)
    >>> family.member([[0, 0], [7, 7], [0, 0]])
    array([[1. , 1.5],
           [7. , 7. ],
           [1. , 1.5]])
    """
    outputs, inputs = _matrix("Y", Y), _matrix("X", X)
    if len(outputs) != len(inputs):
        raise errors.RankError(
            f"Y has shape {outputs.shape} and X {inputs.shape}; both need one row per sample, as Y B = X"
        )
    inverse = _moore_penrose(outputs) if Yg is None else _matrix("Yg", Yg)
    if inverse.shape != outputs.shape[::-1]:
        raise errors.RankError(f"Yg has shape {inverse.shape}; for Y {outputs.shape} it must be {outputs.shape[::-1]}")
    if rtol is None:
        grows = float(np.linalg.norm(outputs) * np.linalg.norm(inverse))
        eps = max(epsilon(matrix.dtype) for matrix in (outputs, inputs, inverse))
        rtol = min(10 * max(outputs.shape) * eps * grows, 1e-3)
    outputs, inputs, inverse = (matrix.astype(double(matrix.dtype)) for matrix in (outputs, inputs, inverse))
    wrong = relative(np.linalg.multi_dot([outputs, inverse, outputs]) - outputs, outputs)
    if wrong > rtol:
        raise errors.TconvError(
            f"Yg is not a generalised inverse of Y: Y Yg Y differs from Y by {wrong:.2g} of its size (rtol "
            f"{rtol:.2g}); give one that satisfies Y Yg Y = Y, or none for the Moore-Penrose inverse"
        )
    return InverseFamily(outputs, inputs, inverse, rtol)


def _moore_penrose(outputs: Array) -> Array:
    refuse_large("Y", outputs.shape, "give fewer samples (rows), or a Yg of your own")
    return Spectrum.of("Y", outputs).pseudo_inverse()


def _matrix(name: str, value: Any) -> Array:
    """`value` as a matrix of finite numbers."""
    matrix = as_array(name, value)
    if matrix.ndim != 2:
        raise errors.RankError(f"{name} has shape {matrix.shape}; it must be a matrix, 2 dimensions")
    if matrix.dtype.kind not in "biufc":
        raise errors.DtypeError(f"{name} has dtype {matrix.dtype}; give integers, floats or complex numbers")
    if not np.isfinite(matrix).all():
        raise errors.TconvError(f"{name} holds NaN or Inf; give finite numbers")
    return matrix
