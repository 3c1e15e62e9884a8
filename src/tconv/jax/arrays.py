"""`tconv.conv_transpose` and its siblings on JAX's arrays, inside jit, vmap and grad."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from tconv import errors
from tconv.arrays import check_weight, layout
from tconv.functional import geometry_of
from tconv.jax.operator import conv_general_dilated


def conv_transpose(
    ndim: int | None, input: Any, weight: Any, bias: Any, groups: int, out: Any, *geometry_arguments: Any
) -> jax.Array:
    """See `tconv.functional.conv_transpose`, which hands its arguments on in this order."""
    for name, array in (("weight", weight), ("bias", bias)):
        if not isinstance(array, jax.Array) and not (name == "bias" and array is None):
            raise errors.ArgumentTypeError(
                f"{name} is a {type(array).__name__}, the input a jax.Array; pass arrays of one kind: "
                f"jax.numpy.asarray({name})"
            )
        if array is not None and array.dtype != input.dtype:
            raise errors.DtypeError(
                f"{name} has dtype {array.dtype}, the input {input.dtype}; convert one: {name}.astype('{input.dtype}')"
            )
    if out is not None:
        raise errors.OutError("out is for NumPy arrays; leave it out for JAX's, which cannot be written to")
    shape, biases = tuple(weight.shape), None if bias is None else tuple(bias.shape)
    check_weight(shape, biases, groups, ndim)
    if len(shape) > 5:
        raise errors.RankError(
            f"weight has shape {shape}; on JAX's arrays 1 to 3 spatial axes are computed: pass NumPy arrays for more"
        )
    found = layout(tuple(input.shape), shape, biases, groups)
    geometry = geometry_of(shape[2:], found.in_size, *geometry_arguments)
    geometry.output_size(found.in_size)
    letters = "DHW"[3 - geometry.ndim :]
    result = conv_general_dilated(
        input if found.batched else input[None],
        _as_convolution(weight, int(groups)),
        (1,) * geometry.ndim,
        [(axis.extent - 1 - axis.crop_lo, axis.extent - 1 - axis.crop_hi) for axis in geometry.axes],
        lhs_dilation=geometry.stride,
        rhs_dilation=geometry.dilation,
        dimension_numbers=(f"NC{letters}", f"OI{letters}", f"NC{letters}"),
        feature_group_count=int(groups),
        precision="highest",
    )
    if bias is not None:
        result = result + bias.reshape(-1, *(1,) * geometry.ndim)
    return result if found.batched else result[0]


def _as_convolution(weight: Any, groups: int) -> jax.Array:
    """(in, out/groups, *kernel) as the weight (out, in/groups, *kernel) of the convolution of the dilated input."""
    grouped = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    turned = jnp.flip(jnp.swapaxes(grouped, 1, 2), tuple(range(3, grouped.ndim)))
    return turned.reshape(groups * turned.shape[1], *turned.shape[2:])
