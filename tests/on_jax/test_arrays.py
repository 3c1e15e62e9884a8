"""`tconv.conv_transpose` on JAX's arrays: the same kind comes out, inside jit and grad as well."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import tconv
from tconv import errors

CALLS: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": 2, "padding": "same"},
    {"stride": 3, "padding": "valid"},
    {"stride": 2, "padding": [(1, 0), (-1, 2)]},
    {"stride": 2, "dilation": (1, 2), "output_size": (12, 14)},
    {"groups": 2, "stride": 2, "padding": [(-2, -1), (0, 1)]},
    {"groups": 2, "output_size": (7, 7)},
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("batched", [True, False])
def test_values_are_those_of_numpy_s_arrays(call: dict[str, Any], batched: bool) -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 4, 5, 5), (4, 3, 3, 3)))
    x, b = x[slice(None) if batched else 0], rng.standard_normal(3 * call.get("groups", 1)).astype(np.float32)
    arrays = [jnp.asarray(array) for array in (x, w, b)]
    want = tconv.conv_transpose2d(x, w, b, **call)
    y = tconv.conv_transpose2d(*arrays, **call)
    assert isinstance(y, jax.Array)
    np.testing.assert_allclose(np.asarray(y), want, atol=2e-5)
    np.testing.assert_allclose(jax.jit(lambda *a: tconv.conv_transpose(*a, **call))(*arrays), want, atol=2e-5)


def test_gradients_are_those_of_differences() -> None:
    rng = np.random.default_rng(1)
    x, w = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((1, 2, 4), (2, 3, 3)))
    check_grads(lambda x, w: tconv.conv_transpose1d(x, w, stride=2), (x, w), order=2, rtol=1e-2)


X, W = jnp.ones((1, 2, 4)), jnp.ones((2, 3, 2))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            {"weight": np.ones((2, 3, 2))},
            errors.ArgumentTypeError,
            "weight is a ndarray, the input a jax.Array; pass arrays of one kind: jax.numpy.asarray(weight)",
        ),
        (
            {"weight": W.astype("bfloat16")},
            errors.DtypeError,
            "weight has dtype bfloat16, the input float32; convert one: weight.astype('float32')",
        ),
        (
            {"weight": W, "out": np.ones((1, 3, 5))},
            errors.OutError,
            "out is for NumPy arrays; leave it out for a jax.Array, whose memory is not tconv's",
        ),
        (
            {"weight": jnp.ones((2, 3, 2, 2, 2, 2))},
            errors.RankError,
            "weight has shape (2, 3, 2, 2, 2, 2); of a jax.Array 1 to 3 spatial axes are computed: pass NumPy arrays "
            "for more",
        ),
    ],
)
def test_errors(arguments: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as raised:
        tconv.conv_transpose(X, **arguments)
    assert str(raised.value) == message
