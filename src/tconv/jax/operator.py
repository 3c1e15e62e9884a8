"""JAX's functions with their signatures and results, on the compiled core where that can compute them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from tconv.jax.primitive import conv_transpose_p
from tconv.jax.setting import DTYPES, Setting, Shape, of_conv_general_dilated, of_conv_transpose, plain

Make: TypeAlias = Callable[[Shape, Shape, dict[str, Any]], Setting]

# JAX's own, whatever `patched` puts in their places.
OWN_TRANSPOSE, OWN_GENERAL = lax.conv_transpose, lax.conv_general_dilated


def conv_transpose(
    lhs: Any,
    rhs: Any,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: Any = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
) -> jax.Array:
    """The transposed convolution of JAX's arrays; for jit, vmap, grad and forward mode as any operation of JAX.

    Args:
        lhs: the input; (batch, *in_size, in_channels) unless dimension_numbers say otherwise.
        rhs: the kernel; (*kernel, in_channels, out_channels) unless dimension_numbers say otherwise.
        strides: one per spatial axis.
        padding: "SAME" (out = in*stride), "VALID", or (lo, hi) per axis: padding of the input with zeros inserted.
        rhs_dilation: one per spatial axis; default 1.
        dimension_numbers: as in `jax.lax.conv_general_dilated`.
        transpose_kernel: False: JAX's kernel, mirrored against everybody else's. True: Keras's, and channels
            exchanged: (*kernel, out_channels, in_channels).
        precision: for devices other than the CPU, where sums are exact enough for all.
        preferred_element_type: dtype of the result; another one than the arrays' is computed by JAX.
        use_consistent_padding: pairs crop the full result, as PyTorch's padding does, in place of what is said above.

    Returns:
        The array that `jax.lax.conv_transpose` returns, up to rounding.

    Raises:
        What `jax.lax.conv_transpose` raises.

    Source: jax.lax.conv_transpose, which computes what the core does not: other dtypes and devices, empty arrays,
    symbolic sizes.
    """
    arguments = {
        "strides": strides,
        "padding": padding,
        "rhs_dilation": rhs_dilation,
        "dimension_numbers": dimension_numbers,
        "transpose_kernel": bool(transpose_kernel),
        "precision": precision,
        "preferred_element_type": preferred_element_type,
    }
    if use_consistent_padding:  # which an older JAX does not have
        arguments["use_consistent_padding"] = True
    return _run(OWN_TRANSPOSE, of_conv_transpose, lhs, rhs, arguments)


def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    **more: Any,
) -> jax.Array:
    """JAX's general convolution: with window strides of 1 and a dilated input, it is a transposed one, with groups.

    Every other convolution is computed by JAX.

    Args, returns and raises as `jax.lax.conv_general_dilated`.
    """
    arguments = {
        "window_strides": window_strides,
        "padding": padding,
        "lhs_dilation": lhs_dilation,
        "rhs_dilation": rhs_dilation,
        "dimension_numbers": dimension_numbers,
        "feature_group_count": feature_group_count,
        "batch_group_count": batch_group_count,
        "precision": precision,
        "preferred_element_type": preferred_element_type,
        **more,
    }
    transposed = any(step != 1 for step in lhs_dilation or ()) and all(step == 1 for step in window_strides)
    if not transposed or batch_group_count != 1 or any(value is not None for value in more.values()):
        return OWN_GENERAL(lhs, rhs, **arguments)
    return _run(OWN_GENERAL, of_conv_general_dilated, lhs, rhs, arguments)


def _run(own: Callable[..., Any], make: Make, lhs: Any, rhs: Any, arguments: dict[str, Any]) -> jax.Array:
    lhs, rhs = jnp.asarray(lhs), jnp.asarray(rhs)
    try:
        items = tuple((name, value if isinstance(value, bool) else plain(value)) for name, value in arguments.items())
        setting = _judged(own, make, plain(lhs.shape), plain(rhs.shape), lhs.dtype, rhs.dtype, items)
    except TypeError:  # not hashable or no whole numbers: JAX says what it thinks of them
        setting = None
    result: jax.Array
    result = own(lhs, rhs, **arguments) if setting is None else conv_transpose_p.bind(lhs, rhs, setting=setting)
    return result


@lru_cache(maxsize=1024)
def _judged(
    own: Callable[..., Any],
    make: Make,
    lhs: Shape,
    rhs: Shape,
    left: Any,
    right: Any,
    items: tuple[tuple[str, Any], ...],
) -> Setting | None:
    """The setting of a call, or None if JAX shall compute it, or refuse it in its own words."""
    arguments = dict(items)
    structs = jax.ShapeDtypeStruct(lhs, left), jax.ShapeDtypeStruct(rhs, right)
    try:
        result = jax.eval_shape(partial(own, **arguments), *structs)
    except (TypeError, ValueError):
        return None
    same = left == right == result.dtype and left.name in DTYPES
    return make(lhs, rhs, arguments) if same and len(lhs) > 2 and 0 not in (*lhs, *rhs, *result.shape) else None
