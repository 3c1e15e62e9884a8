"""`prepare`: weights packed once, activations, reuse."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, IDS, Case
from ml_dtypes import bfloat16

import tconv
from tconv import Geometry, errors
from tconv.layer import ACTIVATIONS, prepare_lent
from tconv.signature import Signature


def test_runs_on_any_size_and_keeps_its_own_weights() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float16, np.int64):
        w, b = (4 * rng.standard_normal((3, 2, 4, 4))).astype(dtype), np.arange(2).astype(dtype)
        geometry = Geometry.from_torch((4, 4), 2, 1)
        layer = tconv.prepare(w, b, geometry)
        inputs = [(4 * rng.standard_normal((n, 3, 3 + n, 9 * n))).astype(dtype) for n in (1, 4, 2)]
        expected = [tconv.conv_transpose2d(x, w, b, 2, 1) for x in inputs]
        w[...], b[...] = 0, 0
        for _ in range(2):
            for x, y in zip(inputs, expected, strict=True):
                assert (layer(x) == y).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_are_pytorchs(name: str, dtype: Any) -> None:
    x = np.array([[[-np.inf, -90, -3, -0.5, -0.0, 0, 0.5, 3, 90, np.inf, np.nan]]], dtype)
    if name == "gelu":
        x = x[np.isfinite(x)][None, None]  # PyTorch's own gelu(inf) differs between dtypes
    layer = tconv.prepare(np.ones((1, 1, 1), dtype), activation=name)
    function = getattr(torch, name, None) or getattr(torch.nn.functional, name)
    tolerance = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(layer(x), function(torch.from_numpy(x)).numpy(), tolerance, tolerance)


def test_leaky_slope_and_half_precision() -> None:
    x = np.array([[[-2.0, 4]]], np.float16)
    layer = tconv.prepare(np.ones((1, 1, 1), np.float16), np.array([-1], np.float16), activation=("leaky_relu", 0.5))
    assert layer(x).tolist() == [[[-1.5, 3.0]]]


def test_repr_says_what_runs() -> None:
    text = repr(tconv.prepare(np.ones((2, 3, 2), np.float32), geometry=Geometry(2, 2), groups=2))
    expected = (
        "<tconv.Layer 2 -> 6 channels, groups 2, 1-D: kernel 2, stride 2, dilation 1, crop (0, 0), float32, runs on "
    )
    assert text == f"{expected}{tconv.native.active()}>"
    assert repr(tconv.prepare(np.ones((1, 1, 1), int))).endswith("int64, runs on NumPy>")


def test_a_plan_says_what_would_run_and_how_little_memory_it_needs() -> None:
    """Whatever the layer, a thread's scratch memory stays below 4 MiB."""
    layers = [
        # in, out, groups, kernel, stride, input, way channels-first, way channels-last
        (512, 256, 1, (2, 2), 2, (32, 32), "pixels", "cells"),
        (2048, 64, 1, (4, 4), 2, (8, 6), "col2im", "col2im"),
        (64, 64, 1, (16, 16), 7, (40, 40), "pixels", "cells"),
        (32, 16, 1, (16, 16), 8, (4, 9000), "pixels", "cells"),
        (256, 128, 1, (16,), 8, (100_000,), "cells", "cells"),
        (64, 1, 1, (4, 4), 2, (64, 64), "pixels", "pixels"),
        (3, 12, 1, (40, 40), 1, (300, 300), "pixels", "cells"),
        (2, 1, 1, (9, 9, 9), 1, (12, 12, 12), "pixels", "pixels"),
        (64, 64, 64, (4, 4), 2, (64, 64), "depthwise", "depthwise"),
        (100, 64, 1, (4, 4), 1, (1, 1), "cells", "cells"),
    ]
    for channels_in, channels_out, groups, kernel, stride, size, *ways in layers:
        weight = np.ones((channels_in, channels_out // groups, *kernel), np.float32)
        layer = tconv.prepare(weight, geometry=Geometry(kernel, stride), groups=groups)
        for channels_last, way in enumerate(ways):
            plan = layer.plan((2, channels_in, *size), bool(channels_last))
            assert plan.way == (way if tconv.native.active() != "reference" else "reference"), (kernel, size)
            assert plan.workspace_bytes is not None and plan.workspace_bytes <= 4 * 2**20
            assert plan.output_shape == (2, channels_out, *layer.geometry.output_size(size))
    assert tconv.prepare(np.ones((1, 1, 1), int)).plan((1, 5)) == tconv.layer.Plan((1, 5), "NumPy", None)
    half = tconv.prepare(np.ones((1, 1, 2), np.float16), geometry=Geometry(2, 2)).plan((1, 500))
    assert half.workspace_bytes is not None and half.workspace_bytes < 4 * (500 + 1000) + 4096  # of one channel's sums
    infinite = tconv.prepare(np.full((1, 1, 2), np.inf, np.float32))
    assert infinite.plan((1, 5)).way == "reference"


def test_bad_layers() -> None:
    w = np.ones((2, 3, 2), np.float32)
    with pytest.raises(errors.ActivationError, match=r"^activation 'elu' is unknown; choose one of relu, "):
        tconv.prepare(w, activation="elu")
    with pytest.raises(errors.ActivationError, match=r"^activation \('relu', 0.2\) is unknown"):
        tconv.prepare(w, activation=("relu", 0.2))
    with pytest.raises(errors.ActivationError, match=r"^activation relu is not defined here for dtype int64"):
        tconv.prepare(w.astype(int), activation="relu")
    with pytest.raises(errors.KernelError, match="does not have the geometry's kernel"):
        tconv.prepare(w, geometry=Geometry(3))
    with pytest.raises(errors.ArgumentTypeError, match=r"^winograd 'no' must be True or False$"):
        tconv.prepare(w, winograd="no")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(errors.RankError):
        tconv.prepare(np.ones(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_capsules_are_exchanged(dtype: Any) -> None:
    w, x = np.ones((2, 3, 2, 2), dtype), np.arange(24, dtype=dtype).reshape(2, 2, 2, 3)
    layer = tconv.prepare(w, geometry=Geometry((2, 2), 2))
    y = torch.from_dlpack(layer.exchange(x.__dlpack__(), x.shape))
    assert layer.exchanged == 4 and y.numpy().dtype == dtype and np.array_equal(y.numpy(), layer(x))
    empty = torch.from_dlpack(layer.exchange(x[:0].__dlpack__(), x[:0].shape))
    assert empty.shape == (0, 3, 4, 6)
    with pytest.raises(errors.ChannelError):
        layer.exchange(x.__dlpack__(), (2, 3, 2, 2))
    with pytest.raises(errors.ResultTooLargeError):
        wide = tconv.prepare(w, geometry=Geometry((2, 2), 2**22))
        wide.exchange(x.__dlpack__(), x.shape)
    assert tconv.prepare(w.astype(np.float16)).exchanged == w.ndim and tconv.prepare(w.astype(int)).exchanged == 0


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    ("order", "last"), [((0, 1, 2, 3), False), ((0, 2, 3, 1), True), ((0, 1, 3, 2), False), ((3, 2, 1, 0), False)]
)
def test_the_layout_of_what_is_exchanged(order: tuple[int, ...], last: bool, asked: bool) -> None:
    rng = np.random.default_rng(0)
    layer = tconv.prepare(rng.standard_normal((2, 3, 3, 2)), geometry=Geometry((3, 2), 2))
    x = rng.standard_normal((4, 2, 5, 3)).transpose(order).copy().transpose(np.argsort(order))
    y = torch.from_dlpack(layer.exchange(x.__dlpack__(), x.shape, asked))
    assert y.is_contiguous(memory_format=torch.channels_last if last or asked else torch.contiguous_format)
    np.testing.assert_allclose(y.numpy(), layer(x), atol=1e-12)
    broad = torch.from_numpy(x[:, :, :1]).expand(x.shape)
    y = torch.from_dlpack(layer.exchange(broad.__dlpack__(), x.shape, asked))
    np.testing.assert_allclose(y.numpy(), layer(broad.numpy()), atol=1e-12)


def test_the_shapes_remembered_are_bounded() -> None:
    signature = Signature(Geometry(1), 1, (1, 1, 1), None, np.float32)
    for n in range(1, 1000):
        assert signature.result(np.empty((1, 1, n), np.float32), None).shape == (1, 1, n)
        assert len(signature._results) <= 256


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_sizes_that_change_from_call_to_call_give_the_same_bits(case: Case) -> None:
    """What a layer remembers of one size never shows in the result of another."""
    rng = np.random.default_rng(5)
    x, w, b = (rng.standard_normal(a.shape).astype(np.float32) for a in case.arrays())
    layer = tconv.prepare(w, b, case.geometry, case.groups)
    larger = np.concatenate([x, x], axis=-1)
    inputs = [x, larger, x[:0], np.moveaxis(np.moveaxis(larger, 1, -1).copy(), -1, 1), x]
    fresh = [tconv.prepare(w, b, case.geometry, case.groups)(each) for each in inputs]
    for _ in range(3):
        for each, expected in zip(inputs, fresh, strict=True):
            y = layer(each)
            assert y.shape == expected.shape and y.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, bfloat16, np.complex64, np.int64])
@pytest.mark.parametrize("last", [False, True])
def test_large_results_begin_a_cache_line(dtype: Any, last: bool) -> None:
    x = np.ones((1, 1, 800, 501, 2), dtype)
    x = np.moveaxis(x, -1, 1) if last else x.reshape(1, 2, 1, 800, 501)
    for _ in range(3):
        y = tconv.prepare(np.ones((2, 3, 1, 1, 1), dtype))(x)
        assert y.shape == (1, 3, 1, 800, 501) and y.dtype == dtype and y.nbytes > 2**20
        assert (y == 2).all() and y.ctypes.data % 64 == 0
        assert (y.strides[1] == y.itemsize) == last and y.flags.writeable


def test_unaligned_weights_are_read_from_a_copy() -> None:
    """Contiguous, but at an odd address, as in a file that was mapped or read as bytes."""
    w, b = np.arange(12, dtype=np.float32).reshape(2, 3, 2), np.arange(3, dtype=np.float32)
    odd = [np.frombuffer(b"?" + a.tobytes(), a.dtype, offset=1).reshape(a.shape) for a in (w, b)]
    x = np.arange(10, dtype=np.float32).reshape(1, 2, 5)
    assert not odd[0].flags.aligned and odd[0].flags.c_contiguous
    assert (tconv.prepare(*odd)(x) == tconv.prepare(w, b)(x)).all()


LAYERS: dict[str, Callable[[], tconv.Layer]] = {
    "float32": lambda: tconv.prepare(ones((8, 3, 4, 4)), ones((6,)), Geometry((4, 4), 2), 2, "gelu"),
    "no bias": lambda: tconv.prepare(ones((8, 3, 3)), None, Geometry(3), 1, ("leaky_relu", 0.3)),
    "float64, winograd": lambda: tconv.prepare(
        ones((32, 32, 3, 3)).astype(float), None, Geometry((3, 3)), winograd=True
    ),
    "float16": lambda: tconv.prepare(ones((8, 3, 4, 4)).astype(np.float16), ones((3,)).astype(np.float16)),
    "bfloat16": lambda: tconv.prepare(ones((8, 3, 4)).astype(bfloat16), activation="relu"),
    "int64": lambda: tconv.prepare((9 * ones((8, 3, 4))).astype(int), np.arange(3)),
    "object": lambda: tconv.prepare(np.arange(24).reshape(8, 3).astype(object)[..., None] * 10**30),
    "depthwise": lambda: tconv.prepare(ones((8, 1, 4, 4)), None, Geometry((4, 4), 2), 8),
    "not finite": lambda: tconv.prepare(ones((8, 3, 2)) * np.float32(np.inf)),
}


def ones(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda layer, n=n: pickle.loads(pickle.dumps(layer, n)) for n in range(2, 6)},
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("copied", COPIES)
def test_a_layer_is_copied_and_pickled(name: str, copied: str) -> None:
    """Before and after it has run: the same repr, plan and bits, in both layouts."""
    layer = LAYERS[name]()
    rng = np.random.default_rng(1)
    shape = (1, layer._signature.weight[0], *[12] * layer.geometry.ndim)
    x = (4 * rng.standard_normal(shape)).astype(layer.dtype)
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    for _ in range(2):
        other = COPIES[copied](layer)
        assert other is not layer and repr(other) == repr(layer) and other.exchanged == layer.exchanged
        assert other.dtype is layer.dtype or layer.dtype.kind == "V"
        for channels_last, each in enumerate((x, last)):
            assert other.plan(shape, bool(channels_last)) == layer.plan(shape, bool(channels_last))
            expected, y = layer(each), other(each)
            assert y.dtype == expected.dtype and np.array_equal(y, expected, equal_nan=layer.dtype.kind == "f")


def test_a_copy_keeps_its_own_weights_and_a_pickle_is_no_larger_than_they_are() -> None:
    w = ones((64, 64, 4, 4))
    layer = tconv.prepare(w)
    x = ones((1, 64, 5, 5))
    expected, copied = layer(x), copy.copy(layer)
    assert len(pickle.dumps(layer, 5)) < w.nbytes + 2000
    del layer
    assert (copied(x) == expected).all()


def test_a_layer_that_keeps_no_weights_is_neither_copied_nor_pickled() -> None:
    layer = prepare_lent(ones((2, 3, 2)))
    for copied in COPIES.values():
        with pytest.raises(TypeError) as refused:
            copied(layer)
        assert str(refused.value) == (
            f"{layer!r} keeps no weights and so cannot be copied or pickled; make it anew from the weights"
        )


def test_a_lent_layer_computes_what_a_prepared_one_does() -> None:
    w, b, x = ones((4, 3, 3, 2)), ones((3,)), ones((2, 4, 5, 6))
    arguments = Geometry((3, 2), 2), 1, "silu"
    layer, expected = prepare_lent(w, b, *arguments), tconv.prepare(w, b, *arguments)(x)
    out = np.empty((2, 3, 11, 24), np.float32)[..., ::2]
    assert layer.computed(x, out, lambda: (w, b), (1, False)) is out and (out == expected).all()
    assert (layer.computed(x[0], None, lambda: (w, b), (2, False)) == expected[0]).all()
    y = torch.from_dlpack(layer.exchange(x.__dlpack__(), x.shape, True, lambda: (w, b), (0, True)))
    assert (y.numpy() == expected).all() and y.is_contiguous(memory_format=torch.channels_last)
    with pytest.raises(errors.OutError, match="out has shape"):
        layer.computed(x, out[1:], lambda: (w, b), (1, False))
