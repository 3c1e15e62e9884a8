"""Activations of every backend, over all magnitudes of arguments: how many units in the last place they are off."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import special

import tconv
from tconv import native
from tconv.arrays import Array

BACKENDS = [name for name in native.backends() if name != "reference"]
BOUNDS = {"relu": 0, "leaky_relu": 0.5, "tanh": 3, "sigmoid": 3, "silu": 4, "gelu": 10}  # ulp
GELU_BOUND = 7  # for x > -3; further down, an ulp in x itself makes x**2 of them in the result

# In double precision, for float32.
VECTORS: dict[str, Any] = {
    "relu": lambda x: np.where(x < 0, 0, x),
    "leaky_relu": lambda x: np.where(x < 0, 0.5 * x, x),
    "tanh": np.tanh,
    "sigmoid": special.expit,
    "silu": lambda x: x * special.expit(x),
    "gelu": lambda x: x / 2 * special.erfc(-x / np.sqrt(2)),
}
# In many digits, for float64.
NUMBERS: dict[str, Any] = {
    **{name: lambda x, exact=VECTORS[name]: mpmath.mpf(float(exact(x))) for name in ("relu", "leaky_relu")},
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "gelu": lambda x: x / 2 * mpmath.erfc(min(max(-x / mpmath.sqrt(2), -60), 60)),  # 0 or 2 beyond, to a float64
}


def arguments(dtype: Any) -> Array:
    """Floats of every exponent, and many where the functions bend; no -0, which a sum with 0 turns into 0."""
    rng = np.random.default_rng(7)
    if dtype == np.float32:
        numbers = np.arange(0, np.float32(np.inf).view(np.uint32), 1009, np.uint32).view(np.float32)
    else:
        powers = np.ldexp(rng.uniform(1, 2, 2046), np.arange(-1022, 1024))
        numbers = np.concatenate([powers, rng.uniform(0, 6, 2000), rng.uniform(0, 40, 500), rng.uniform(0, 760, 500)])
    return np.concatenate([numbers, -numbers[1:]])


@lru_cache
def expected(name: str, dtype: Any) -> tuple[Array, Array]:
    """The result as the sum of a float64 and of what it lacks."""
    x = arguments(dtype)
    if dtype == np.float32:
        with np.errstate(all="ignore"):
            return VECTORS[name](x.astype(np.float64)), np.zeros(len(x))
    with mpmath.workprec(120):
        exact = [NUMBERS[name](mpmath.mpf(float(v))) for v in x]
        high = [float(v) for v in exact]
        return np.array(high), np.array([float(v - h) for v, h in zip(exact, high, strict=True)])


def applied(name: str, x: Array) -> Array:
    choice: Any = ("leaky_relu", 0.5) if name == "leaky_relu" else name
    return tconv.prepare(np.ones((1, 1, 1), x.dtype), activation=choice)(x[None, None])[0, 0]


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_accuracy(backend: str, dtype: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCONV_BACKEND", backend)
    x = arguments(dtype)
    high, low = expected(name, dtype)
    errors = np.abs((applied(name, x) - high - low) / np.spacing(np.abs(high).astype(dtype)))
    assert errors.max() <= BOUNDS[name], x[errors.argmax()]
    if name == "gelu":
        assert errors[x > -3].max() <= GELU_BOUND


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
def test_special_values(backend: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCONV_BACKEND", backend)
    inf, nan = np.inf, np.nan
    largest = np.finfo(dtype).max
    x = np.array([-inf, -largest, 0, largest, inf, nan], dtype)
    for name, values in {
        "relu": [0, 0, 0, largest, inf, nan],
        "leaky_relu": [-inf, -largest / 2, 0, largest, inf, nan],
        "tanh": [-1, -1, 0, 1, 1, nan],
        "sigmoid": [0, 0, 0.5, 1, 1, nan],
        "silu": [nan, 0, 0, largest, inf, nan],  # as PyTorch: -inf * 0
        "gelu": [nan, 0, 0, largest, inf, nan],
    }.items():
        np.testing.assert_array_equal(applied(name, x), np.array(values, dtype), name)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_bits_do_not_depend_on_the_place(backend: str, dtype: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any offset and step in memory, alone or beside others."""
    monkeypatch.setenv("TCONV_BACKEND", backend)
    x = (3 * np.random.default_rng(8).standard_normal(600)).astype(dtype)
    together = applied(name, x)
    for begin in range(34):
        for length in (1, 2, 5, 17, 33, 300):
            part = slice(begin, begin + length)
            assert applied(name, x[part]).tobytes() == together[part].tobytes()
    packed = native.pack(tconv.Geometry(1), np.ones((1, 1, 1), dtype), activation=name, slope=0.5)
    for step in (-1, 2, 3):
        y = np.zeros(3 * len(x), dtype)[::step][: len(x)]
        packed.run(x[None, None], y[None, None])
        assert y.tobytes() == together.tobytes()
