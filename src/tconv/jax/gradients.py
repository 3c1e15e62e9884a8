"""The gradients of the operator: for its input a strided convolution, for its weight a product over all positions.

XLA's own gradient of the weight is a convolution with a kernel as large as the input, with holes where a stride is more
than 1. It is fast for one or two axes and no holes. Elsewhere the numbers of the cotangent that meet one input are
brought together here, tap by tap, and the gradient is a matrix product.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tconv.jax.setting import Setting


def input_gradient(cotangent: Any, lhs: Any, rhs: Any, *, setting: Setting) -> jax.Array:
    """Of the input: `lhs` is known by its `aval` alone."""
    struct = jax.ShapeDtypeStruct(lhs.aval.shape, lhs.aval.dtype)
    gradient: jax.Array
    (gradient,) = jax.linear_transpose(lambda x: setting.lax(x, rhs), struct)(cotangent)
    return gradient


def weight_gradient(cotangent: Any, lhs: Any, rhs: Any, *, setting: Setting) -> jax.Array:
    """Of the weight: `rhs` is known by its `aval` alone."""
    if len(setting.strides) < 3 and all(step == 1 for step in setting.strides):
        struct = jax.ShapeDtypeStruct(rhs.aval.shape, rhs.aval.dtype)
        gradient: jax.Array
        (gradient,) = jax.linear_transpose(lambda w: setting.lax(lhs, w), struct)(cotangent)
        return gradient
    geometry, groups = setting.geometry(rhs.aval.shape), setting.groups
    x = jnp.transpose(lhs, (setting.lhs[0], *setting.lhs[2:], setting.lhs[1]))
    met = met_by_taps(jnp.transpose(cotangent, (setting.out[0], *setting.out[2:], setting.out[1])), x.shape, geometry)
    x, met = (array.reshape(*array.shape[:-1], groups, array.shape[-1] // groups) for array in (x, met))
    positions, group = list(range(x.ndim - 2)), x.ndim - 2
    product = lax.dot_general(x, met, ((positions, positions), ((group,), (group + 1,))), precision=setting.precision)
    weight = jnp.moveaxis(product, 0, -2)  # (in of one group, taps, groups, out of one)
    weight = weight.reshape(weight.shape[0], *geometry.kernel, rhs.aval.shape[setting.rhs[0]])
    if setting.mirrored:
        weight = jnp.flip(weight, tuple(range(1, weight.ndim - 1)))
    order = [0] * weight.ndim
    for place, axis in enumerate((setting.rhs[1], *setting.rhs[2:], setting.rhs[0])):
        order[axis] = place
    return jnp.transpose(weight, order)


def met_by_taps(cotangent: Any, input_shape: tuple[int, ...], geometry: Any) -> jax.Array:
    """(batch, *in_size, taps, out_channels): what each input meets through each tap; zeros where that was cropped."""
    sizes = input_shape[1:-1]
    crops = [(axis.crop_lo, axis.crop_hi, 0) for axis in geometry.axes]
    full = lax.pad(cotangent, jnp.zeros((), cotangent.dtype), [(0, 0, 0), *crops, (0, 0, 0)])
    last = full.shape[-1]
    parts = []
    for tap in np.ndindex(*geometry.kernel):
        begin = [axis.dilation * k for axis, k in zip(geometry.axes, tap, strict=True)]
        end = [b + axis.stride * (n - 1) + 1 for b, n, axis in zip(begin, sizes, geometry.axes, strict=True)]
        steps = [axis.stride for axis in geometry.axes]
        parts.append(lax.slice(full, (0, *begin, 0), (full.shape[0], *end, last), (1, *steps, 1)))
    return jnp.stack(parts, axis=-2)
