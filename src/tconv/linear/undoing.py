"""Can a transposed convolution be undone? Asked of y = A x, on an input of the user's own.

    A^-1 y = x      only if A is square and of full rank
    A^T y = x       for every x only if A^T A = I, orthonormal columns: kernel = stride, one channel, ||w|| = 1
    pinv(A) y = x   for every x if and only if A has full column rank; else for x orthogonal to the null space

So the forward convolution, A^T, brings back the size of x, and in general not its values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tconv import errors
from tconv.arrays import Array, as_array, layout
from tconv.geometry import Geometry
from tconv.linear.inverse import InverseFamily, generalised_inverse
from tconv.linear.spectrum import epsilon, relative
from tconv.linear.transposed import TransposedConvolution, operator


class Finding(NamedTuple):
    """A yes-or-no question, its answer, and the reason."""

    question: str
    answer: bool
    reason: str


@dataclass(frozen=True, eq=False)
class Undo:
    """What is left of x in y = A x, and by which matrix it comes back. Made by `undo`; `print` it.

    Attributes:
        operator: A. Its rank(), null_space(), condition_number() and so on are there.
        x: the input, (batch, in_channels, *in_size) or without the batch.
        y: A x, (batch, out_channels, *out_size) or without the batch.
        transposed: A^T y, of the shape of x; A^H y for complex weights.
        recovered: pinv(A) y, of the shape of x; A^-1 y where A^-1 exists.
    """

    operator: TransposedConvolution
    x: Array
    y: Array
    transposed: Array
    recovered: Array

    @property
    def transposed_residual(self) -> float:
        """||A^T y - x|| / ||x||."""
        return relative(self.transposed - self.x, self.x)

    @property
    def recovered_residual(self) -> float:
        """||pinv(A) y - x|| / ||x||."""
        return relative(self.recovered - self.x, self.x)

    @property
    def transposed_is_x(self) -> bool:
        """Whether A^T y is this x, up to rounding: the residual is at most sqrt(eps) of the dtype."""
        return self.transposed_residual <= self._rounding

    @property
    def recovered_is_x(self) -> bool:
        """Whether pinv(A) y is this x, up to rounding: as above, or eps * condition number where that is more."""
        amplified = epsilon(self.y.dtype) * self.condition_number if self.has_left_inverse else 0.0
        return self.recovered_residual <= max(self._rounding, amplified)

    @property
    def rank(self) -> int:
        return self.operator.rank()

    @property
    def null_space_dimension(self) -> int:
        """Dimension of the space of inputs that vanish: A x = 0."""
        return self.operator.shape[1] - self.rank

    @property
    def condition_number(self) -> float:
        return self.operator.condition_number()

    @property
    def is_square(self) -> bool:
        return self.operator.shape[0] == self.operator.shape[1]

    @property
    def has_left_inverse(self) -> bool:
        """Full column rank: every x comes back, by pinv(A) for one."""
        return self.null_space_dimension == 0

    @property
    def is_invertible(self) -> bool:
        """Whether A^-1 exists."""
        return self.is_square and self.has_left_inverse

    @property
    def is_orthonormal(self) -> bool:
        """A^T A = I, up to rounding as above: all singular values are 1, and A^T y = x for every x."""
        return self.has_left_inverse and bool(abs(self.operator.singular_values() - 1).max() <= self._rounding)

    @cached_property
    def this_input(self) -> InverseFamily:
        """All B with Y B = X for the rows Y = y, X = x: B^T takes y back to x, but knows of no other input."""
        rows, columns = self.operator.shape
        batch = self.y.size // rows
        return generalised_inverse(self.y.reshape(batch, rows), self.x.reshape(batch, columns))

    @cached_property
    def every_input(self) -> InverseFamily:
        """All B with Y B = X for the unit inputs, Y = A^T and X = I: each B^T is a left inverse of A."""
        y, x = self.operator.matrix().toarray().T, np.eye(self.operator.shape[1])
        return generalised_inverse(y, x, self.operator.pseudo_inverse().T)

    @property
    def verdict(self) -> str:
        """The answer in one sentence."""
        if self.is_orthonormal:
            return f"Yes, by {self._t}: the forward convolution gives every x back."
        if self.has_left_inverse:
            inverse, though = ("A^-1", "") if self.is_invertible else ("pinv(A)", ", though A^-1 does not exist")
            return f"Yes: {inverse} gives every x back{though}. {self._t}, the forward convolution, does not."
        lost = f"A x = 0 on a {self.null_space_dimension}-dimensional space of inputs"
        if self.recovered_is_x:
            return f"This x, yes, by pinv(A); not every x, as {lost}."
        return f"No: {lost}, and what x has of it is lost."

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The questions behind the verdict, with their answers."""
        t = self._t
        return (
            Finding(f"{t} y = x?", self.transposed_is_x, f"||{t} y - x|| = {self.transposed_residual:.2g} ||x||"),
            Finding(f"{t} A = I?", self.is_orthonormal, self._about_the_columns()),
            Finding("A^-1 exists?", self.is_invertible, self._about_the_inverse()),
            Finding("left inverse exists?", self.has_left_inverse, self._about_left_inverses()),
            Finding("pinv(A) y = x?", self.recovered_is_x, f"||pinv(A) y - x|| = {self.recovered_residual:.2g} ||x||"),
            Finding("Y B = X for this x?", self.this_input.exists, _about(self.this_input)),
            Finding("Y B = X for all x?", self.every_input.exists, _about(self.every_input)),
        )

    def __str__(self) -> str:
        rows, columns = self.operator.shape
        return "\n".join(
            (
                self.verdict,
                f"A is {rows} x {columns}, rank {self.rank}, null space of dimension {self.null_space_dimension}, "
                f"condition number {self.condition_number:.3g}",
                *(f"{question:<21} {'yes' if yes else 'no':<4} {reason}" for question, yes, reason in self.findings),
            )
        )

    @property
    def _rounding(self) -> float:
        return float(np.sqrt(epsilon(self.y.dtype)))

    @property
    def _t(self) -> str:
        """What the forward convolution is, as a matrix."""
        return "A^H" if self.operator.dtype.kind == "c" else "A^T"

    def _about_the_columns(self) -> str:
        values, columns = self.operator.singular_values(), self.operator.shape[1]
        if not self.has_left_inverse:
            return f"its rank is {self.rank} and that of I is {columns}"
        if values[0] - values[-1] > self._rounding * values[0]:
            return f"the singular values are not all 1, but {values[-1]:.3g} to {values[0]:.3g}"
        if self.is_orthonormal:
            return f"so {self._t} y = x for every x"
        return f"{self._t} A = {values[0] ** 2:.3g} I; it would be I for w / {values[0]:.3g}"

    def _about_the_inverse(self) -> str:
        rows, columns = self.operator.shape
        if not self.is_square:
            return f"A is {rows} x {columns}, not square"
        return f"A is square, and its rank is {self.rank} of {columns}"

    def _about_left_inverses(self) -> str:
        columns = self.operator.shape[1]
        if self.has_left_inverse:
            return f"rank {self.rank} of {columns} columns: pinv(A) y = x for every x"
        return f"rank {self.rank} of {columns} columns: null space of dimension {self.null_space_dimension}"


def undo(geometry: Geometry, x: Any, weight: Any, groups: int = 1) -> Undo:
    """Transpose-convolve `x`, try to get it back, and say what is possible.

    Args:
        geometry: stride, dilation and crop; its kernel must be the weight's.
        x: (batch, in_channels, *in_size), or (in_channels, *in_size) without a batch; finite numbers.
        weight: (in_channels, out_channels/groups, *kernel). Computed with in the common dtype; integers in float64.
        groups: number of channel groups.

    Raises:
        TooLargeError: more than 5000 x 5000 entries in A.
        RankError, ChannelError, KernelError, DtypeError, InputSizeError, EmptyOutputError: as their names say.
        TconvError: NaN or Inf in `x` or `weight`.

    >>> answer = undo(Geometry(2, stride=2), [[5.0, 7.0]], [[[0.6, 0.8]]])
    >>> answer.transposed, answer.is_orthonormal, answer.is_invertible
    (array([[5., 7.]]), True, False)
    """
    x, weight = as_array("x", x), as_array("weight", weight)
    sizes = layout(x.shape, weight.shape, None, groups, geometry.ndim)
    dtype = np.result_type(x, weight)
    dtype = np.dtype(np.float64) if dtype.kind in "biu" else dtype
    op = operator(geometry, sizes.in_size, weight.astype(dtype), groups)
    x = x.astype(dtype)
    if not np.isfinite(x).all():
        raise errors.TconvError("x holds NaN or Inf, which no matrix can give back; give finite numbers")
    columns = x.reshape(sizes.batch, op.shape[1]).T
    inverse = op.pseudo_inverse()
    y = op.matmat(columns)
    return Undo(
        operator=op,
        x=x,
        y=y.T.reshape(sizes.result_shape(op.out_shape[1:])),
        transposed=op.rmatmat(y).T.reshape(x.shape),
        recovered=(inverse @ y).T.reshape(x.shape),
    )


def _about(family: InverseFamily) -> str:
    if not family.exists:
        return f"Y Y^g X differs from X by {family.residual:.2g} of its size"
    return "Y Y^g X = X: one B only" if family.is_unique else "Y Y^g X = X: B = Y^g X + (I - Y^g Y) W, any W"
