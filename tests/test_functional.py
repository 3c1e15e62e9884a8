"""The public operator, with PyTorch as the oracle: values, layouts, dtypes, sizes."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from cases import CASES, Case

import tconv
from tconv import Geometry, errors, functional
from tconv.forms import FORMS

OURS = {1: tconv.conv_transpose1d, 2: tconv.conv_transpose2d, 3: tconv.conv_transpose3d}
THEIRS = {n: getattr(torch.nn.functional, f"conv_transpose{n}d") for n in OURS}


def random(shape: tuple[int, ...], dtype: Any = np.float32, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def torch_result(ndim: int, x: Any, w: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
    tensors = [None if a is None else torch.from_numpy(np.ascontiguousarray(a)) for a in (x, w, b)]
    return THEIRS[ndim](*tensors, *args, **kwargs).numpy()


def close(y: Any, expected: Any, x: Any, w: Any, terms: int = 1) -> bool:
    """Within 1e-5 (float32) or 1e-13 (float64) of the sum of absolute products, bounded from above."""
    bound = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-13}[y.dtype]
    return bool(np.abs(y - expected).max(initial=0) <= bound * np.abs(x).max() * np.abs(w).max() * terms * 10)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_of_pytorch(ndim: int, dtype: Any) -> None:
    grid = itertools.product((1, 2, 3, 4), (1, 2, 3), (0, 1), (0, 1), (1, 2), (1, 2))
    count = 0
    for kernel, stride, padding, output_padding, groups, dilation in grid:
        if output_padding >= max(stride, dilation) or 2 * padding > dilation * (kernel - 1):
            continue
        x = random((2, 4, *(5, 4, 3)[:ndim]), dtype, seed=count)
        w, b = random((4, 3, *(kernel,) * ndim), dtype, seed=1), random((3 * groups,), dtype, seed=2)
        arguments = (stride, padding, output_padding, groups, dilation)
        y = OURS[ndim](x, w, b, *arguments)
        expected = torch_result(ndim, x, w, b, *arguments)
        assert y.shape == expected.shape and y.dtype == expected.dtype
        assert close(y, expected, x, w, terms=4 * kernel**ndim), arguments
        count += 1
    assert count > 50


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "size", "kernel", "stride"),
    [
        (64, 32, (32, 32), 2, 2),
        (33, 17, (19, 45), 4, 2),
        (128, 1, (9, 31), 5, 3),
        (16, 8, (4, 6, 33), 2, 2),
        (40, 24, (700,), 16, 8),
    ],
)
def test_real_sizes(in_channels: int, out_channels: int, size: tuple[int, ...], kernel: int, stride: int) -> None:
    """Large enough for several threads and for full strips of every backend."""
    ndim = len(size)
    x, w = random((2, in_channels, *size)), random((in_channels, out_channels, *(kernel,) * ndim), seed=1)
    expected = torch_result(ndim, x.astype(np.float64), w.astype(np.float64), None, stride)
    y = tconv.conv_transpose(x, w, stride=stride)
    assert np.linalg.norm(y - expected) / np.linalg.norm(expected) <= 1e-6
    tconv.set_num_threads(1)
    assert tconv.conv_transpose(x, w, stride=stride).tobytes() == y.tobytes()
    tconv.set_num_threads(0)


def test_positional_order_is_pytorchs() -> None:
    x, w, b = random((1, 4, 5, 5)), random((4, 2, 3, 3)), random((4,))
    by_name = tconv.conv_transpose2d(x, w, b, stride=3, padding=1, output_padding=2, groups=2, dilation=2)
    assert (tconv.conv_transpose2d(x, w, b, 3, 1, 2, 2, 2) == by_name).all()


def test_any_number_of_axes() -> None:
    for case in CASES:
        x, w, b = case.arrays(np.float64)
        crop = [(lo, hi) for lo, hi in case.geometry.crop]
        y = tconv.conv_transpose(
            x, w, b, case.geometry.stride, crop, groups=case.groups, dilation=case.geometry.dilation
        )
        assert (y == FORMS["gather"](case.geometry, *case.arrays(), case.groups)).all()


def layouts(x: Any) -> dict[str, Any]:
    """`x` in every memory layout that users bring."""
    swapped = x.astype(x.dtype.newbyteorder())
    channels_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    padded = np.zeros([n + 3 for n in x.shape], x.dtype)
    inner = padded[tuple(slice(1, n + 1) for n in x.shape)]
    inner[...] = x
    packed = np.zeros(x.shape, [("a", "u1"), ("x", x.dtype)])
    packed["x"] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    return {
        "fortran": np.asfortranarray(x),
        "channels last": channels_last,
        "byte-swapped": swapped,
        "view": inner,
        "reversed": x[::-1, :, ::-1].copy()[::-1, :, ::-1],
        "misaligned": packed["x"],
        "read-only": read_only,
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.complex128])
def test_any_memory_layout_gives_the_same_bits(dtype: Any) -> None:
    case = Case("", Geometry.from_torch((3, 3), 2, 1, 1), (4, 5), 2, 3, 4)
    x, w, b = case.arrays(dtype)
    expected = tconv.conv_transpose2d(x, w, b, 2, 1, 1)
    for name, layout in layouts(x).items():
        before = layout.tobytes()
        y = tconv.conv_transpose2d(layout, w, b, 2, 1, 1)
        assert (y == expected).all() and y.dtype == expected.dtype, name
        assert layout.tobytes() == before
        assert np.moveaxis(y, 1, -1).flags.c_contiguous if name == "channels last" else y.flags.c_contiguous, name
    for name, layout in layouts(w).items():
        assert (tconv.conv_transpose2d(x, layout, b, 2, 1, 1) == expected).all(), name
    broadcast = np.broadcast_to(x[:1, :, :1], x.shape)
    assert (tconv.conv_transpose2d(broadcast, w, b, 2) == tconv.conv_transpose2d(broadcast.copy(), w, b, 2)).all()
    spaced = np.repeat(b, 2)[::2]
    assert (tconv.conv_transpose2d(x, w, spaced, 2, 1, 1) == expected).all()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_rounded_once(dtype: Any) -> None:
    x, w, b = random((2, 24, 6, 6), dtype), random((24, 5, 4, 4), dtype, 1), random((5,), dtype, 2)
    y = tconv.conv_transpose2d(x, w, b, 2, 1)
    wide = tconv.conv_transpose2d(*(a.astype(np.float32) for a in (x, w, b)), 2, 1)
    assert y.dtype == dtype
    assert (y == wide.astype(dtype)).all()


def test_integers_wrap_and_complex_conjugates_nothing() -> None:
    x = np.full((1, 1, 2), 100, np.int8)
    assert tconv.conv_transpose1d(x, np.full((1, 1, 1), 2, np.int8)).tolist() == [[[-56, -56]]]
    z = np.array([[[1j, 2]]])
    assert tconv.conv_transpose1d(z, np.array([[[1j]]])).tolist() == [[[-1, 2j]]]


def test_nan_and_inf_stay_in_their_stamp() -> None:
    for dtype in (np.float32, np.float64):
        x, w = random((1, 3, 5, 40), dtype), random((3, 9, 3, 3), dtype, 1)
        x[0, 1, 2, 20], x[0, 2, 0, 39], w[0, 4, 0, 0] = np.nan, np.inf, -np.inf
        y = tconv.conv_transpose2d(x, w, None, 2, 1, 1)
        expected = FORMS["taps"](Geometry.from_torch((3, 3), 2, 1, 1), x, w)
        assert (np.isnan(y) == np.isnan(expected)).all() and (np.isinf(y) == np.isinf(expected)).all()
        assert np.isnan(y).any() and np.isfinite(y).any()


def test_unbatched_as_pytorch() -> None:
    x, w, b = random((3, 4, 5)), random((3, 2, 3, 3)), random((2,))
    assert tconv.conv_transpose2d(x, w, b, 2).shape == (2, 9, 11)
    assert close(tconv.conv_transpose2d(x, w, b, 2), torch_result(2, x, w, b, 2), x, w, 27)


def test_empty_batch_as_pytorch() -> None:
    for shape in ((0, 2, 3, 3), (0, 2, 0, 3)):
        y = tconv.conv_transpose2d(random(shape), random((2, 3, 3, 3)))
        assert y.shape == torch_result(2, random(shape), random((2, 3, 3, 3)), None).shape
    with pytest.raises(errors.InputSizeError):
        tconv.conv_transpose2d(random((1, 2, 0, 3)), random((2, 3, 3, 3)))


def test_output_size() -> None:
    x, w = random((2, 3, 6, 6)), random((3, 2, 3, 3))
    for size in (11, 12, (11, 12), [2, 12, 12], (2, 99, 12, 12)):
        y = tconv.conv_transpose2d(x, w, stride=2, padding=1, output_size=size)
        layer = torch.nn.ConvTranspose2d(3, 2, 3, 2, 1, bias=False)
        layer.weight.data = torch.from_numpy(w)
        spatial = [size] * 2 if isinstance(size, int) else list(size)[-2:]
        assert close(y, layer(torch.from_numpy(x), output_size=spatial).detach().numpy(), x, w, 27)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_same_and_valid_are_crops(padding: str) -> None:
    x, w = random((1, 2, 5)), random((2, 2, 2))
    y = tconv.conv_transpose1d(x, w, random((2,)), 3, padding)
    assert y.shape == (1, 2, 15)
    assert (y[..., 2::3] == random((2,))[:, None]).all()  # stride above kernel: holes hold the bias


def test_out() -> None:
    x, w, b = random((2, 3, 4, 5)), random((3, 4, 2, 2)), random((4,))
    expected = tconv.conv_transpose2d(x, w, b, 2)
    buffer = np.full((2, 10, 8, 10), 7, np.float32)
    y = tconv.conv_transpose2d(x, w, b, 2, out=buffer[:, 6:])
    assert y.base is buffer and (buffer[:, 6:] == expected).all() and (buffer[:, :6] == 7).all()
    reverse = np.empty((2, 4, 8, 10), np.float32)[:, ::-1, :, ::-1]
    assert (tconv.conv_transpose2d(x, w, b, 2, out=reverse) == expected).all()
    unbatched = np.empty((4, 8, 10), np.float32)
    assert tconv.conv_transpose2d(x[0], w, b, 2, out=unbatched) is unbatched
    assert (unbatched == expected[0]).all()
    for dtype in (np.float16, np.int32):
        small = [(4 * a).astype(dtype) for a in (x, w, b)]
        out = np.empty((2, 4, 8, 10), dtype)
        assert (tconv.conv_transpose2d(*small, 2, out=out) == tconv.conv_transpose2d(*small, 2)).all()


def test_lists_are_arrays() -> None:
    assert tconv.conv_transpose1d([[1, 2]], [[[1, 1]]], stride=2).tolist() == [[1, 1, 2, 2]]


def test_out_may_lie_on_the_weight_and_the_bias() -> None:
    """They are packed, and so copied, before the first result is written; the input is not, and is refused."""
    for dtype in (np.float32, np.float64, np.float16, np.int64):
        x, w, b = ((4 * random(shape)).astype(dtype) for shape in ((1, 2, 3, 4), (2, 3, 2, 2), (3,)))
        expected = tconv.conv_transpose2d(x, w, b, 2)
        buffer = np.zeros(expected.size + 1, dtype)
        weight, bias, out = buffer[: w.size].reshape(w.shape), buffer[-3:], buffer[1:].reshape(expected.shape)
        weight[...], bias[...] = w, b
        assert (tconv.conv_transpose2d(x, weight, bias, 2, out=out) == expected).all()


def test_what_is_remembered_of_a_call() -> None:
    """Shapes and numbers, of a bounded number of calls; never an array."""
    x, w, b = random((1, 2, 3)), random((2, 1, 2)), random((1,))
    kept = [weakref.ref(array) for array in (x, w, b)]
    tconv.conv_transpose1d(x, w, b, 2)
    del x, w, b
    assert [array() for array in kept] == [None] * 3
    one = np.ones((1, 1, 1), np.float32)
    for stride in range(1, 1000):
        tconv.conv_transpose1d(one, one, stride=stride)
    remembered = functional._known_signature.cache_info()
    assert remembered.currsize == remembered.maxsize == 256


def test_an_output_size_that_is_remembered_belongs_to_its_input() -> None:
    w = random((2, 1, 3))
    for _ in range(2):
        for n, size in ((4, 9), (4, 10), (5, 11), (5, 12)):
            assert tconv.conv_transpose1d(random((1, 2, n)), w, stride=2, output_size=size).shape == (1, 1, size)
        with pytest.raises(errors.OutputSizeError):
            tconv.conv_transpose1d(random((1, 2, 4)), w, stride=2, output_size=12)


def test_everything_is_judged_before_anything_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    def allocate(*args: Any) -> None:
        raise AssertionError("too early")

    x, w = random((1, 2, 3)), random((2, 1, 2))
    monkeypatch.setattr(tconv.native, "pack", allocate)
    with pytest.raises(errors.OutError):
        tconv.conv_transpose1d(x, w, out=x)
    with pytest.raises(errors.ResultTooLargeError):
        tconv.conv_transpose1d(x, w, stride=2**44)
    with pytest.raises(AssertionError, match="too early"):
        tconv.conv_transpose1d(x, w)


def test_many_threads_at_once() -> None:
    """Sizes and arguments change from call to call, and all threads share one prepared layer, packed by the first."""
    w = random((16, 16, 4, 4))
    layer = tconv.prepare(w, geometry=Geometry.from_torch((4, 4), 2, 1))
    inputs = [random((1, 16, 3 + n, 90 - n), seed=n) for n in range(12)]
    inputs += [np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) for x in inputs[::3]]

    def results(layer: tconv.Layer) -> list[bytes]:
        return [layer(x).tobytes() + tconv.conv_transpose2d(x, w, stride=2).tobytes() for x in inputs]

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(results, [layer] * 18))
    expected = results(tconv.prepare(w, geometry=layer.geometry))
    assert all(each == expected for each in found)


def test_after_fork() -> None:
    """A child process computes with threads of its own, whatever the parent had running."""
    x, w = random((1, 32, 24, 24)), random((32, 16, 4, 4))
    script = (
        "import os, sys, numpy as np, tconv\n"
        "x, w = np.load(sys.argv[1]).values()\n"
        "y = tconv.conv_transpose2d(x, w, stride=2)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(int(tconv.conv_transpose2d(x, w, stride=2).tobytes() != y.tobytes()))\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file, x=x, w=w)
        file.flush()
        subprocess.run([sys.executable, "-c", script, file.name], check=True, timeout=60)


@pytest.mark.parametrize("n", [65535, 65536, 65537])
def test_long_axes(n: int) -> None:
    x = np.arange(n, dtype=np.float64)
    w = np.array([[[1.0, 10, 100]]])
    expected = np.convolve(np.insert(x, range(1, n), 0), w[0, 0])
    assert (tconv.conv_transpose1d(x[None], w, stride=2)[0] == expected).all()
    assert (tconv.conv_transpose1d(x[:, None, None], w[..., :1])[:, 0, 0] == x).all()
    channels = tconv.conv_transpose1d(x[:, None], np.ones((n, 1, 1)), groups=n)
    assert (channels[:, 0] == x).all()
