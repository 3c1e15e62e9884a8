"""`Layer`: a transposed convolution whose weights are packed once and which then runs on any input size."""

from __future__ import annotations

import os
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from tconv import errors, native
from tconv.arrays import Array, Shape, as_array, check_weight, layout, same_dtype
from tconv.forms import taps
from tconv.geometry import Geometry

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu")


class Layer:
    """A prepared transposed convolution; `layer(x, out=None)` runs it. Made by `prepare`.

    float32 and float64 run in the compiled core; float16 and bfloat16 are computed in float32 and rounded once;
    integers (which wrap as NumPy's do), complex, long double and object arrays run in NumPy: `tconv.forms.taps`.

    Attributes:
        geometry: kernel, stride, dilation and crop.
        groups: channel groups.
        dtype: of weight, bias, input and output.
    """

    def __init__(
        self, weight: Array, bias: Array | None, geometry: Geometry, groups: int, activation: str, slope: float
    ):
        self.geometry = geometry
        self.groups = groups
        self.dtype: np.dtype[Any] = np.dtype(weight.dtype.type)  # in native byte order
        self._shape = weight.shape
        self._bias_shape = None if bias is None else bias.shape
        self._native_dtype = _native_dtype(self.dtype)
        self._results: dict[Shape, tuple[bool, Shape]] = {}  # of the input shapes met so far
        if self._native_dtype:
            weight = weight.astype(self._native_dtype, copy=False)
            bias = None if bias is None else bias.astype(self._native_dtype, copy=False)
            self._packed = native.pack(geometry, weight, bias, groups, activation, slope)
        else:
            self._weight, self._bias = weight.astype(self.dtype), None if bias is None else bias.astype(self.dtype)

    def __call__(self, input: Any, out: Array | None = None) -> Array:
        """The transposed convolution of `input`.

        Args:
            input: (batch, in_channels, *in_size), or (in_channels, *in_size) without a batch. Never modified. One that
                is not aligned and in native byte order is copied first.
            out: where the result goes; it must have the result's shape and dtype and share no memory with the input.

        Returns:
            (batch, out_channels, *out_size), C-contiguous, or channels-last in memory if the input is; or `out`.

        Raises:
            RankError, ChannelError, InputSizeError, DtypeError, OutError: as their names say.
            EmptyOutputError, SizeOverflowError, ResultTooLargeError: about the output's size.
        """
        x = as_array("input", input)
        if x.dtype is not self.dtype:
            same_dtype(self.dtype, input=x)
        batched, shape = self._results.get(x.shape) or self._result(x.shape)
        if out is None:
            y = _new_result(x, shape, int(batched), self.dtype)
        else:
            y = out
            _check_out(out, shape, self.dtype, x)
        if batched:
            self._run(x, y)
        else:
            self._run(x[None], y[None])
        return y

    def _result(self, shape: Shape) -> tuple[bool, Shape]:
        """Whether an input of this shape has a batch, and the shape of its result; judged once, then remembered."""
        sizes = layout(shape, self._shape, self._bias_shape, self.groups)
        if len(self._results) >= 1024:
            self._results.clear()
        result = (sizes.batched, sizes.result_shape(self.geometry.output_size(sizes.in_size)))
        self._results[shape] = result
        return result

    def _run(self, x: Array, y: Array) -> None:
        if self._native_dtype is None:
            y[...] = taps.run(self.geometry, x.astype(self.dtype, copy=False), self._weight, self._bias, self.groups)
            return
        if x.dtype is not self._native_dtype or not x.flags.aligned:
            x = x.astype(self._native_dtype)
        if self._native_dtype is self.dtype and y.flags.aligned:
            self._packed.run(x, y)
            return
        wide = np.empty(y.shape, self._native_dtype)
        self._packed.run(x, wide)
        with np.errstate(over="ignore"):  # beyond float16 lies Inf, as in PyTorch
            y[...] = wide.astype(self.dtype, copy=False)  # the one rounding

    def __repr__(self) -> str:
        channels = f"{self._shape[0]} -> {self._shape[1] * self.groups} channels"
        how = native.active() if self._native_dtype else "NumPy"
        return f"<tconv.Layer {channels}, groups {self.groups}, {self.geometry}, {self.dtype}, runs on {how}>"


def prepare(
    weight: Any,
    bias: Any = None,
    geometry: Geometry | None = None,
    groups: int = 1,
    activation: str | tuple[str, float] | None = None,
) -> Layer:
    """Pack the weights of a transposed convolution once; the `Layer` returned runs on any input size.

    Args:
        weight: (in_channels, out_channels/groups, *kernel); copied.
        bias: (out_channels,) or None; copied.
        geometry: stride, dilation and crop; its kernel must be the weight's. Default: `Geometry(kernel)`.
        groups: number of channel groups.
        activation: applied to the result: one of relu, leaky_relu, tanh, sigmoid, gelu, silu, as in
            torch.nn.functional; or ("leaky_relu", slope), default slope 0.01. Floating-point dtypes only.

    Raises:
        RankError, ChannelError, KernelError, BiasError, DtypeError, ActivationError: as their names say.

    >>> import numpy as np
    >>> layer = prepare(np.ones((1, 1, 2)), geometry=Geometry(2, stride=2), activation="relu")
    >>> layer(np.array([[1.0, -1.0, 2.0]]))
    array([[1., 1., 0., 0., 2., 2.]])
    """
    weight = as_array("weight", weight)
    bias = None if bias is None else as_array("bias", bias)
    same_dtype(weight.dtype, bias=bias)
    check_weight(weight.shape, None if bias is None else bias.shape, groups)
    geometry = Geometry(weight.shape[2:]) if geometry is None else geometry
    if geometry.kernel != weight.shape[2:]:
        raise errors.KernelError(f"weight {weight.shape} does not have the geometry's kernel {geometry.kernel}")
    return Layer(weight, bias, geometry, groups, *_activation(activation, weight.dtype))


def _native_dtype(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """The dtype that the compiled core computes `dtype` in; None if NumPy has to."""
    if dtype in native.LAYERS:
        return np.dtype(dtype.type)  # the one object that NumPy's own arrays carry
    return np.dtype(np.float32) if dtype.name in ("float16", "bfloat16") else None


def _activation(activation: str | tuple[str, float] | None, dtype: np.dtype[Any]) -> tuple[str, float]:
    if activation is None:
        return "", 0.0
    name, slope = activation if isinstance(activation, tuple) and len(activation) == 2 else (activation, 0.01)
    if name not in ACTIVATIONS or not isinstance(slope, int | float) or (slope != 0.01 and name != "leaky_relu"):
        raise errors.ActivationError(
            f"activation {activation!r} is unknown; choose one of {', '.join(ACTIVATIONS)} or ('leaky_relu', slope)"
        )
    if _native_dtype(dtype.newbyteorder("=")) is None:
        raise errors.ActivationError(
            f"activation {name} is not defined here for dtype {dtype}; use a floating-point dtype"
        )
    return str(name), float(slope)


def _new_result(x: Array, shape: Shape, channel: int, dtype: np.dtype[Any]) -> Array:
    """An array for the result, channels-last in memory if `x` is; refused before allocation if it cannot fit."""
    size = prod(shape) * dtype.itemsize
    if size >= 2**63:
        raise errors.SizeOverflowError(
            f"a result of shape {shape}, dtype {dtype}, has {size} bytes; 64 bits cannot count them"
        )
    if size > _memory():
        raise errors.ResultTooLargeError(
            f"a result of shape {shape}, dtype {dtype}, needs {size / 2**30:.1f} GiB; this machine has "
            f"{_memory() / 2**30:.1f} GiB: run it in parts, or give an `out` on disk (numpy.memmap)"
        )
    if not x.flags.c_contiguous and np.moveaxis(x, channel, -1).flags.c_contiguous:
        return np.moveaxis(np.empty((*shape[:channel], *shape[channel + 1 :], shape[channel]), dtype), -1, channel)
    return np.empty(shape, dtype)


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
    """Bytes of physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
