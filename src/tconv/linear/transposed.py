"""The transposed convolution as a linear operator that SciPy can work with, and the dense questions about it.

    y = A x        x: an input, flattened from (in_channels, *in_size);   y: its output, from (out_channels, *out_size)

The adjoint A^H is the forward convolution, conjugated where the weights are complex.
"""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from tconv import errors
from tconv.arrays import Array, as_array
from tconv.forms import adjoint, matrix
from tconv.geometry import Geometry
from tconv.geometry.arguments import Ints
from tconv.layer import Layer, prepare
from tconv.linear.spectrum import Spectrum, refuse_large

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SPARSE_LIMIT = 10**8
"""Entries up to which the sparse matrix is made: that takes about 6 GB on the way."""


class TransposedConvolution(LinearOperator):
    """A layer without bias, at one input size, as the matrix A that it is; made by `operator`.

    A `scipy.sparse.linalg.LinearOperator`: `op @ x`, `op.H @ y`, `op.T`, sums and products, and SciPy's solvers take it
    (`lsmr`, `svds`, ...). Products run matrix-free, in the common dtype of weight and vector. The rank and all that
    follows comes from one dense singular value decomposition in double precision, made once, when first asked for.

    Attributes:
        geometry: kernel, stride, dilation and crop.
        groups: channel groups.
        weight: (in_channels, out_channels/groups, *kernel), a read-only copy.
        in_shape: (in_channels, *in_size).
        out_shape: (out_channels, *out_size).
        shape: (prod(out_shape), prod(in_shape)).
        dtype: of the weight.
    """

    def __init__(self, geometry: Geometry, in_size: Ints, weight: Any, groups: int = 1) -> None:
        self.geometry, self.groups, self.weight = geometry, groups, _weight(weight)
        self._layers: dict[np.dtype[Any], Layer] = {}
        self._layer(self.weight.dtype)  # judges weight, geometry and groups
        self.in_shape = (len(self.weight), *geometry.sizes("in_size", in_size))
        if 0 in self.in_shape:
            raise errors.InputSizeError(f"in_size {self.in_shape[1:]} must be at least 1 on every axis")
        self.out_shape = (self.weight.shape[1] * groups, *geometry.output_size(self.in_shape[1:]))
        shape = (prod(self.out_shape), prod(self.in_shape))
        super().__init__(self.weight.dtype, shape)  # type: ignore[call-arg]  # the stub leaves out the constructor

    def forward(self, y: Any) -> Array:
        """The forward convolution that A is the transpose of: A^T on arrays, not conjugated.

        Args:
            y: (batch, out_channels, *out_size), or without the batch.

        Returns:
            (batch, in_channels, *in_size), or without the batch.

        Raises:
            RankError: `y` has another shape.
        """
        y = as_array("y", y)
        if y.shape[-len(self.out_shape) :] != self.out_shape or y.ndim > len(self.out_shape) + 1:
            raise errors.RankError(f"y has shape {y.shape}; it must be {self.out_shape}, or a batch of such")
        dtype = np.result_type(self.dtype, y.dtype)
        batch, channels = y.shape[: y.ndim - len(self.out_shape)], self.weight.shape[1]
        z = y.astype(dtype, copy=False).reshape(prod(batch), self.groups, channels, *self.out_shape[1:])
        w = self.weight.astype(dtype, copy=False).reshape(self.groups, -1, *self.weight.shape[1:])
        return adjoint.forward(self.geometry, z, w, self.in_shape[1:]).reshape(*batch, *self.in_shape)

    def matrix(self) -> csr_array[Any, tuple[int, int]]:
        """A as a SciPy sparse matrix of the weight's dtype, with one entry per pair of input and tap that is kept.

        Zeros of the weight are entries too: the structure depends on the geometry only.

        Raises:
            TooLargeError: more than 10**8 entries.
        """
        entries = self.geometry.macs(self.in_shape[1:], self.in_shape[0], self.out_shape[0], self.groups)
        if entries > SPARSE_LIMIT:
            raise errors.TooLargeError(
                f"the sparse matrix has {entries:,} entries, more than {SPARSE_LIMIT:,}: use a smaller in_size, or the "
                f"operator itself, which multiplies without a matrix"
            )
        return matrix.sparse(self.geometry, self.in_shape[1:], self.weight, self.groups)

    def dot_test(self, seed: int = 0) -> float:
        """How far <A x, y> and <x, A^H y> are apart for random x and y, relative to their norms.

        Rounding only where both products are right: about 1e-16, or 1e-8 in single precision.
        """
        rng = np.random.default_rng(seed)
        dtype = self.dtype if self.dtype.kind in "fc" else np.dtype(np.float64)
        x, y = (_random(rng, n, dtype) for n in reversed(self.shape))
        ax, ahy = self.matvec(x), self.rmatvec(y)
        scale = max(np.linalg.norm(ax) * np.linalg.norm(y), np.linalg.norm(x) * np.linalg.norm(ahy))
        return float(abs(np.vdot(y, ax) - np.vdot(ahy, x)) / scale) if scale else 0.0

    def rank(self) -> int:
        """How many singular values are not zero: above max(shape) * eps * the largest, eps that of the weight's dtype.

        Raises, like everything below:
            TooLargeError: more than 5000 x 5000 entries.
            TconvError: NaN or Inf in the weight.
        """
        return self._spectrum.rank

    def null_space(self) -> Array:
        """An orthonormal basis of the inputs that vanish, A x = 0: (columns, columns - rank).

        `null_space().T.reshape(-1, *in_shape)` are these inputs.
        """
        return self._spectrum.null_space()

    def singular_values(self) -> Array:
        """All min(shape) of them, descending."""
        return self._spectrum.values.copy()

    def condition_number(self) -> float:
        """The largest singular value over the smallest; infinite if that is zero."""
        return self._spectrum.condition_number

    def pseudo_inverse(self) -> Array:
        """The Moore-Penrose inverse, dense: (columns, rows)."""
        return self._spectrum.pseudo_inverse()

    @cached_property
    def _spectrum(self) -> Spectrum:
        cure = "use a smaller in_size, or scipy.sparse.linalg.svds(op) or lsmr(op, y), which take this operator"
        refuse_large("the matrix", self.shape, cure)
        return Spectrum.of("the matrix", self.matrix().toarray())

    def _layer(self, dtype: np.dtype[Any]) -> Layer:
        """The layer that computes in `dtype`."""
        if dtype not in self._layers:
            self._layers[dtype] = prepare(self.weight.astype(dtype, copy=False), None, self.geometry, self.groups)
        return self._layers[dtype]

    # what LinearOperator asks of its subclasses: X holds one input per column

    def _matmat(self, X: Array) -> Array:
        dtype = np.result_type(self.dtype, X.dtype)
        x = X.T.astype(dtype, copy=False).reshape(X.shape[1], *self.in_shape)
        return self._layer(dtype)(x).reshape(X.shape[1], self.shape[0]).T

    def _rmatmat(self, X: Array) -> Array:
        y = X.conj().T.reshape(X.shape[1], *self.out_shape)
        return self.forward(y).conj().reshape(X.shape[1], self.shape[1]).T

    def _matvec(self, x: Array) -> Array:
        return self._matmat(x.reshape(-1, 1)).ravel()

    def _rmatvec(self, x: Array) -> Array:
        return self._rmatmat(x.reshape(-1, 1)).ravel()

    def __reduce__(self) -> Any:
        return operator, (self.geometry, self.in_shape[1:], self.weight, self.groups)

    def __repr__(self) -> str:
        sizes = f"{self.in_shape} -> {self.out_shape}, groups {self.groups}"
        return f"<{self.shape[0]}x{self.shape[1]} TransposedConvolution {sizes}, {self.geometry}, {self.dtype}>"


def operator(geometry: Geometry, in_size: Ints, weight: Any, groups: int = 1) -> TransposedConvolution:
    """The transposed convolution of inputs of one size, without bias, as a linear operator.

    Args:
        geometry: stride, dilation and crop; its kernel must be the weight's.
        in_size: spatial size of the input: an int, or one per axis, each at least 1.
        weight: (in_channels, out_channels/groups, *kernel); integers, or floats and complex of 32 bits or more.
        groups: number of channel groups.

    Raises:
        RankError, ChannelError, KernelError, DtypeError, InputSizeError, EmptyOutputError: as their names say.

    >>> op = operator(Geometry(2, stride=2), 3, [[[1.0, 2.0]]])
    >>> op @ [1, 0, -1]
    array([ 1.,  2.,  0.,  0., -1., -2.])
    >>> op.H @ [1, 1, 1, 1, 1, 1], op.rank(), op.matrix().nnz
    (array([3., 3., 3.]), 3, 6)
    """
    return TransposedConvolution(geometry, in_size, weight, groups)


def _random(rng: np.random.Generator, size: int, dtype: np.dtype[Any]) -> Array:
    """A vector of normally distributed numbers, of a float or complex dtype."""
    real, imaginary = rng.standard_normal((2, size))
    vector: Array = real + 1j * imaginary if dtype.kind == "c" else real
    return vector.astype(dtype)


def _weight(value: Any) -> Array:
    """A read-only copy in native byte order, of a dtype that SciPy has linear algebra for."""
    weight = as_array("weight", value)
    if weight.dtype.kind not in "iufc" or weight.dtype.name in ("float16", "bfloat16"):
        raise errors.DtypeError(
            f"weight has dtype {weight.dtype}, which SciPy's linear algebra does not have; convert it: "
            f"weight.astype('float32')"
        )
    weight = weight.astype(weight.dtype.newbyteorder("="), order="C")
    weight.setflags(write=False)
    return weight
