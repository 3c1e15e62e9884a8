"""Weights are held once, whatever is computed with them: packs that come and go, and calls that lend the weights."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tconv
from tconv import Geometry, errors, native
from tconv.layer import prepare_lent

MUST_RETURN = r"^the source must return \(weight, bias\), the weight a C-contiguous array of the layer's dtype$"
GEOMETRY = Geometry.from_torch((4, 4), 2, 1)


def inputs(channels: int) -> list[Any]:
    """Of few and many pixels, in both layouts: each is computed in another way."""
    rng = np.random.default_rng(1)
    first = [rng.standard_normal((1, channels, *size), np.float32) for size in ((1, 1), (3, 3), (16, 17))]
    return first + [np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) for x in first]


def numbers(channels: int = 96) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((channels, 80, 4, 4), np.float32), rng.standard_normal(80, np.float32)


@pytest.mark.parametrize("lent", [False, True])
@pytest.mark.parametrize("winograd", [False, True])
def test_results_stay_right_while_packs_go(lent: bool, winograd: bool) -> None:
    """Four threads, all ways in turn, room for one pack or two: the same bits as of layers that compute one way."""
    weight, bias = numbers()
    made = prepare_lent if lent else tconv.prepare
    layer = made(weight, bias, GEOMETRY, winograd=winograd)
    xs = inputs(96)
    ys = [tconv.prepare(weight, bias, GEOMETRY, winograd=winograd)(x).tobytes() for x in xs]

    def work(seed: int) -> bool:
        for place in np.random.default_rng(seed).integers(0, len(xs), 60):
            y = layer.computed(xs[place], None, (lambda: (weight, bias)) if lent else None, (1 + seed % 2, False))
            if y.tobytes() != ys[place]:
                return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(4)))


def test_a_source_is_asked_only_where_weights_are_packed() -> None:
    weight, bias = numbers()
    asked: list[str] = []

    def source() -> tuple[Any, Any]:
        asked.append("")
        return weight, bias

    layer, x = prepare_lent(weight, bias, GEOMETRY), inputs(96)[2]
    expected = tconv.prepare(weight, bias, GEOMETRY)(x)
    for _ in range(3):
        assert (layer.computed(x, None, source, native.OWN) == expected).all()
        y = layer.exchange(x.__dlpack__(), x.shape, False, source)
        assert y is not None
    expected_count = 6 if native.active() == "reference" else 1
    assert len(asked) == expected_count
    infinite = weight.copy()
    infinite[0, 0, 0, 0] = np.inf
    layer, weight = prepare_lent(infinite, bias, GEOMETRY), infinite
    for _ in range(2):
        layer.computed(x[:, :, :2, :2], None, source, native.OWN)
    assert len(asked) == expected_count + 2  # the reference reads them each time


def test_what_a_source_may_not_be() -> None:
    weight, bias = numbers()
    x = inputs(96)[1]
    layer = prepare_lent(weight, bias, GEOMETRY)
    for call in (lambda source: layer.computed(x, None, source, native.OWN), lambda source: layer(x)):
        with pytest.raises(ValueError, match=r"^this layer keeps no weights: give the call their source$"):
            call(None)
    for wrong in (weight[:-1], weight[:, :-1].copy(), weight[..., :-1].copy(), weight.reshape(96, 80, 16)):
        with pytest.raises(ValueError, match=r"^the source's weight does not fit the layer$"):
            layer.computed(x, None, lambda wrong=wrong: (wrong, bias), native.OWN)
    for wrong in (weight.astype(np.float64), weight.transpose(0, 1, 3, 2), None):
        with pytest.raises(TypeError, match=MUST_RETURN):
            layer.computed(x, None, lambda wrong=wrong: (wrong, bias), native.OWN)

    def failing() -> Any:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        layer.computed(x, None, failing, native.OWN)
    y = layer.computed(x, None, lambda: (weight, bias), native.OWN)
    assert (y == tconv.prepare(weight, bias, GEOMETRY)(x)).all()
    with pytest.raises(
        errors.DtypeError,
        match=r"^a layer of dtype int64 keeps its weights; use float32, float64, bfloat16 or float16$",
    ):
        prepare_lent(weight.astype(np.int64))


def test_winograd_gives_way_where_its_weights_would_be_too_large() -> None:
    """Four times the weights, for two taps per phase: up to 16 MiB of them, and not one more."""
    for channels, way in ((128, "winograd_4x4"), (129, "cells")):
        weight = np.ones((channels, 512, 4, 4), np.float32)  # the pack of 128 is 16 MiB
        for made in (tconv.prepare, prepare_lent):
            layer = made(weight, None, GEOMETRY, winograd=True)
            if native.active() == "reference":
                way = "reference"
            assert layer.plan((1, channels, 24, 24), channels_last=True).way == way


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, where a test before this one has imported it
def test_a_source_may_call_and_a_child_may_be_forked_meanwhile() -> None:
    """The core holds no lock while it asks for weights."""
    weight, bias = numbers()
    x = inputs(96)[2]
    expected = tconv.prepare(weight, bias, GEOMETRY)(x)
    layer = prepare_lent(weight, bias, GEOMETRY)

    def source() -> tuple[Any, Any]:
        inner = layer.computed(x, None, lambda: (weight, bias), native.OWN)
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(int((layer.computed(x, None, lambda: (weight, bias), native.OWN) != inner).any()))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        return weight, bias

    assert (layer.computed(x, None, source, native.OWN) == expected).all()
