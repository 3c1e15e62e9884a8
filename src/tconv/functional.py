"""The operator, with the signature of torch.nn.functional.conv_transpose1d, 2d and 3d: on NumPy arrays here, and on
tensors of PyTorch and arrays of JAX by what is beside this module for them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, cast

import numpy as np

from tconv import errors
from tconv.arrays import Array, Shape, as_array, check_weight, layout, package_of, same_dtype
from tconv.geometry import Geometry, Sizes
from tconv.geometry.arguments import Ints, Padding, is_sequence, per_axis
from tconv.layer import run_once
from tconv.signature import Signature

# What comes in goes out: where arrays of other packages are computed. Loaded when the first one comes.
_ELSEWHERE = {"torch": "tconv.nn.arrays", "jax": "tconv.jax.arrays", "jaxlib": "tconv.jax.arrays"}


def conv_transpose(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    output_size: Ints | None = None,
    out: Array | None = None,
) -> Array:
    """The transposed convolution of arrays, in as many spatial axes as the weight has.

    Args:
        input: (batch, in_channels, *in_size), or (in_channels, *in_size) without a batch; never modified. All arrays
            are of one kind: NumPy's; or, in up to 3 spatial axes, PyTorch's or JAX's, with their gradients and on
            their device.
        weight: (in_channels, out_channels/groups, *kernel), of the input's dtype.
        bias: (out_channels,), of the input's dtype.
        stride: distance between the stamps of neighbouring inputs; an int or one per axis, like the next three.
        padding: cells cropped at both ends; or (lo, hi) pairs per axis, where a negative entry extends the output by
            bias-only cells; or Keras's "same" (out = in*stride) or "valid".
        output_padding: cells added at the high end, `0 <= output_padding < max(stride, dilation)`.
        groups: number of channel groups; the input channels must be a multiple of it.
        dilation: distance between neighbouring taps.
        output_size: the spatial output size to reach, in place of output_padding; longer sequences count from the end,
            so that another array's shape can be given.
        out: where the result goes; may be a strided view. For NumPy's arrays.

    Returns:
        (batch, out_channels, *out_size), or without the batch, of the input's kind and dtype; C-contiguous unless the
        input is channels-last in memory, and then so.

    Raises:
        TconvError: a subclass for each law; see `tconv.errors`. Nothing is allocated before all of them are checked.

    Source: torch.nn.functional.conv_transpose2d, whose values it reproduces.

    >>> import numpy as np
    >>> x, w = np.array([[[0.0, 1], [2, 3]]]), np.array([[[[0.0, 1], [2, 3]]]])
    >>> conv_transpose2d(x, w, padding=1)
    array([[[4.]]])
    """
    return _run(None, input, weight, bias, groups, out, stride, padding, output_padding, dilation, output_size)


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    output_size: Ints | None = None,
    out: Array | None = None,
) -> Array:
    """`conv_transpose` on 1 spatial axis; arguments, result and errors as there."""
    return _run(1, input, weight, bias, groups, out, stride, padding, output_padding, dilation, output_size)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    output_size: Ints | None = None,
    out: Array | None = None,
) -> Array:
    """`conv_transpose` on 2 spatial axes; arguments, result and errors as there."""
    return _run(2, input, weight, bias, groups, out, stride, padding, output_padding, dilation, output_size)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    output_size: Ints | None = None,
    out: Array | None = None,
) -> Array:
    """`conv_transpose` on 3 spatial axes; arguments, result and errors as there."""
    return _run(3, input, weight, bias, groups, out, stride, padding, output_padding, dilation, output_size)


def _run(
    ndim: int | None, input: Any, weight: Any, bias: Any, groups: int, out: Array | None, *geometry_arguments: Any
) -> Array:
    if type(input) is not np.ndarray and (place := _ELSEWHERE.get(package_of(input))):
        run = import_module(place).conv_transpose
        return cast("Array", run(ndim, input, weight, bias, groups, out, *geometry_arguments))
    x, weight = as_array("input", input), as_array("weight", weight)
    bias = None if bias is None else as_array("bias", bias)
    same_dtype(weight.dtype, input=x, bias=bias)
    input_shape = None if geometry_arguments[-1] is None else x.shape  # what does not matter is no part of the key
    shapes = input_shape, weight.shape, None if bias is None else bias.shape
    judge = _known_signature if _are_plain((groups, *geometry_arguments)) else _signature
    return run_once(judge(ndim, *shapes, weight.dtype.type, groups, *geometry_arguments), weight, bias, x, out)


def judged_elsewhere(
    kind: str,
    cure: str,
    is_one: Callable[[Any], bool],
    ndim: int | None,
    input: Any,
    weight: Any,
    bias: Any,
    groups: int,
    out: Any,
    *geometry_arguments: Any,
) -> Geometry:
    """What a call on arrays of another package says, judged: the geometry.

    Args:
        kind: what such an array is called.
        cure: the function that makes one.
        is_one: whether something is one.

    Raises:
        TconvError: as `conv_transpose`, and where weight and bias are of another kind or there is an `out`.
    """
    for name, array in (("weight", weight), ("bias", bias)):
        if not is_one(array) and not (name == "bias" and array is None):
            raise errors.ArgumentTypeError(
                f"{name} is a {type(array).__name__}, the input a {kind}; pass arrays of one kind: {cure}({name})"
            )
    if out is not None:
        raise errors.OutError(f"out is for NumPy arrays; leave it out for a {kind}, whose memory is not tconv's")
    shape, biases = tuple(weight.shape), None if bias is None else tuple(bias.shape)
    check_weight(shape, biases, groups, ndim)
    if len(shape) > 5:
        raise errors.RankError(
            f"weight has shape {shape}; of a {kind} 1 to 3 spatial axes are computed: pass NumPy arrays for more"
        )
    in_size = layout(tuple(input.shape), shape, biases, groups).in_size
    geometry = geometry_of(shape[2:], in_size, *geometry_arguments)
    geometry.output_size(in_size)
    return geometry


def _signature(
    ndim: int | None,
    input: Shape | None,
    weight: Shape,
    bias: Shape | None,
    scalar: type[Any],
    groups: int,
    *geometry_arguments: Any,
) -> Signature:
    """What the shapes, the dtype and the arguments of a call say, judged; the input's where an output_size is given."""
    check_weight(weight, bias, groups, ndim)
    in_size = layout(input, weight, bias, groups).in_size if input else None
    return Signature(geometry_of(weight[2:], in_size, *geometry_arguments), int(groups), weight, bias, scalar)


def geometry_of(
    kernel: Sizes,
    in_size: Sizes | None,
    stride: Ints,
    padding: Padding,
    output_padding: Ints,
    dilation: Ints,
    output_size: Any,
) -> Geometry:
    """The geometry of a call; it depends on the input's size where an output_size is given."""
    geometry = Geometry.from_torch(kernel, stride, padding, output_padding, dilation, ndim=len(kernel))
    if output_size is None or in_size is None:
        return geometry
    geometry.output_size(in_size)
    if any(per_axis("output_padding", output_padding, geometry.ndim)):
        raise errors.OutputPaddingError(
            f"output_padding {output_padding} and output_size {output_size} both choose the size; give one of them"
        )
    if is_sequence(output_size) and 0 < len(output_size) - geometry.ndim <= 2:
        output_size = tuple(output_size)[-geometry.ndim :]
    return geometry.padded_by(geometry.output_padding_for(in_size, output_size))


_known_signature = lru_cache(maxsize=256)(_signature)

_INT, _SCALARS = frozenset({int}), frozenset({int, str, type(None)})


def _are_plain(values: tuple[Any, ...]) -> bool:
    """Arguments that are safe as a cache key: 2.0 and True equal 2 as keys, and must not be answered like it."""
    return _SCALARS.issuperset(map(type, values)) or all(map(_is_plain, values))


def _is_plain(value: Any) -> bool:
    return type(value) in _SCALARS or (type(value) is tuple and _INT.issuperset(map(type, value)))
