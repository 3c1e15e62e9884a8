"""`Layer`: a transposed convolution whose weights are packed once and which then runs on any input size."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, NoReturn

import numpy as np

from tconv import errors, native
from tconv.arrays import Array, Shape, as_array, check_weight, layout, same_dtype
from tconv.forms import taps
from tconv.geometry import Geometry

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu")


class Signature:
    """All of a layer but its numbers: judged once, and shared by the layers that have it in common. It keeps no array.

    Attributes:
        geometry, groups, dtype: those of `Layer`.
        weight, bias: their shapes; None where there is no bias.
        core_dtype: what the compiled core computes in; None if NumPy has to.
    """

    def __init__(self, geometry: Geometry, groups: int, weight: Shape, bias: Shape | None, scalar: type[Any]):
        self.geometry = geometry
        self.groups = groups
        self.weight = weight
        self.bias = bias
        self.dtype: np.dtype[Any] = np.dtype(scalar)  # in native byte order
        self.core_dtype = _core_dtype(self.dtype)
        self._results: dict[Shape, tuple[Shape, bool]] = {}  # what `_result` said, by the input's shape

    def result(self, x: Array, out: Array | None) -> Array:
        """Where the result for `x` goes: `out`, once it is judged, or else a new array."""
        shape, fits = self._results.get(x.shape) or self._result(x.shape)
        if out is not None:
            _check_out(out, shape, self.dtype, x)
            return out
        if not fits:
            _refuse(shape, self.dtype)
        if x.flags.c_contiguous:
            return np.empty(shape, self.dtype)
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


@dataclass(frozen=True)
class Plan:
    """What `Layer.plan` says.

    Attributes:
        output_shape: (batch, out_channels, *out_size), or without the batch.
        way: "pixels" (neighbouring pixels fill the vectors), "cells" (outputs of one cell fill them), "depthwise",
            "winograd" (see `prepare`), "reference" (plain loops: that backend, or weights that are not finite) or
            "NumPy" (no native dtype).
        workspace_bytes: what each thread needs beside input, output and packed weights; None where NumPy computes.
    """

    output_shape: Shape
    way: str
    workspace_bytes: int | None


class Layer:
    """A prepared transposed convolution; `layer(x, out=None)` runs it. Made by `prepare`.

    float32 and float64 run in the compiled core; float16 and bfloat16 are computed in float32 and rounded once;
    integers (which wrap as NumPy's do), complex, long double and object arrays run in NumPy: `tconv.forms.taps`.

    Attributes:
        geometry: kernel, stride, dilation and crop.
        groups: channel groups.
        dtype: of weight, bias, input and output.
        exchanged: axes of the batches that `exchange` takes; 0 if it takes none, because numbers are converted.
    """

    def __init__(
        self,
        signature: Signature,
        weight: Array,
        bias: Array | None,
        activation: str = "",
        slope: float = 0.0,
        lent: bool = False,  # the numbers are kept as they are, not copied: for a layer that lives as long as one call
        winograd: bool = False,
    ):
        self.geometry = signature.geometry
        self.groups = signature.groups
        self.dtype = signature.dtype
        self._signature = signature
        self._core_dtype = core = signature.core_dtype
        self.exchanged = len(signature.weight) if core is self.dtype else 0
        if core:
            weight = np.ascontiguousarray(_readable(weight, core))
            bias = None if bias is None else np.ascontiguousarray(_readable(bias, core))
            numbers = signature.geometry, weight, bias, signature.groups
            self._packed = native.pack(*numbers, activation, slope, lent, winograd)
            self._lent = (weight, bias) if lent else None
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
        if type(input) is np.ndarray and input.dtype is self.dtype:
            x = input
        else:
            x = as_array("input", input)
            same_dtype(self.dtype, input=x)
        y = self._signature.result(x, out)
        self._run(x, y)
        return y

    def exchange(self, input: Any, input_shape: Shape, last: bool = False) -> Any:
        """As a call, from a DLPack capsule to a new one: turning a tensor into an array and back takes longer.

        A large result lies in memory that is used again when the result is gone.

        Args:
            input: a capsule with a batch of `exchanged` axes, of the layer's dtype and on the CPU.
            input_shape: the shape of that batch, which Python cannot read from a capsule.
            last: make the result channels-last in memory; default: if the input is.

        Raises:
            TypeError: the capsule holds something else.
            BufferError: it holds no memory.
            RankError, ChannelError, EmptyOutputError, SizeOverflowError, ResultTooLargeError: as a call.
        """
        signature = self._signature
        shape, fits = signature._results.get(input_shape) or signature._result(input_shape)
        if not fits:
            _refuse(shape, self.dtype)
        return self._packed.result(input, shape, last)

    def result_shape(self, input_shape: Shape) -> Shape:
        """(batch, out_channels, *out_size) for an input of this shape, or without the batch; raises what a call would.

        >>> import numpy as np
        >>> prepare(np.ones((8, 4, 2, 2), np.float32)).result_shape((1, 8, 5, 5))
        (1, 4, 6, 6)
        """
        return self._signature.result_shape(input_shape)

    def plan(self, input_shape: Shape, channels_last: bool = False) -> Plan:
        """How an input of this shape would be computed, without computing it.

        Args:
            input_shape: (batch, in_channels, *in_size), or (in_channels, *in_size).
            channels_last: whether the channels of a pixel are neighbours in memory, in input and output.

        Raises:
            RankError, ChannelError, InputSizeError, EmptyOutputError, SizeOverflowError: as their names say.

        >>> import numpy as np
        >>> prepare(np.ones((8, 8, 2, 2), np.float32)).plan((1, 8, 5, 5)).output_shape
        (1, 8, 6, 6)
        """
        output_shape = self._signature.result_shape(tuple(input_shape))
        if self._core_dtype is None:
            return Plan(output_shape, "NumPy", None)
        shapes = [
            shape if len(shape) == len(self._signature.weight) else (1, *shape) for shape in (input_shape, output_shape)
        ]
        x, y = ((shape, _strides(shape, channels_last)) for shape in shapes)
        way, workspace = self._packed.account(*x, *y)
        if self.dtype is not self._core_dtype:  # computed in float32, copies of input and output
            workspace += sum(prod(shape) for shape in shapes) * self._core_dtype.itemsize
        return Plan(output_shape, way, workspace)

    def _run(self, x: Array, y: Array) -> None:
        """Write the result for `x` into `y`; both are judged."""
        if x.ndim < len(self._signature.weight):
            x, y = x[None], y[None]
        core = self._core_dtype
        if core is None:
            y[...] = taps.run(self.geometry, x.astype(self.dtype, copy=False), self._weight, self._bias, self.groups)
            return
        x = _readable(x, core)
        if self.dtype is core and y.flags.aligned:
            self._packed.run(x, y)
            return
        wide = np.empty(y.shape, core)
        self._packed.run(x, wide)
        with np.errstate(over="ignore"):  # beyond float16 lies Inf, as in PyTorch
            y[...] = wide.astype(self.dtype, copy=False)  # the one rounding

    def __repr__(self) -> str:
        shape = self._signature.weight
        channels = f"{shape[0]} -> {shape[1] * self.groups} channels"
        how = native.active() if self._core_dtype else "NumPy"
        return f"<tconv.Layer {channels}, groups {self.groups}, {self.geometry}, {self.dtype}, runs on {how}>"


def run_once(signature: Signature, weight: Array, bias: Array | None, x: Array, out: Array | None) -> Array:
    """The result of a layer that is not kept; its weights are packed after everything has been judged."""
    y = signature.result(x, out)
    Layer(signature, weight, bias, lent=out is None)._run(x, y)  # an `out` may lie on the weight
    return y


def prepare(
    weight: Any,
    bias: Any = None,
    geometry: Geometry | None = None,
    groups: int = 1,
    activation: str | tuple[str, float] | None = None,
    winograd: bool = False,
) -> Layer:
    """Pack the weights of a transposed convolution once; the `Layer` returned runs on any input size.

    Args:
        weight: (in_channels, out_channels/groups, *kernel); copied.
        bias: (out_channels,) or None; copied.
        geometry: stride, dilation and crop; its kernel must be the weight's. Default: `Geometry(kernel)`.
        groups: number of channel groups.
        activation: applied to the result: one of relu, leaky_relu, tanh, sigmoid, gelu, silu, as in
            torch.nn.functional; or ("leaky_relu", slope), default slope 0.01. Floating-point dtypes only.
        winograd: allow Winograd's algorithm, with up to 2.25 times fewer multiplications (F(2, 3) and F(3, 2) on each
            axis; Winograd 1980; Lavin and Gray, CVPR 2016), on channels-last arrays whose last two axes have two or
            three taps per phase and dilation 1, with many channels. Rounding errors are then relative to the largest
            inputs of a neighbourhood of 4x4 instead of each output's own; NaN and Inf still stay where they belong.

    Raises:
        RankError, ChannelError, KernelError, BiasError, DtypeError, ActivationError: as their names say.
        ArgumentTypeError: winograd is neither True nor False.

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
    if not isinstance(winograd, bool | np.bool_):
        raise errors.ArgumentTypeError(f"winograd {winograd!r} must be True or False")
    name, slope = _activation(activation, weight.dtype)
    shapes = weight.shape, None if bias is None else bias.shape
    return Layer(
        Signature(geometry, int(groups), *shapes, weight.dtype.type), weight, bias, name, slope, winograd=bool(winograd)
    )


def _core_dtype(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """The dtype that the compiled core computes `dtype` in; None if NumPy has to."""
    if dtype in native.LAYERS:
        return np.dtype(dtype.type)  # the one object that NumPy's own arrays carry
    return np.dtype(np.float32) if dtype.name in ("float16", "bfloat16") else None


def _readable(array: Array, core_dtype: np.dtype[Any]) -> Array:
    """The array as the compiled core can read it: itself, or an aligned copy."""
    return array if array.dtype is core_dtype and array.flags.aligned else array.astype(core_dtype)


def _strides(shape: Shape, channels_last: bool) -> Shape:
    """In elements, of an array (batch, channels, *size) without gaps."""
    order = (0, *range(2, len(shape)), 1) if channels_last else range(len(shape))
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def _activation(activation: str | tuple[str, float] | None, dtype: np.dtype[Any]) -> tuple[str, float]:
    if activation is None:
        return "", 0.0
    name, slope = activation if isinstance(activation, tuple) and len(activation) == 2 else (activation, 0.01)
    if name not in ACTIVATIONS or not isinstance(slope, int | float) or (slope != 0.01 and name != "leaky_relu"):
        raise errors.ActivationError(
            f"activation {activation!r} is unknown; choose one of {', '.join(ACTIVATIONS)} or ('leaky_relu', slope)"
        )
    if _core_dtype(dtype.newbyteorder("=")) is None:
        raise errors.ActivationError(
            f"activation {name} is not defined here for dtype {dtype}; use a floating-point dtype"
        )
    return str(name), float(slope)


def _refuse(shape: Shape, dtype: np.dtype[Any]) -> NoReturn:
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


def _new_like(x: Array, shape: Shape, channel: int, dtype: np.dtype[Any]) -> Array:
    """A new array, channels-last in memory if `x` is; `channel` is the axis of the channels."""
    front, back = range(channel), range(channel, x.ndim - 1)
    last = (*front, *(axis + 1 for axis in back), channel)
    if not x.transpose(last).flags.c_contiguous:
        return np.empty(shape, dtype)
    return np.empty([shape[axis] for axis in last], dtype).transpose(*front, x.ndim - 1, *back)


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
