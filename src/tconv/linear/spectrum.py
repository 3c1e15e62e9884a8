"""The singular value decomposition A = U diag(s) V^H, and the questions that it answers exactly.

Everything is computed in double precision; what counts as zero follows the precision the entries came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array

DENSE_LIMIT = 5_000**2
"""Entries up to which a dense answer is given: about a minute and 2 GB, in double precision."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A decomposed matrix of shape (rows, columns).

    Attributes:
        left: U, (rows, min(rows, columns)).
        values: s, descending, (min(rows, columns),).
        right: V^H, (min(rows, columns), columns).
        threshold: singular values up to it count as zero: max(rows, columns) * eps * the largest.
    """

    left: Array
    values: Array
    right: Array
    threshold: float

    @classmethod
    def of(cls, name: str, matrix: Array) -> Spectrum:
        """Decompose `matrix`; raises `TconvError` if it holds NaN or Inf."""
        if not np.isfinite(matrix).all():
            raise errors.TconvError(f"{name} holds NaN or Inf, so it has no rank and no inverse; give finite numbers")
        left, values, right = np.linalg.svd(matrix.astype(double(matrix.dtype)), full_matrices=False)
        return cls(left, values, right, max(matrix.shape) * epsilon(matrix.dtype) * float(values.max(initial=0)))

    @property
    def rank(self) -> int:
        """How many singular values are not zero."""
        return int(np.count_nonzero(self.values > self.threshold))

    @property
    def condition_number(self) -> float:
        """The largest singular value over the smallest; infinite if that is zero."""
        return float(self.values[0] / self.values[-1]) if self.rank == len(self.values) else float("inf")

    def null_space(self) -> Array:
        """An orthonormal basis of the vectors that vanish: (columns, columns - rank)."""
        columns = self.right.shape[1]
        if len(self.right) == columns:
            return self.right[self.rank :].conj().T
        refuse_large("the null space", (columns, columns), "use a smaller in_size, or crop less")
        basis, _ = np.linalg.qr(self.right[: self.rank].conj().T, mode="complete")
        return basis[:, self.rank :]

    def pseudo_inverse(self) -> Array:
        """The Moore-Penrose inverse, (columns, rows)."""
        kept = slice(self.rank)
        inverse: Array = (self.right[kept].conj().T / self.values[kept]) @ self.left[:, kept].conj().T
        return inverse


def refuse_large(name: str, shape: tuple[int, ...], cure: str) -> None:
    """Raise `TooLargeError` for a dense matrix of more than DENSE_LIMIT entries, before it is made."""
    rows, columns = shape
    if rows * columns > DENSE_LIMIT:
        raise errors.TooLargeError(
            f"{name} is {rows} x {columns}, {rows * columns:,} entries; dense answers are given up to {DENSE_LIMIT:,} "
            f"(5000 x 5000): {cure}"
        )


def double(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """float64, or complex128 for complex numbers: what dense questions about `dtype` are computed in."""
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def epsilon(dtype: np.dtype[Any]) -> float:
    """Relative rounding of one operation: that of `dtype`, but not below that of double precision."""
    finest = float(np.finfo(np.float64).eps)
    return max(finest, float(np.finfo(dtype).eps)) if dtype.kind in "fc" else finest


def relative(difference: Array, reference: Array) -> float:
    """The Euclidean norm of `difference` as a fraction of that of `reference`; 0 for nothing of nothing."""
    error, size = float(np.linalg.norm(difference)), float(np.linalg.norm(reference))
    if error == 0:
        return 0.0
    return error / size if size else float("inf")
