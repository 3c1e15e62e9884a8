"""JAX: `jax.lax.conv_transpose` on tconv's compiled core, inside jit, vmap and grad.

    conv_transpose(lhs, rhs, strides, padding, ...)    arguments and results of jax.lax.conv_transpose
    conv_general_dilated(...)                          of jax.lax.conv_general_dilated, which has groups, too
    patched(), install(), uninstall()                  reach code that calls these, such as Flax and Keras
    nn.ConvTranspose, nnx.ConvTranspose                Flax's layers

On the CPU, float32, float64, bfloat16 and float16 run in the core; everything else is JAX's own operator, in the same
jit. The core packs a weight where it sees it for the first time and keeps the pack as long as the numbers stay; see
`tconv.native.free_memory`.

>>> import jax.numpy as jnp
>>> conv_transpose(jnp.ones((1, 3, 1)), jnp.ones((2, 1, 1)), strides=(2,), padding="VALID")[0, :, 0]
Array([1., 1., 1., 1., 1., 1.], dtype=float32)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tconv.jax.operator import conv_general_dilated, conv_transpose
from tconv.jax.patching import install, patched, uninstall

if TYPE_CHECKING:
    from tconv.jax import nn as nn
    from tconv.jax import nnx as nnx

__all__ = ["conv_general_dilated", "conv_transpose", "install", "patched", "uninstall"]


def __getattr__(name: str) -> Any:
    if name not in ("nn", "nnx"):
        raise AttributeError(f"module 'tconv.jax' has no attribute {name!r}")
    return import_module(f"tconv.jax.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), "nn", "nnx"})
