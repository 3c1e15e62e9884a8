"""Half precision: sums in float32, bias and activation before the one rounding, on every backend and in every way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tconv
from tconv import Geometry, errors, native
from tconv.forms import FORMS

# Significant bits, and half the distance of the smallest neighbours.
ROUNDING = {ml_dtypes.bfloat16: (8, 2.0**-134), np.float16: (11, 2.0**-25)}
DTYPES = list(ROUNDING)
# bfloat16's products in pairs take subnormal numbers as zeros.
SMALLEST_NORMAL = 2.0**-126


@pytest.fixture(params=native.backends())
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TCONV_BACKEND", request.param)
    yield request.param


def drawn(seed: int) -> tuple[Geometry, int, tuple[int, ...], tuple[int, ...]]:
    """A geometry, groups, and the shapes of the input and the weight."""
    rng = np.random.default_rng(seed)
    ndim = int(rng.integers(1, 4))
    groups = int(rng.choice([1, 1, 2, 3]))
    per_group = [int(n) for n in rng.choice([1, 2, 3, 5, 16, 17, 24, 40], 2)]
    if seed % 7 == 0:
        groups, per_group = 18, [1, 1]
    kernel, stride, dilation, size = (
        tuple(int(n) for n in rng.integers(low, high, ndim))
        for low, high in ((1, 6), (1, 10 if seed % 5 == 0 else 4), (1, 3), (1, (60, 12, 6)[ndim - 1]))
    )
    crop = tuple((int(low), int(high)) for low, high in rng.integers(-1, 2, (ndim, 2)))
    geometry = Geometry(kernel, stride, dilation, crop)
    shape = int(rng.choice([1, 2, 9])), groups * per_group[0], *size
    try:
        geometry.output_size(size)
    except errors.EmptyOutputError:
        geometry = Geometry(kernel, stride, dilation)
    return geometry, groups, shape, (groups * per_group[0], per_group[1], *kernel)


def channels_last(array: Any) -> Any:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def exact(geometry: Geometry, x: Any, w: Any, b: Any, groups: int) -> Any:
    wide = [a.astype(np.float64) for a in (x, w, b)]
    return FORMS["taps"](geometry, *wide, groups)


def assert_rounded_once(y: Any, expected: Any, dtype: Any) -> None:
    bits, absolute = ROUNDING[dtype]
    half = np.ldexp(0.5, np.frexp(expected)[1] - bits)  # of the distance of neighbours
    allowed = np.maximum(half, absolute) + 1e-6 * np.abs(expected).max(initial=0)
    wrong = np.abs(y.astype(np.float64) - expected) - allowed
    assert wrong.max(initial=0) <= 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(24))
def test_error_is_one_rounding_of_the_exact_sum(seed: int, dtype: Any, backend: str) -> None:
    geometry, groups, shape, weight = drawn(seed)
    rng = np.random.default_rng(seed)
    x, w = (rng.standard_normal(size).astype(dtype) for size in (shape, weight))
    b = rng.standard_normal(weight[1] * groups).astype(dtype)
    expected = exact(geometry, x, w, b, groups)
    layer = tconv.prepare(w, b, geometry, groups)
    for lying in (x, channels_last(x), x[..., ::-1].copy()[..., ::-1]):
        y = layer(lying)
        assert y.dtype == dtype
        assert_rounded_once(y, expected, dtype)
    out = np.zeros((*y.shape[:-1], 2 * y.shape[-1]), dtype)
    layer(x, out[..., ::2])
    assert out[..., ::2].tobytes() == layer(x).tobytes()
    assert not out[..., 1::2].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("channels", [64, 65, 1500])
def test_large_layers(channels: int, last: bool, dtype: Any, backend: str) -> None:
    """Long sums in parts, many bundles, weights that are packed by threads."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, channels, 12, 17)).astype(dtype)
    w = rng.standard_normal((channels, 33, 4, 4)).astype(dtype)
    b = rng.standard_normal(33).astype(dtype)
    geometry = Geometry.from_torch((4, 4), 2, 1)
    y = tconv.prepare(w, b, geometry)(channels_last(x) if last else x)
    assert_rounded_once(y, exact(geometry, x, w, b, 1), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 4), (2, 5), (7,), (2, 3, 2)])
def test_depthwise_layers(kernel: tuple[int, ...], last: bool, dtype: Any, backend: str) -> None:
    """An odd and an even number of taps, vectors of channels that are not full, and what waits for an activation."""
    rng = np.random.default_rng(len(kernel))
    geometry = Geometry(kernel, 2, 1, (0, 0) if kernel == (1, 1) else (1, 0))
    for channels in (3, 32, 71):
        shapes = (2, channels, *[9 - len(kernel)] * len(kernel)), (channels, 1, *kernel), (channels,)
        x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
        x = channels_last(x) if last else x
        expected = exact(geometry, x, w, b, channels)
        assert_rounded_once(tconv.prepare(w, b, geometry, channels)(x), expected, dtype)
        relu = tconv.prepare(w, b, geometry, channels, activation="relu")
        assert_rounded_once(relu(x), np.maximum(expected, 0), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu"])
def test_activations_come_before_the_rounding(activation: str, dtype: Any, backend: str) -> None:
    rng = np.random.default_rng(1)
    for groups, shape, weight in ((1, (2, 6, 9), (6, 20, 4)), (6, (2, 6, 9), (6, 1, 4))):
        x, w = (rng.standard_normal(size).astype(dtype) for size in (shape, weight))
        b = rng.standard_normal(weight[1] * groups).astype(dtype)
        geometry = Geometry(4, 2)
        wide = tconv.prepare(*(a.astype(np.float64) for a in (w, b)), geometry, groups, activation)
        layer = tconv.prepare(w, b, geometry, groups, activation)
        for lying in (x, channels_last(x)):
            assert_rounded_once(layer(lying), wide(x.astype(np.float64)), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number_comes_and_goes(dtype: Any, backend: str) -> None:
    """All 65,536 patterns of bits, times one: NaN, Inf and what is too small to be normal among them."""
    x = np.arange(2**16, dtype=np.uint16).view(dtype).reshape(1, 1, -1)
    y = tconv.prepare(np.ones((1, 1, 1), dtype))(x)
    assert (np.isnan(y.astype(np.float32)) == np.isnan(x.astype(np.float32))).all()
    kept = ~np.isnan(x.astype(np.float32))
    assert (y[kept].astype(np.float32) == x[kept].astype(np.float32)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_goes_to_the_nearest_and_to_even(dtype: Any, backend: str) -> None:
    """Sums of two that lie between neighbours: the float32 nearest to them, rounded as NumPy rounds it."""
    rng = np.random.default_rng(2)
    pairs = rng.integers(0, 2**16, (2, 20_000), dtype=np.uint16).view(dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        wide = pairs.astype(np.float32)
        normal = (np.isfinite(wide) & (np.abs(wide) > SMALLEST_NORMAL)).all(0)
        pairs = pairs[:, normal & (np.abs(wide.sum(0)) > 2.0**-120)]
        expected = pairs.astype(np.float32).sum(0).astype(dtype)
        y = tconv.prepare(np.ones((2, 1, 1), dtype))(pairs[None])[0, 0]
    assert y.tobytes() == expected.tobytes()


def test_numbers_that_are_not_finite_stay_where_they_belong(backend: str) -> None:
    for dtype in DTYPES:
        x, w = np.ones((1, 20, 9, 9), dtype), np.ones((20, 17, 3, 3), dtype)
        x[0, 3, 4, 4] = np.inf
        x[0, 5, 0, 0] = np.nan
        expected = exact(Geometry((3, 3), 2), x, w, np.zeros(17, dtype), 1)
        for lying in (x, channels_last(x)):
            y = tconv.prepare(w, None, Geometry((3, 3), 2))(lying).astype(np.float64)
            assert (np.isnan(y) == np.isnan(expected)).all()
            assert (np.isinf(y) == np.isinf(expected)).all()


def test_small_numbers_of_bfloat16_may_count_as_zeros(backend: str) -> None:
    """As `tconv.Layer` says; none becomes anything else."""
    x = np.full((1, 4, 5), 2.0**-100, ml_dtypes.bfloat16)
    w = np.full((4, 2, 1), 2.0**-30, ml_dtypes.bfloat16)
    y = tconv.prepare(w)(x).astype(np.float64)
    assert np.isin(y, (0.0, 2.0**-128)).all()


def test_infinite_weights_and_huge_strides_take_the_reference() -> None:
    for dtype in DTYPES:
        w = np.array([np.inf, 1.0], dtype).reshape(1, 1, 2)
        layer = tconv.prepare(w)
        assert layer.plan((1, 1, 4)).way == "reference"
        assert layer(np.ones((1, 1, 2), dtype)).astype(float).tolist() == [[[np.inf, np.inf, 1.0]]]


def test_what_the_core_refuses() -> None:
    w = np.ones((2, 1, 3), np.float16)
    layer = native.pack(Geometry(3), w)
    x = np.ones((1, 2, 4), np.float16)
    with pytest.raises(TypeError):
        layer.run(x, native.bits(np.zeros((1, 1, 6), np.float16)))  # numbers, not their bits
    with pytest.raises(TypeError):
        layer.result(x.astype(np.float32).__dlpack__(), (1, 1, 6), False)


@pytest.mark.parametrize("before", [-2, -40])
def test_outputs_that_no_input_reaches_are_the_bias(before: int) -> None:
    geometry = Geometry((1, 2), (1, 2), (1, 2), ((before, 1), (-1, -1)))
    x, weight, bias = np.ones((40, 5, 39, 32)), np.ones((32, 33, 1, 2)), np.arange(66.0)
    half = [each.astype(ml_dtypes.bfloat16) for each in (x, weight, bias)]
    expected = FORMS["taps"](geometry, np.moveaxis(x, -1, 1), weight, bias, 2)
    layer = tconv.prepare(*half[1:], geometry, 2)
    np.testing.assert_array_equal(layer(np.moveaxis(half[0], -1, 1)), expected.astype(half[0].dtype))
