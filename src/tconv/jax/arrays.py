"""`tconv.conv_transpose` and its siblings on JAX's arrays, inside jit, vmap and grad."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from tconv import errors
from tconv.functional import judged_elsewhere
from tconv.jax.primitive import conv_transpose_p
from tconv.jax.setting import DTYPES, Setting


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array)


def conv_transpose(
    ndim: int | None, input: Any, weight: Any, bias: Any, groups: int, out: Any, *geometry_arguments: Any
) -> jax.Array:
    """See `tconv.functional.conv_transpose`, which hands its arguments on in this order."""
    call = ndim, input, weight, bias, groups, out, *geometry_arguments
    geometry = judged_elsewhere("jax.Array", "jax.numpy.asarray", _is_array, *call)
    for name, array in (("weight", weight), ("bias", bias)):
        if array is not None and array.dtype != input.dtype:
            raise errors.DtypeError(
                f"{name} has dtype {array.dtype}, the input {input.dtype}; convert one: {name}.astype('{input.dtype}')"
            )
    axes = tuple(range(geometry.ndim + 2))
    padding = tuple((axis.extent - 1 - axis.crop_lo, axis.extent - 1 - axis.crop_hi) for axis in geometry.axes)
    setting = Setting(
        geometry.stride, padding, geometry.dilation, axes, axes, axes, mirrored=False, groups=int(groups),
        precision="highest",
    )  # fmt: skip
    batch = input if input.ndim == len(axes) else input[None]
    kernel = _out_first(weight, int(groups))
    native = input.dtype.name in DTYPES and 0 not in batch.shape
    result: jax.Array
    result = conv_transpose_p.bind(batch, kernel, setting=setting) if native else setting.lax(batch, kernel)
    if bias is not None:
        result = result + bias.reshape(-1, *(1,) * geometry.ndim)
    return result if batch is input else result[0]


def _out_first(weight: Any, groups: int) -> jax.Array:
    """(in, out/groups, *kernel) as JAX counts groups: (out, in/groups, *kernel)."""
    grouped = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    swapped = jnp.swapaxes(grouped, 1, 2)
    return swapped.reshape(groups * swapped.shape[1], *swapped.shape[2:])
