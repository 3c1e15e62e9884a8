"""`jax.lax.conv_transpose` with its signature and results, on the compiled core where that can."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from tconv.jax.primitive import conv_transpose_p
from tconv.jax.setting import DTYPES, LAX, Setting, plain, setting_of


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
        precision: for devices other than the CPU, whose sums are exact enough for all.
        preferred_element_type: dtype of the result; another one than the arrays' is computed by JAX.
        use_consistent_padding: pairs are a crop of the full result, as PyTorch's padding, in place of what is said above.

    Returns:
        The array that `jax.lax.conv_transpose` returns, up to rounding.

    Raises:
        What `jax.lax.conv_transpose` raises.

    Source: jax.lax.conv_transpose, which computes what the core does not: other dtypes and devices, empty arrays,
    symbolic sizes.
    """
    lhs, rhs = jnp.asarray(lhs), jnp.asarray(rhs)
    more = {"use_consistent_padding": True} if use_consistent_padding else {}  # which an older JAX does not have
    try:
        pairs = padding if isinstance(padding, str) else tuple(plain(pair) for pair in padding)
        dilation = (1,) * len(strides) if rhs_dilation is None else plain(rhs_dilation)
        setting = _judged(
            (plain(lhs.shape), plain(rhs.shape), lhs.dtype, rhs.dtype),
            plain(strides), pairs, dilation, dimension_numbers, bool(transpose_kernel), precision,
            preferred_element_type, tuple(more),
        )  # fmt: skip
    except TypeError:  # not hashable or no integers: JAX says what it thinks of them
        setting = None
    if setting is None:
        return LAX(
            lhs, rhs, strides, padding, rhs_dilation, dimension_numbers, transpose_kernel, precision,
            preferred_element_type, **more,
        )  # fmt: skip
    return conv_transpose_p.bind(lhs, rhs, setting=setting)


@lru_cache(maxsize=1024)
def _judged(
    arrays: tuple[Any, ...],
    strides: tuple[int, ...],
    padding: Any,
    dilation: tuple[int, ...],
    dimension_numbers: Any,
    transpose_kernel: bool,
    precision: Any,
    preferred: Any,
    more: tuple[str, ...],
) -> Setting | None:
    """The setting of a call, or None if JAX shall compute it, or refuse it."""
    lhs, rhs, *dtypes = arrays
    wanted = {dtypes[0], dtypes[1], jnp.dtype(dtypes[0] if preferred is None else preferred)}
    if len(wanted) > 1 or dtypes[0].name not in DTYPES or (isinstance(padding, str) and padding not in ("SAME", "VALID")):
        return None
    structs = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in zip((lhs, rhs), dtypes, strict=True)]
    names = {name: True for name in more}
    result = jax.eval_shape(
        lambda x, w: LAX(x, w, strides, padding, dilation, dimension_numbers, transpose_kernel, **names), *structs
    )
    if 0 in result.shape:
        return None
    return setting_of(
        lhs, rhs, strides, padding, dilation, dimension_numbers, transpose_kernel, precision, bool(more)
    )  # fmt: skip
