"""Flax's nnx layer on tconv's operator."""

from __future__ import annotations

from typing import Any

from tconv import extras
from tconv.jax.patching import patched

try:
    import flax.nnx
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "flax":
        raise
    raise ImportError(f"tconv.jax.nnx needs flax: {extras.cure('flax')}") from error

__all__ = ["ConvTranspose"]


class ConvTranspose(flax.nnx.ConvTranspose):
    """`flax.nnx.ConvTranspose` with its arguments, state and results, computed by `tconv.jax.conv_transpose`.

    >>> import jax.numpy as jnp
    >>> layer = ConvTranspose(3, 4, kernel_size=(3, 3), strides=(2, 2), rngs=flax.nnx.Rngs(0))
    >>> layer(jnp.ones((1, 8, 8, 3))).shape
    (1, 16, 16, 4)
    """

    def __call__(self, inputs: Any) -> Any:
        """Inputs (*batch, *in_size, in_features), as Flax's layer."""
        with patched():
            return super().__call__(inputs)
