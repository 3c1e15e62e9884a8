"""Flax's linen layer on tconv's operator."""

from __future__ import annotations

from typing import Any

from tconv import extras
from tconv.jax.patching import patched

try:
    import flax.linen
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "flax":
        raise
    raise ImportError(f"tconv.jax.nn needs flax: {extras.cure('flax')}") from error

__all__ = ["ConvTranspose"]


class ConvTranspose(flax.linen.ConvTranspose):
    """`flax.linen.ConvTranspose`, computed by `tconv.jax.conv_transpose`.

    Its arguments, parameters and results are those of Flax's layer: variables of one are variables of the other. A
    layer without a name of its own is called ConvTranspose_0 and so on, as Flax's.

    >>> import jax, jax.numpy as jnp
    >>> layer = ConvTranspose(features=4, kernel_size=(3, 3), strides=(2, 2))
    >>> y, variables = layer.init_with_output(jax.random.key(0), jnp.ones((1, 8, 8, 3)))
    >>> y.shape
    (1, 16, 16, 4)
    >>> jax.tree.map(jnp.shape, variables)
    {'params': {'bias': (4,), 'kernel': (3, 3, 3, 4)}}
    """

    def __call__(self, inputs: Any) -> Any:
        """Inputs (*batch, *in_size, in_features), as Flax's layer."""
        with patched():
            return super().__call__(inputs)
