"""Flax's layers: their parameters, names and results, on tconv's operator."""

from __future__ import annotations

from typing import Any

import flax.linen
import flax.nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tconv.jax import nn, nnx
from tconv.jax.primitive import NAME

ARGUMENTS: list[dict[str, Any]] = [
    {"kernel_size": (3, 3), "strides": (2, 2)},
    {"kernel_size": (4, 4), "strides": (2, 2), "padding": "VALID", "use_bias": False},
    {"kernel_size": (3, 3), "strides": (2, 1), "padding": [(1, 2), (0, 1)], "kernel_dilation": (1, 2)},
    {"kernel_size": (4, 4), "strides": (2, 2), "padding": "CIRCULAR", "transpose_kernel": True},
    {"kernel_size": (3, 3), "strides": (2, 2), "dtype": jnp.bfloat16},
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_linen(arguments: dict[str, Any]) -> None:
    ours, theirs = (kind(features=5, **arguments) for kind in (nn.ConvTranspose, flax.linen.ConvTranspose))
    x = jax.random.normal(jax.random.key(1), (2, 6, 7, 3))
    variables = theirs.init(jax.random.key(0), x)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), variables, ours.init(jax.random.key(0), x))
    assert all(jax.tree.leaves(same))
    assert NAME in jax.jit(ours.apply).lower(variables, x).as_text()
    y, want = ours.apply(variables, x), theirs.apply(variables, x)
    assert y.dtype == want.dtype
    np.testing.assert_allclose(
        *(np.asarray(a, np.float32) for a in (y, want)), atol=1e-5 if y.dtype == "float32" else 0.05
    )


def test_linen_within_a_model_that_is_trained() -> None:
    class Model(flax.linen.Module):
        layer: Any

        @flax.linen.compact
        def __call__(self, x: Any) -> Any:
            x = flax.linen.relu(self.layer(features=4, kernel_size=(3, 3), strides=(2, 2))(x))
            return self.layer(features=2, kernel_size=(2, 2), strides=(2, 2))(x)

    ours, theirs = Model(nn.ConvTranspose), Model(flax.linen.ConvTranspose)
    x = jax.random.normal(jax.random.key(1), (1, 4, 4, 3))
    variables = theirs.init(jax.random.key(0), x)
    assert jax.tree.structure(variables) == jax.tree.structure(ours.init(jax.random.key(0), x))

    def loss(model: Any, variables: Any) -> Any:
        return jnp.mean(model.apply(variables, x) ** 2)

    for a, b in zip(
        *(jax.tree.leaves(jax.jit(jax.grad(lambda v, m=m: loss(m, v)))(variables)) for m in (ours, theirs)), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_nnx(arguments: dict[str, Any]) -> None:
    ours, theirs = (
        kind(3, 5, rngs=flax.nnx.Rngs(0), **arguments) for kind in (nnx.ConvTranspose, flax.nnx.ConvTranspose)
    )
    x = jax.random.normal(jax.random.key(1), (2, 6, 7, 3))
    y, want = flax.nnx.jit(lambda layer, x: layer(x))(ours, x), theirs(x)
    assert y.dtype == want.dtype
    np.testing.assert_allclose(
        *(np.asarray(a, np.float32) for a in (y, want)), atol=1e-5 if y.dtype == "float32" else 0.05
    )


def test_flax_s_own_layers_within_patched() -> None:
    import tconv.jax

    layer = flax.linen.ConvTranspose(features=5, kernel_size=(3, 3), strides=(2, 2))
    x = jnp.ones((1, 4, 4, 3))
    variables = layer.init(jax.random.key(0), x)
    with tconv.jax.patched():
        assert NAME in jax.jit(lambda v, x: layer.apply(v, x)).lower(variables, x).as_text()
