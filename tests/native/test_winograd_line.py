"""Winograd's algorithm on one axis: layers of stride 1 on arrays whose positions are neighbours in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from native.exercise import lanes

import tconv
from tconv import native
from tconv.geometry import Geometry
from tconv.layer import prepare_lent

Array = np.ndarray[Any, Any]

FAST = [name for name in native.backends() if name != "reference"]


def draw(
    kernel: int,
    dilation: int = 1,
    crop: tuple[int, int] | None = None,
    length: int = 333,
    channels: tuple[int, int] = (32, 33),
    groups: int = 1,
    batch: int = 1,
    dtype: Any = np.float32,
    seed: int = 0,
) -> tuple[Array, Array, Array, Geometry]:
    """Input, weight, bias and geometry; the crop that keeps the length, if none is given."""
    rng = np.random.default_rng(seed)
    span = dilation * (kernel - 1)
    geometry = Geometry((kernel,), 1, dilation, [crop or (span // 2, span - span // 2)])
    x, weight = (batch, channels[0] * groups, length), (channels[0] * groups, channels[1], kernel)
    numbers = [rng.standard_normal(shape).astype(dtype) for shape in (x, weight, (channels[1] * groups,))]
    return numbers[0], numbers[1], numbers[2], geometry


def exact(x: Array, weight: Array, bias: Array | None, geometry: Geometry, groups: int = 1) -> Array:
    wide = [None if a is None else a.astype(np.float64) for a in (x, weight, bias)]
    return tconv.forms.taps.run(geometry, *wide, groups)


def ready(x: Array, weight: Array, bias: Array | None, geometry: Geometry, *more: Any) -> tconv.Layer:
    layer = tconv.prepare(weight, bias, geometry, *more, winograd=True)
    assert layer.plan(x.shape).way == "winograd_line"
    return layer


def agrees(y: Array, expected: Array, times: int = 30) -> None:
    np.testing.assert_allclose(y, expected, rtol=0, atol=np.finfo(y.dtype).eps * times * np.abs(expected).max())


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", [3, 4, 6, 7, 8, 11, 13])
def test_it_is_the_transposed_convolution(
    kernel: int, dtype: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCONV_BACKEND", backend)
    for dilation in (1, 2, 3, 5):
        x, weight, bias, geometry = draw(kernel, dilation, length=320, channels=(48, 49), dtype=dtype)
        agrees(ready(x, weight, bias, geometry)(x), exact(x, weight, bias, geometry))


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("dilation", [1, 3, 9, 17])
@pytest.mark.parametrize("crop", [(0, 0), (0, 40), (-9, 11), (-30, -50), (70, 3)])
def test_every_crop(crop: tuple[int, int], dilation: int, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Borders that are cropped, whole, or extended by outputs that nothing reaches."""
    monkeypatch.setenv("TCONV_BACKEND", backend)
    x, weight, bias, geometry = draw(7, dilation, crop, 512, batch=2)
    agrees(ready(x, weight, bias, geometry)(x), exact(x, weight, bias, geometry))


@pytest.mark.parametrize("dilation", [1, 3, 5])
def test_lengths_around_tiles_and_blocks(dilation: int) -> None:
    taken = 0
    for length in [*range(57, 68), *range(250, 262), *range(764, 792, 3)]:
        x, weight, bias, geometry = draw(7, dilation, length=length)
        layer = tconv.prepare(weight, bias, geometry, winograd=True)
        taken += layer.plan(x.shape).way == "winograd_line"
        agrees(layer(x), exact(x, weight, bias, geometry))
    assert taken > 15


@pytest.mark.parametrize("inputs", [15, 16, 17, 33])
@pytest.mark.parametrize("outputs", [8, 15, 16, 17, 33])
def test_channels_that_fill_no_tile(inputs: int, outputs: int) -> None:
    x, weight, bias, geometry = draw(11, 3, channels=(inputs, outputs), length=512)
    agrees(ready(x, weight, bias, geometry)(x), exact(x, weight, bias, geometry))
    agrees(ready(x, weight, None, geometry)(x), exact(x, weight, None, geometry))


@pytest.mark.parametrize("dilation", [1, 5])
def test_groups_and_batches(dilation: int) -> None:
    x, weight, bias, geometry = draw(7, dilation, channels=(17, 18), groups=3, batch=2)
    agrees(ready(x, weight, bias, geometry, 3)(x), exact(x, weight, bias, geometry, 3))


@pytest.mark.parametrize(("channels", "kernel"), [((600, 24), 7), ((400, 24), 11), ((24, 600), 3), ((512, 512), 3)])
def test_long_sums_and_many_channels(channels: tuple[int, int], kernel: int) -> None:
    """More products than are added up one by one; more inputs than the cache holds."""
    x, weight, bias, geometry = draw(kernel, channels=channels, length=200)
    agrees(ready(x, weight, bias, geometry)(x), exact(x, weight, bias, geometry), 60)


def test_rounding_errors_are_a_few_times_those_of_the_definition() -> None:
    for kernel, dilation in ((3, 1), (7, 3), (11, 5)):
        x, weight, bias, geometry = draw(kernel, dilation, channels=(128, 128), length=2000)
        expected = exact(x, weight, bias, geometry)
        largest = np.abs(expected).max()
        error = np.abs(ready(x, weight, bias, geometry)(x) - expected).max() / largest
        direct = np.abs(tconv.prepare(weight, bias, geometry)(x) - expected).max() / largest
        assert error < 4e-6 and error < 10 * direct


@pytest.mark.parametrize("activation", ["relu", ("leaky_relu", 0.1), "tanh", "sigmoid", "gelu", "silu"])
@pytest.mark.parametrize("dilation", [1, 3])
def test_activations(activation: Any, dilation: int) -> None:
    x, weight, bias, geometry = draw(3, dilation, length=1000)
    plain, active = ready(x, weight, bias, geometry)(x), ready(x, weight, bias, geometry, 1, activation)(x)
    eye = tconv.prepare(np.eye(33, dtype=np.float32)[:, :, None], None, Geometry((1,)), 1, activation)
    np.testing.assert_allclose(active, eye(plain), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("dilation", [1, 3])
@pytest.mark.parametrize("place", [0, 200, 332])
def test_what_is_not_finite_stays_where_it_belongs(place: int, dilation: int, value: float) -> None:
    x, weight, bias, geometry = draw(7, dilation)
    weight = np.abs(weight) / np.abs(weight).sum((0, 2)).max()
    x[0, 3, place] = value
    layer = ready(x, weight, bias, geometry, 1, "relu")
    direct = tconv.prepare(weight, bias, geometry, 1, "relu")
    np.testing.assert_array_equal(layer(x), direct(x))


def test_weights_so_large_that_their_sums_overflow() -> None:
    x, weight, bias, geometry = draw(7)
    weight[:] = 3e38
    x *= 1e-20
    x[:, 1:] = 0
    np.testing.assert_array_equal(ready(x, weight, bias, geometry)(x), tconv.prepare(weight, bias, geometry)(x))


def test_errors_are_relative_to_the_neighbourhood() -> None:
    """An input of 1e6 disturbs outputs that its tiles reach, by its own rounding error; others stay as they were."""
    x, weight, bias, geometry = draw(7, 3, length=2000)
    layer = ready(x, weight, bias, geometry)
    before = layer(x)
    x[0, 5, 1000] = 1e6
    after, expected = layer(x), exact(x, weight, bias, geometry)
    changed = np.argwhere((after != before).any((0, 1)))
    assert np.abs(changed - 1000).max() <= 3 * (3 + 4)
    assert np.abs(after - expected).max() < 60 * np.finfo(np.float32).eps * 1e6


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("dilation", "length"), [(1, 4001), (3, 4001), (5, 12000), (9, 700)])
def test_bits_depend_on_neither_threads_nor_batch(threads: int, dilation: int, length: int) -> None:
    x, weight, bias, geometry = draw(7, dilation, length=length, channels=(64, 64), batch=3)
    layer = ready(x, weight, bias, geometry, 1, "silu")
    expected = layer(x)
    before = native.num_threads()
    native.set_num_threads(threads)
    try:
        np.testing.assert_array_equal(layer(x), expected)
        for n in range(3):
            np.testing.assert_array_equal(layer(x[n : n + 1]), expected[n : n + 1])
    finally:
        native.set_num_threads(before)


@pytest.mark.parametrize("dilation", [1, 3, 5, 20])
def test_it_writes_into_a_part_of_the_positions(dilation: int) -> None:
    """And reads a part of the channels."""
    x, weight, bias, geometry = draw(7, dilation, length=1001)
    layer = ready(x, weight, bias, geometry, 1, "tanh")
    around = np.full((1, 35, 1040), np.nan, np.float32)
    around[:, 1:33, 20:1021] = x
    whole = np.full((1, 40, 1030), 7, np.float32)
    layer(around[:, 1:33, 20:1021], whole[:, 2:35, 9:1010])
    np.testing.assert_array_equal(whole[:, 2:35, 9:1010], layer(x))
    whole[:, 2:35, 9:1010] = 7
    assert (whole == 7).all()


@pytest.mark.parametrize("reverse", ["input", "output"])
def test_arrays_read_from_their_ends_are_computed_otherwise(reverse: str) -> None:
    x, weight, bias, geometry = draw(7)
    expected = exact(x, weight, bias, geometry)
    layer, out = ready(x, weight, bias, geometry), np.empty(expected.shape, np.float32)
    if reverse == "input":
        agrees(layer(x[..., ::-1].copy()[..., ::-1]), expected)
    else:
        agrees(layer(x, out[..., ::-1]), expected)


def test_it_is_taken_only_where_it_pays() -> None:
    def way(kernel: int = 7, channels_last: bool = False, winograd: bool = True, **changes: Any) -> str:
        stride = changes.pop("stride", 1)
        x, weight, bias, geometry = draw(kernel, **changes)
        geometry = Geometry((kernel,), stride, geometry.axes[0].dilation, [(0, 0)])
        layer = tconv.prepare(weight, bias, geometry, changes.get("groups", 1), winograd=winograd)
        return layer.plan(x.shape, channels_last=channels_last).way

    assert way() == way(groups=2) == way(3) == way(5) == way(dilation=9) == way(length=128) == "winograd_line"
    assert way(winograd=False) == "pixels"
    assert way(channels_last=True) == "cells"
    assert way(stride=2) == "pixels"
    assert way(2) == "pixels"  # two taps
    assert way(channels=(64, 1)) == way(3, channels=(4, 5)) == "pixels"  # transforms would take longer than they save
    other = "pixels" if lanes() == 16 else "cells"  # shorter vectors are filled by fewer of the 33 outputs
    assert way(dilation=40, length=2000) == other  # inputs of a tile lie far apart
    assert way(length=33) == other  # tiles that are mostly empty
    other = "pixels" if lanes() == 16 else "col2im"
    assert way(channels=(5000 * 16 // lanes(), 8)) == other  # inputs that the memory of a thread does not hold


def test_scratch_memory_is_reported_and_bounded() -> None:
    for channels in (32, 256, 512, 1000):
        weight = np.zeros((channels, channels, 3), np.float32)
        layer = prepare_lent(weight, None, Geometry((3,), 1, 1, [(1, 1)]), winograd=True)
        for length in (200, 100_000):
            plan = layer.plan((1, channels, length))
            assert plan.way == "winograd_line" and plan.workspace_bytes is not None
            assert 0 < plan.workspace_bytes < 2**22
