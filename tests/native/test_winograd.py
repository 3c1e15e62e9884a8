"""Winograd's algorithm: the same layer with fewer products, for those who allow it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from native.exercise import lanes

import tconv
from tconv import native
from tconv.geometry import Geometry

Array = np.ndarray[Any, Any]

# kernel, stride, crops: two or three taps per phase, or one of each; borders cropped, whole and extended
AXES = [
    (3, 1, (1, 1)),
    (3, 1, (0, 2)),
    (3, 1, (-3, -2)),
    (2, 1, (0, 1)),
    (4, 2, (1, 1)),
    (3, 2, (1, 0)),
    (5, 2, (2, 1)),
    (6, 2, (2, 2)),
    (9, 3, (5, 4)),
]
SMALL, LARGE = "winograd_4x4", "winograd_6x6"  # by the inputs of a tile


def draw(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape)


def last(array: Array) -> Array:
    """The same values, channels-last in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def make(
    axes: list[tuple[int, int, tuple[int, int]]],
    size: tuple[int, ...] = (23, 18),
    channels: tuple[int, int] = (33, 50),
    groups: int = 1,
    dtype: Any = np.float32,
    batch: int = 2,
) -> tuple[Array, Array, Array, Geometry]:
    rng = np.random.default_rng(0)
    kernel, stride, crops = zip(*axes, strict=True)
    weight = draw(rng, channels[0] * groups, channels[1], *kernel)
    x, bias = draw(rng, batch, channels[0] * groups, *size), draw(rng, channels[1] * groups)
    return last(x.astype(dtype)), weight.astype(dtype), bias.astype(dtype), Geometry(kernel, stride, 1, crops)


def exact(x: Array, weight: Array, bias: Array | None, geometry: Geometry, groups: int = 1) -> Array:
    wide = [None if a is None else a.astype(np.float64) for a in (x, weight, bias)]
    return tconv.forms.taps.run(geometry, *wide, groups)


def ready(x: Array, weight: Array, bias: Array | None, geometry: Geometry, *more: Any, way: str = LARGE) -> tconv.Layer:
    layer = tconv.prepare(weight, bias, geometry, *more, winograd=True)
    assert layer.plan(x.shape, channels_last=True).way == way
    return layer


def has_three_taps(axis: tuple[int, int, tuple[int, int]]) -> bool:
    """Per phase."""
    return -(-axis[0] // axis[1]) == 3


def size_for(way: str, axes: list[tuple[int, int, tuple[int, int]]]) -> tuple[int, int]:
    """The smallest maps, oblong ones, for which a way is taken: small tiles have few tiles, large ones have more."""
    _, weight, bias, geometry = make(axes)
    layer = tconv.prepare(weight, bias, geometry, winograd=True)
    for height in range(7, 40):
        if layer.plan((2, 33, height, height + 3), channels_last=True).way == way:
            return height, height + 3
    raise AssertionError(f"{way} is never taken")


@pytest.mark.parametrize("backend", [name for name in native.backends() if name != "reference"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("axis", "way"), [(a, SMALL) for a in AXES] + [(a, LARGE) for a in AXES if has_three_taps(a)], ids=str
)
def test_it_is_the_transposed_convolution(
    axis: tuple[int, int, tuple[int, int]], way: str, dtype: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCONV_BACKEND", backend)
    other = (3, 1, (1, 1)) if axis[1] == 2 else (4, 2, (1, 1)) if way == SMALL else (5, 2, (2, 1))
    x, weight, bias, geometry = make([axis, other], size_for(way, [axis, other]), dtype=dtype)
    y, expected = ready(x, weight, bias, geometry, way=way)(x), exact(x, weight, bias, geometry)
    np.testing.assert_allclose(y, expected, rtol=0, atol=np.finfo(dtype).eps * 30 * np.abs(expected).max())


@pytest.mark.parametrize("axis", [a for a in AXES if a != (3, 2, (1, 0)) and a[0] != 2], ids=str)
def test_it_is_taken_where_it_saves_products(axis: tuple[int, int, tuple[int, int]]) -> None:
    x, weight, bias, geometry = make([axis, axis], size=(40, 40))
    ready(x, weight, bias, geometry, way=LARGE if has_three_taps(axis) else SMALL)


def test_it_is_taken_only_where_it_can_be() -> None:
    def way(channels_last: bool = True, winograd: bool = True, **changes: Any) -> str:
        axes = changes.pop("axes", [(3, 1, (1, 1))] * 2)
        x, weight, bias, geometry = make(axes, **changes)
        layer = tconv.prepare(weight, bias, geometry, changes.get("groups", 1), winograd=winograd)
        return layer.plan(x.shape, channels_last=channels_last).way

    assert way() == way(groups=2) == LARGE
    assert way(axes=[(4, 2, (1, 1))] * 2) == SMALL  # of two taps, large tiles save little more
    assert way(size=(16, 16)) == SMALL  # few large tiles
    assert way(size=(24, 24), channels=(672, 672)) == LARGE
    assert way(size=(24, 24), channels=(704, 704)) == "cells"  # weights that would take more than 64 MiB, or a pack 16
    assert way(winograd=False) == "cells"
    assert way(channels_last=False) == "pixels"
    assert way(channels=(33, {16: 5, 8: 3, 4: 1}[lanes()])) == "pixels"  # its channels do not fill a vector
    assert way(axes=[(2, 2, (0, 0))] * 2) == "cells"  # one tap per phase
    assert way(axes=[(7, 1, (3, 3))] * 2) == "cells"  # seven
    assert way(axes=[(3, 1, (1, 1))], size=(200,)) == "cells"  # one axis
    assert way(size=(4, 5)) == "cells"  # few tiles


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "crop"),
    [
        (3, 1, 1, (1, 1)),
        (4, 2, 1, (1, 1)),
        (3, 2, 2, (2, 1)),
        (2, 3, 1, (-1, 0)),
        (1, 1, 1, (0, 0)),
        (5, 1, 1, (-6, 4)),
    ],
)
@pytest.mark.parametrize("last", [4, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_axes_before_the_last_two(
    kernel: int, stride: int, dilation: int, crop: tuple[int, int], dtype: Any, last: int
) -> None:
    """Holes, bias-only slices and all."""
    way = SMALL if last == 4 else LARGE
    x, weight, bias, _ = make([(kernel, stride, crop), (3, 1, (1, 1)), (last, 2, (1, 1))], (5, 16, 23), dtype=dtype)
    geometry = Geometry((kernel, 3, last), (stride, 1, 2), (dilation, 1, 1), [crop, (1, 1), (1, 1)])
    y, expected = ready(x, weight, bias, geometry, way=way)(x), exact(x, weight, bias, geometry)
    np.testing.assert_allclose(y, expected, rtol=0, atol=np.finfo(dtype).eps * 30 * np.abs(expected).max())


def test_two_axes_before_the_last_two() -> None:
    axes = [(2, 2, (0, 0)), (3, 1, (1, 1)), (3, 1, (1, 1)), (3, 1, (1, 1))]
    for size, way in (((16, 23), LARGE), ((12, 18), SMALL)):
        x, weight, bias, geometry = make(axes, (2, 3, *size), (500, 20))  # long sums
        y, expected = ready(x, weight, bias, geometry, way=way)(x), exact(x, weight, bias, geometry)
        np.testing.assert_allclose(y, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize(("axis", "way"), [((4, 2, (1, 1)), SMALL), ((5, 2, (2, 1)), LARGE)])
def test_groups_and_long_sums(axis: tuple[int, int, tuple[int, int]], way: str) -> None:
    x, weight, bias, geometry = make([axis, (3, 1, (1, 1))], (28, 28), (1100, 17), groups=2, batch=1)
    y, expected = ready(x, weight, bias, geometry, 2, way=way)(x), exact(x, weight, bias, geometry, 2)
    np.testing.assert_allclose(y, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_whole_numbers_are_exact_in_small_tiles() -> None:
    """Whose weights are halved at most; the points of large tiles are irrational."""
    rng = np.random.default_rng(0)
    x = last(rng.integers(-8, 9, (2, 32, 21, 20)).astype(np.float32))
    weight = rng.integers(-8, 9, (32, 32, 4, 4)).astype(np.float32)
    geometry = Geometry((4, 4), 2, 1, [(1, 1), (1, 1)])
    np.testing.assert_array_equal(ready(x, weight, None, geometry, way=SMALL)(x), exact(x, weight, None, geometry))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("axis", [(3, 1, (1, 1)), (4, 2, (1, 1))], ids=str)
def test_what_is_not_finite_stays_where_it_belongs(axis: tuple[int, int, tuple[int, int]], value: float) -> None:
    x, weight, bias, geometry = make([axis, axis])
    weight = np.abs(weight) / np.abs(weight).sum((0, 2, 3)).max()
    x[0, 3, 8, 7] = value
    if value == 3e38:  # and what lies two rows on is subtracted from it
        x[0, 3, 10, 7] = -value
    layer = ready(x, weight, bias, geometry, 1, "relu", way=LARGE if axis[0] == 3 else SMALL)
    direct = tconv.prepare(weight, bias, geometry, 1, "relu")
    np.testing.assert_array_equal(layer(x), direct(x))


@pytest.mark.parametrize(
    ("axis", "size", "way", "reach"),
    [((3, 1, (1, 1)), 14, SMALL, 3), ((4, 2, (1, 1)), 40, SMALL, 7), ((3, 1, (1, 1)), 40, LARGE, 5)],
)
def test_errors_are_relative_to_the_neighbourhood(
    axis: tuple[int, int, tuple[int, int]], size: int, way: str, reach: int
) -> None:
    """An input of 1e6 disturbs outputs within a tile's reach, by its own rounding error; others stay as they were."""
    x, weight, bias, geometry = make([axis] * 2, size=(size, size), batch=1)
    layer, middle = ready(x, weight, bias, geometry, way=way), size // 2
    before = layer(x)
    x[0, 5, middle, middle] = 1e6
    after, expected = layer(x), exact(x, weight, bias, geometry)
    changed = np.argwhere((after != before).any((0, 1)))
    assert np.abs(changed - middle * axis[1]).max() <= reach
    assert np.abs(after - expected).max() < 30 * np.finfo(np.float32).eps * 1e6


@pytest.mark.parametrize("axis", [(3, 1, (1, 1)), (4, 2, (1, 1))], ids=str)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_bits_depend_on_neither_threads_nor_batch(threads: int, axis: tuple[int, int, tuple[int, int]]) -> None:
    x, weight, bias, geometry = make([axis] * 2, size=(28, 27), batch=5)
    layer = ready(x, weight, bias, geometry, 1, "silu", way=LARGE if axis[0] == 3 else SMALL)
    expected = layer(x)
    before = native.num_threads()
    native.set_num_threads(threads)
    try:
        np.testing.assert_array_equal(layer(x), expected)
        for n in range(5):
            np.testing.assert_array_equal(layer(x[n : n + 1]), expected[n : n + 1])
    finally:
        native.set_num_threads(before)


@pytest.mark.parametrize("axis", [(3, 1, (1, 1)), (4, 2, (1, 1))], ids=str)
def test_it_writes_into_a_part_of_the_channels(axis: tuple[int, int, tuple[int, int]]) -> None:
    x, weight, bias, geometry = make([axis] * 2)
    layer = ready(x, weight, bias, geometry, 1, "tanh", way=LARGE if axis[0] == 3 else SMALL)
    whole = last(np.full((2, 80, 23 * axis[1], 18 * axis[1]), 7, np.float32))
    layer(x, whole[:, 20:70])
    np.testing.assert_array_equal(whole[:, 20:70], layer(x))
    assert (whole[:, :20] == 7).all() and (whole[:, 70:] == 7).all()


def test_scratch_memory_is_reported_and_bounded() -> None:
    x, weight, bias, geometry = make([(3, 1, (1, 1))] * 2, size=(200, 200), channels=(64, 64), batch=1)
    small = ready(x, weight, bias, geometry).plan((1, 64, 200, 200), channels_last=True).workspace_bytes
    large = ready(x, weight, bias, geometry).plan((9, 64, 2000, 2000), channels_last=True).workspace_bytes
    assert small is not None and large is not None and 0 < small <= large < 2**21
