"""`Signature`: all of a layer but its numbers, and what that says about the arrays of a call."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from math import prod
from typing import Any, NoReturn

import numpy as np

from tconv import errors, native
from tconv.arrays import Array, Shape, layout
from tconv.geometry import Geometry

CACHE_LINE = 64
LARGE = 1 << 20


class Signature:
    """All of a layer but its numbers: judged once, and shared by the layers that have it in common. It keeps no array.

    Attributes:
        geometry, groups, dtype: those of `Layer`.
        weight, bias: their shapes; None where there is no bias.
        core_dtype: what the compiled core reads and writes, the dtype itself; None if NumPy has to compute.
    """

    def __init__(self, geometry: Geometry, groups: int, weight: Shape, bias: Shape | None, scalar: type[Any]):
        self.geometry = geometry
        self.groups = groups
        self.weight = weight
        self.bias = bias
        self.dtype: np.dtype[Any] = np.dtype(scalar)  # in native byte order
        self.core_dtype = core_dtype(self.dtype)
        self._results: dict[Shape, tuple[Shape, bool]] = {}  # what `_result` said, by the input's shape

    def __reduce__(self) -> tuple[Any, ...]:
        return Signature, (self.geometry, self.groups, self.weight, self.bias, self.dtype.type)

    def readable(self, weight: Array, bias: Array | None) -> tuple[Array, Array | None]:
        """The numbers as the compiled core, if it runs, can read them: the arrays themselves, or copies."""
        core = self.core_dtype
        if core is None:
            return weight, bias
        return _contiguous(weight, core), None if bias is None else _contiguous(bias, core)

    def result(self, x: Array, out: Array | None) -> Array:
        """Where the result for `x` goes: `out`, once it is judged, or else a new array."""
        shape, fits = self._results.get(x.shape) or self._result(x.shape)
        if out is not None:
            _check_out(out, shape, self.dtype, x)
            return out
        if not fits:
            refuse(shape, self.dtype)
        if x.flags.c_contiguous:
            return new(shape, self.dtype)
        return _new_like(x, shape, len(shape) - len(self.weight) + 1, self.dtype)

    def result_shape(self, input: Shape) -> Shape:
        """(batch, out_channels, *out_size), or without the batch."""
        return (self._results.get(input) or self._result(input))[0]

    def _result(self, input: Shape) -> tuple[Shape, bool]:
        """The result's shape, and whether it fits into this machine's memory; judged once, then remembered."""
        sizes = layout(input, self.weight, self.bias, self.groups)
        shape = sizes.result_shape(self.geometry.output_size(sizes.in_size))
        if len(self._results) >= 256:
            self._results.clear()
        result = self._results[input] = shape, prod(shape) * self.dtype.itemsize <= _memory()
        return result


def core_dtype(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """`dtype` if the compiled core computes it, None if NumPy has to."""
    return np.dtype(dtype.type) if dtype.name in native.LAYERS else None  # the one object that NumPy's own arrays carry


def readable(array: Array, core_dtype: np.dtype[Any]) -> Array:
    """The array as the compiled core can read it: itself, or an aligned copy."""
    return array if array.dtype is core_dtype and array.flags.aligned else array.astype(core_dtype)


def refuse(shape: Shape, dtype: np.dtype[Any]) -> NoReturn:
    """Refuse a result larger than the memory before it is allocated."""
    size = prod(shape) * dtype.itemsize
    if size >= 2**63:
        raise errors.SizeOverflowError(
            f"a result of shape {shape}, dtype {dtype}, has {size} bytes; 64 bits cannot count them"
        )
    raise errors.ResultTooLargeError(
        f"a result of shape {shape}, dtype {dtype}, needs {size / 2**30:.1f} GiB; this machine has "
        f"{_memory() / 2**30:.1f} GiB: run it in parts, or give an `out` on disk (numpy.memmap)"
    )


def _contiguous(array: Array, core_dtype: np.dtype[Any]) -> Array:
    return np.ascontiguousarray(readable(array, core_dtype))


def new(shape: Shape, dtype: np.dtype[Any]) -> Array:
    """A new array. A large one begins a cache line, as NumPy's own do not: so the core can write it past the caches."""
    size = prod(shape) * dtype.itemsize
    if size < LARGE or dtype.hasobject:
        return np.empty(shape, dtype)
    memory = np.empty(size + CACHE_LINE, np.uint8)
    begin = -memory.ctypes.data % CACHE_LINE
    return memory[begin : begin + size].view(dtype).reshape(shape)


def _new_like(x: Array, shape: Shape, channel: int, dtype: np.dtype[Any]) -> Array:
    """A new array, channels-last in memory if `x` is; `channel` is the axis of the channels."""
    front, back = range(channel), range(channel, x.ndim - 1)
    last = (*front, *(axis + 1 for axis in back), channel)
    if not x.transpose(last).flags.c_contiguous:
        return new(shape, dtype)
    return new(tuple(shape[axis] for axis in last), dtype).transpose(*front, x.ndim - 1, *back)


def _check_out(out: Array, shape: Shape, dtype: np.dtype[Any], x: Array) -> None:
    """Refuse an `out` that the result cannot be written to safely."""
    if not isinstance(out, np.ndarray):
        raise errors.OutError(f"out must be a NumPy array, not {type(out).__name__}")
    if out.shape != shape:
        raise errors.OutError(f"out has shape {out.shape}, the result has {shape}; give an array of that shape")
    if out.dtype != dtype:
        raise errors.OutError(f"out has dtype {out.dtype}, the result has {dtype}; give an array of that dtype")
    if not out.flags.writeable:
        raise errors.OutError("out is read-only; give a writeable array")
    if not out.flags.c_contiguous and _overlaps_itself(out):
        raise errors.OutError(f"out overlaps itself (shape {shape}, strides {out.strides}); give one cell per result")
    if np.may_share_memory(out, x) and _share_memory(out, x):
        raise errors.OutError("out shares memory with the input, which is still read while out is written; copy one")


def _overlaps_itself(array: Array) -> bool:
    """Whether two indices may name the same memory: some axis steps within the span of the smaller ones."""
    span = array.itemsize
    for step, n in sorted((abs(step), n) for step, n in zip(array.strides, array.shape, strict=True) if n > 1):
        if step < span:
            return True
        span += step * (n - 1)
    return False


def _share_memory(a: Array, b: Array) -> bool:
    try:
        return np.shares_memory(a, b, max_work=10_000)  # type: ignore[arg-type]  # any bound is accepted; the stub lists two
    except np.exceptions.TooHardError:
        return True


@lru_cache(maxsize=1)
def _memory() -> int:
    """Bytes of physical memory; where the system does not say, so many that no result is too large."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return sys.maxsize
