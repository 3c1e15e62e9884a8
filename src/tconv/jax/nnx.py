"""Flax's nnx layer on tconv's operator."""

from __future__ import annotations

from typing import Any

import flax.nnx

from tconv.jax.patching import patched

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
