"""Outputs so large that they are written past the caches have the same bits as smaller ones, wherever they lie."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tconv
from tconv import Geometry, native

TUNING = (Path(__file__).parents[2] / "cpp" / "tuning.hpp").read_text()
BYTES = [int(n) << 20 for n in re.findall(r"nontemporal_bytes = (\d+) << 20", TUNING)]

# geometry, groups, channels, size of an image; two images are large, one is not.
LAYERS = {
    "stride 2": (Geometry((2, 2), 2), 1, (6, 16), (168, 168)),
    "rows that are no whole lines": (Geometry((3, 3), 2, 1, ((1, 0), (1, 1))), 1, (5, 17), (159, 170)),
    "stride 1": (Geometry((3, 3), 1, 1, ((1, 1), (1, 1))), 1, (4, 48), (160, 224)),
    "three colours": (Geometry((4, 4), 4, 1, ((1, 1), (1, 1))), 1, (7, 3), (200, 200)),
    "1-D": (Geometry((4,), 2, 1, ((1, 1),)), 1, (8, 32), (30000,)),
    "1-D, long stride": (Geometry((16,), 8, 1, ((4, 4),)), 1, (8, 16), (14000,)),
    "3-D": (Geometry((2, 2, 2), 2), 1, (5, 16), (24, 24, 24)),
    "groups": (Geometry((2, 2), 2), 2, (8, 32), (120, 120)),
    "depthwise": (Geometry((4, 4), 2, 1, ((1, 1), (1, 1))), 48, (48, 48), (130, 144)),
    "depthwise, stride 1": (Geometry((3, 3), 1, 1, ((1, 1), (1, 1))), 64, (64, 64), (224, 240)),
}


@pytest.fixture(params=native.backends())
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCONV_BACKEND", request.param)


def placed(shape: tuple[int, ...], dtype: Any, last: bool, ahead: int) -> tuple[Any, Any]:
    """Room for an array `ahead` elements behind the begin of a cache line, and that array, channels-last if asked."""
    room = np.full(prod(shape) + 2 * 64, 99, dtype)
    begin = -room.ctypes.data // room.itemsize % (64 // room.itemsize) + ahead
    order = (shape[0], *shape[2:], shape[1]) if last else shape
    array = room[begin : begin + prod(shape)].reshape(order)
    return room, np.moveaxis(array, -1, 1) if last else array


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.usefixtures("backend")
def test_bits_do_not_depend_on_how_outputs_are_written(name: str, last: bool, dtype: Any) -> None:
    geometry, groups, (inputs, outputs), size = LAYERS[name]
    rng = np.random.default_rng(1)
    shape = (outputs, *geometry.output_size(size))
    most = max(BYTES) if name.startswith("depthwise") else min(BYTES)
    images = most // (prod(shape) * np.dtype(dtype).itemsize) + 1
    assert images > 1
    x = rng.standard_normal((images, inputs, *size)).astype(dtype)
    if last:
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    w = rng.standard_normal((inputs, outputs // groups, *geometry.kernel)).astype(dtype)
    b = rng.standard_normal(outputs).astype(dtype)
    activation = "relu" if len(name) % 2 else None
    layer = tconv.prepare(w, b, geometry, groups, activation)
    expected = np.concatenate([layer(x[image : image + 1]) for image in range(images)])
    for ahead in (0, 5):
        room, y = placed((images, *shape), dtype, last, ahead)
        layer(x, y)
        assert np.count_nonzero(room == 99) == room.size - y.size, "written beside the output"
        assert np.array_equal(y, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.usefixtures("backend")
def test_bits_of_a_norm_do_not_either(last: bool, dtype: Any) -> None:
    images = 5 * 4 // np.dtype(dtype).itemsize + 1
    x = np.random.default_rng(1).standard_normal((images, 36, 151, 153)).astype(dtype)
    if last:
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    assert x.nbytes > min(BYTES)
    y = native.group_norm(x, None, None, 6, 1e-5, "silu", 0.0)
    for image in range(images):
        assert np.array_equal(y[image], native.group_norm(x[image : image + 1], None, None, 6, 1e-5, "silu", 0.0)[0])
