"""More than 2^31 elements: what 32-bit indices would get wrong. Needs 11 GiB of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import Case

import tconv
from tconv import Geometry, native

MANY = 2**31

# (layer, channels-last?): a vector of outputs, of channels, of phases, and pixels of a plane or of a batch.
LAYERS = [
    (Case("1-D, big stride", Geometry(512, 256), (2**23 + 9,)), False),
    (Case("a plane", Geometry((4, 4), 4), (8193, 16385)), False),
    (Case("channels", Geometry.from_torch((4, 4), 2, 1), (1025, 1025), 1, 4, 512), False),
    (Case("channels-last", Geometry.from_torch((4, 4), 2, 1), (2049, 2049), 1, 8, 128), True),
    (Case("batch", Geometry((2, 2), 2), (256, 256), 2049, 2, 4), False),
    (Case("depthwise", Geometry.from_torch((4, 4), 2, 1), (2049, 2049), 1, 128, 128, 128), False),
]


@pytest.fixture(scope="module")
def memory() -> Any:
    return np.empty(MANY + 2**25, np.float32)


def arrays(case: Case, channels_last: bool, memory: Any) -> tuple[Any, Any, Any]:
    """Input, weight, and an output of more than 2^31 elements that lies in `memory`."""
    rng = np.random.default_rng(0)
    shape = (case.batch, case.out_channels, *case.geometry.output_size(case.in_size))
    size = int(np.prod(shape))
    assert MANY < size <= memory.size, f"{case.name}: {size - MANY} beyond, {memory.size - MANY} at most"
    memory = memory[:size]
    w = rng.integers(-4, 5, (case.in_channels, case.out_channels // case.groups, *case.geometry.kernel))
    if channels_last:
        x = rng.integers(-4, 5, (case.batch, *case.in_size, case.in_channels), np.int8).astype(np.float32)
        y = memory.reshape(shape[0], *shape[2:], shape[1])
        return np.moveaxis(x, -1, 1), w.astype(np.float32), np.moveaxis(y, -1, 1)
    x = rng.integers(-4, 5, (case.batch, case.in_channels, *case.in_size), np.int8).astype(np.float32)
    return x, w.astype(np.float32), memory.reshape(shape)


@pytest.mark.slow
@pytest.mark.parametrize("backend", native.backends())
@pytest.mark.parametrize(("case", "channels_last"), LAYERS, ids=[case.name for case, _ in LAYERS])
def test_slices_of_a_huge_result(
    case: Case, channels_last: bool, backend: str, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices of the input give slices of the result: at both ends, in the middle, and behind element 2^31."""
    monkeypatch.setenv("TCONV_BACKEND", backend)
    x, w, y = arrays(case, channels_last, memory)
    y.fill(99)
    layer = tconv.prepare(w, None, case.geometry, case.groups)
    assert layer(x, y) is y
    axis = 0 if case.batch > 1 else 2
    n = x.shape[axis]
    for first in (0, n // 2, n - 8):
        part = x[(slice(None),) * axis + (slice(first, first + 8),)].copy()
        assert (_inner(layer(part), case, axis, 0) == _inner(y, case, axis, first)).all()


def _inner(y: Any, case: Case, axis: int, first: int) -> Any:
    """The outputs that depend on inputs `first` to `first + 8` of the axis only."""
    if axis == 0:
        return y[first : first + 8]
    a = case.geometry.axes[0]
    start = a.stride * first - a.crop_lo
    return y[:, :, start + a.extent - 1 : start + a.stride * 8]


@pytest.mark.slow
@pytest.mark.parametrize("backend", native.backends())
def test_the_far_end_of_a_huge_input(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window shows the outputs of the last inputs only; the others are never touched and take no memory."""
    monkeypatch.setenv("TCONV_BACKEND", backend)
    x, end = np.zeros((1, 2, MANY + 5), np.float32), np.arange(2 * 40, dtype=np.float32).reshape(1, 2, 40)
    x[..., -40:] = end
    w = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    seen = Geometry(4, 2, crop=(2 * (x.shape[2] - 40), 0))
    assert (tconv.prepare(w, None, seen)(x) == tconv.prepare(w, None, Geometry(4, 2))(end)).all()
