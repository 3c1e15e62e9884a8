"""`Layer`: a transposed convolution whose weights are packed once and which then runs on any input size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from tconv import errors, native
from tconv.arrays import Array, Shape, as_array, check_weight, same_dtype
from tconv.forms import taps
from tconv.geometry import Geometry
from tconv.native import Source, Workers
from tconv.signature import Signature, core_dtype, readable, refuse

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu")


@dataclass(frozen=True)
class Plan:
    """What `Layer.plan` says.

    Attributes:
        output_shape: (batch, out_channels, *out_size), or without the batch.
        way: "pixels" (neighbouring pixels fill the vectors), "cells" (outputs of one cell fill them), "depthwise",
            "winograd_6x6", "winograd_4x4" or "winograd_line" (see `prepare`), "reference" (plain loops: that backend,
            or weights that are not finite) or "NumPy" (no native dtype).
        workspace_bytes: what each thread needs beside input, output and packed weights; None where NumPy computes.
    """

    output_shape: Shape
    way: str
    workspace_bytes: int | None


class Layer:
    """A prepared transposed convolution; `layer(x, out=None)` runs it. Made by `prepare`.

    float32, float64, float16 and bfloat16 run in the compiled core. There half precision is added up in float32, bias
    and activation are applied, and the result is rounded once (of bfloat16, numbers below 1.2e-38 may count as zeros).
    Integers (which wrap as NumPy's do), complex, long double and object arrays run in NumPy: `tconv.forms.taps`.

    Attributes:
        geometry: kernel, stride, dilation and crop.
        groups: channel groups.
        dtype: of weight, bias, input and output.
        exchanged: axes of the batches that `exchange` takes; 0 if it takes none, because NumPy computes.
    """

    def __init__(
        self,
        signature: Signature,
        weight: Array,
        bias: Array | None,
        activation: str = "",
        slope: float = 0.0,
        keeps: bool = True,  # whether it has a copy of the weight; else each call brings their source
        winograd: bool = False,
    ):
        self.geometry = signature.geometry
        self.groups = signature.groups
        self.dtype = signature.dtype
        self._signature = signature
        self._core_dtype = core = signature.core_dtype
        self.exchanged = len(signature.weight) if core else 0
        self._half = core is not None and core.itemsize == 2
        self._more = activation, slope, keeps, winograd
        if core:
            self._compiled = native.pack(signature.geometry, weight, bias, signature.groups, *self._more)
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

    def computed(self, input: Any, out: Array | None, source: Source | None, workers: Workers) -> Array:
        """As a call, with the weights and the threads that the caller has; `source` and `workers` as in `exchange`."""
        x = as_array("input", input)
        same_dtype(self.dtype, input=x)
        y = self._signature.result(x, out)
        self._run(x, y, source, workers)
        return y

    def exchange(
        self,
        input: Any,
        input_shape: Shape,
        last: bool = False,
        source: Source | None = None,
        workers: Workers = native.OWN,
    ) -> Any:
        """As a call, from a DLPack capsule to a new one: turning a tensor into an array and back takes longer.

        A large result lies in memory that is used again when the result is gone.

        Args:
            input: a capsule with a batch of `exchanged` axes, of the layer's dtype and on the CPU.
            input_shape: the shape of that batch, which Python cannot read from a capsule.
            last: make the result channels-last in memory; default: if the input is.
            source: for a layer of `prepare_lent`: a callable without arguments that returns (weight, bias) as
                C-contiguous arrays with the very numbers that the layer was made from. It is called where they have
                to be packed for a way of computing that has no pack yet.
            workers: how many threads (0: as `tconv.set_num_threads` says), and whether they are the team that
                `tconv.native.join_team` made known.

        Raises:
            TypeError: the capsule holds something else.
            BufferError: it holds no memory.
            RankError, ChannelError, EmptyOutputError, SizeOverflowError, ResultTooLargeError: as a call.
        """
        signature = self._signature
        shape, fits = signature._results.get(input_shape) or signature._result(input_shape)
        if not fits:
            refuse(shape, self.dtype)
        if self._half:
            source = self._bits_of(source)
        return self._compiled.result(input, shape, last, source, workers[0], workers[1])

    def _bits_of(self, source: Source | None) -> Source | None:
        """A source whose weight is as the core takes it; what is of another dtype is left to the core to refuse."""
        if source is None:
            return None

        def lent() -> Any:
            numbers: Any = source()
            weight: Any = numbers[0] if isinstance(numbers, tuple) and numbers else None
            return (native.bits(weight), None) if getattr(weight, "dtype", None) == self.dtype else numbers

        return lent

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
        way, workspace = self._compiled.account(*x, *y)
        return Plan(output_shape, way, workspace)

    def _run(self, x: Array, y: Array, source: Source | None = None, workers: Workers = native.OWN) -> None:
        """Write the result for `x` into `y`; both are judged."""
        if x.ndim < len(self._signature.weight):
            x, y = x[None], y[None]
        core = self._core_dtype
        if core is None:
            y[...] = taps.run(self.geometry, x.astype(self.dtype, copy=False), self._weight, self._bias, self.groups)
            return
        x = readable(x, core)
        aligned = y if y.flags.aligned else np.empty(y.shape, core)
        if self._half:
            self._compiled.run(x.view(np.uint16), aligned.view(np.uint16), self._bits_of(source), *workers)
        else:
            self._compiled.run(x, aligned, source, workers[0], workers[1])
        if aligned is not y:
            y[...] = aligned

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied as what it was made from; packed again, for the machine it comes to, when it is run."""
        weight, bias = self._numbers()
        if weight is None:
            raise errors.ArgumentTypeError(
                f"{self!r} keeps no weights and so cannot be copied or pickled; make it anew from the weights"
            )
        return Layer, (self._signature, weight, bias, *self._more)

    def _numbers(self) -> tuple[Any, Any]:
        """Weight and bias as arrays of the layer's dtype; None for a weight that it does not keep."""
        if not self._core_dtype:
            return self._weight, self._bias
        weight, bias = cast("tuple[Any, Any]", self._compiled.numbers)
        if self._half:
            weight = None if weight is None else weight.view(self.dtype)
            bias = None if bias is None else bias.astype(self.dtype)
        return weight, bias

    def __repr__(self) -> str:
        shape = self._signature.weight
        channels = f"{shape[0]} -> {shape[1] * self.groups} channels"
        how = native.active() if self._core_dtype else "NumPy"
        return f"<tconv.Layer {channels}, groups {self.groups}, {self.geometry}, {self.dtype}, runs on {how}>"


def run_once(signature: Signature, weight: Array, bias: Array | None, x: Array, out: Array | None) -> Array:
    """The result of a layer that is not kept; its weights are packed after everything has been judged."""
    y = signature.result(x, out)
    weight, bias = signature.readable(weight, bias)
    keeps = out is not None  # which may lie on the weight
    Layer(signature, weight, bias, keeps=keeps)._run(x, y, lambda: (weight, bias))
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
        winograd: allow Winograd's algorithm (Winograd 1980; Lavin and Gray, CVPR 2016), with up to 4 times fewer
            multiplications, where it pays: on channels-last arrays whose last two axes have two or three taps per phase
            and dilation 1, with many channels (F(4, 3) on each axis where maps are large and both have three taps, else
            F(2, 3) and F(3, 2)); and, but for half precision, on channels-first arrays of one axis with stride 1 and
            three or more taps, of any dilation up to some dozens (F(4, 4)). Rounding errors are then relative to the
            largest inputs of a neighbourhood (of 6x6, of 4x4, or of all that four outputs of one axis read) instead of
            each output's own, and of 6x6 about twice as large as without; NaN and Inf still stay where they belong.

    Raises:
        RankError, ChannelError, KernelError, BiasError, DtypeError, ActivationError: as their names say.
        SizeOverflowError: a number of the geometry does not fit into 64 bits.
        ArgumentTypeError: winograd is neither True nor False.

    >>> import numpy as np
    >>> layer = prepare(np.ones((1, 1, 2)), geometry=Geometry(2, stride=2), activation="relu")
    >>> layer(np.array([[1.0, -1.0, 2.0]]))
    array([[1., 1., 0., 0., 2., 2.]])
    """
    return _prepared(weight, bias, geometry, groups, activation, winograd, True)


def prepare_lent(
    weight: Any,
    bias: Any = None,
    geometry: Geometry | None = None,
    groups: int = 1,
    activation: str | tuple[str, float] | None = None,
    winograd: bool = False,
) -> Layer:
    """A `Layer` that keeps no copy of its weight, for arrays that live elsewhere anyway, as PyTorch's do.

    Its calls, `exchange` and `computed`, bring a `source` of the numbers. What they are packed into takes at most twice
    the weight's memory, in any number of sizes, layouts and ways of computing. It cannot be copied or pickled.

    Args and errors as `prepare`; only dtypes that the compiled core computes.
    """
    layer = _prepared(weight, bias, geometry, groups, activation, winograd, False)
    if not layer.exchanged:
        raise errors.DtypeError(
            f"a layer of dtype {layer.dtype} keeps its weights; use float32, float64, bfloat16 or float16"
        )
    return layer


def _prepared(
    weight: Any,
    bias: Any,
    geometry: Geometry | None,
    groups: int,
    activation: str | tuple[str, float] | None,
    winograd: bool,
    keeps: bool,
) -> Layer:
    weight = as_array("weight", weight)
    bias = None if bias is None else as_array("bias", bias)
    same_dtype(weight.dtype, bias=bias)
    check_weight(weight.shape, None if bias is None else bias.shape, groups)
    geometry = Geometry(weight.shape[2:]) if geometry is None else geometry
    if geometry.kernel != weight.shape[2:]:
        raise errors.KernelError(f"weight {weight.shape} does not have the geometry's kernel {geometry.kernel}")
    geometry.check_numbers()
    if not isinstance(winograd, bool | np.bool_):
        raise errors.ArgumentTypeError(f"winograd {winograd!r} must be True or False")
    name, slope = _activation(activation, weight.dtype)
    shapes = weight.shape, None if bias is None else bias.shape
    signature = Signature(geometry, int(groups), *shapes, weight.dtype.type)
    return Layer(signature, *signature.readable(weight, bias), name, slope, keeps, bool(winograd))


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
    if core_dtype(dtype.newbyteorder("=")) is None:
        raise errors.ActivationError(
            f"activation {name} is not defined here for dtype {dtype}; use a floating-point dtype"
        )
    return str(name), float(slope)
