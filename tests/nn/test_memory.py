"""Memory for results: lent again when the tensor is gone, and never before."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tconv.nn import functional, memory

SHAPE = (1, 4, 256, 512)
SIZE = 4 * 4 * 256 * 512


@pytest.fixture(autouse=True)
def nothing_free() -> Iterator[None]:
    gc.collect()
    memory._free.clear()
    yield
    memory._free.clear()


@pytest.mark.parametrize("channel", [None, 1])
def test_an_array_is_as_numpy_makes_it_and_its_memory_is_lent_again(channel: int | None) -> None:
    dtype = np.dtype(np.float32)
    array = memory.empty(SHAPE, dtype, channel)
    assert array.shape == SHAPE and array.dtype == dtype and array.flags.writeable and array.flags.aligned
    assert (array if channel is None else np.moveaxis(array, 1, -1)).flags.c_contiguous
    place = array.__array_interface__["data"][0]
    del array
    assert [buffer.size for buffer in memory._free.values()] == [SIZE]
    smaller = memory.empty((1, 4, 250, 500), dtype)
    assert smaller.__array_interface__["data"][0] == place and not memory._free
    other = memory.empty(SHAPE, dtype)
    assert other.__array_interface__["data"][0] != place


def test_small_and_unlike_sizes_are_not_kept_for_one_another() -> None:
    memory.empty((1000,), np.dtype(np.float32))
    assert not memory._free
    memory.empty((2**20,), np.dtype(np.float32))
    assert memory._free
    half = memory.empty((2**19,), np.dtype(np.float32))
    assert len(memory._free) == 1 and half.size == 2**19


def test_the_oldest_goes_when_too_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT", 5 * 2**20)
    arrays = [memory.empty((n * 2**20,), np.dtype(np.uint8)) for n in (2, 3, 1)]
    while arrays:
        arrays.pop(0)
    assert [buffer.size for buffer in memory._free.values()] == [3 * 2**20, 2**20]


def views(y: Tensor) -> dict[str, Any]:
    """All that may outlive the tensor that a layer returned."""
    return {
        "view": y[0, 1],
        "numpy": y.numpy(),
        "numpy of a view": y[:, 2].numpy()[0, 3:],
        "storage": y.untyped_storage(),
        "dlpack": np.from_dlpack(y),
        "detached": y.detach(),
        "memoryview": memoryview(y.numpy()),
    }


@torch.no_grad()
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", views(torch.zeros(1, 3, 4, 4)))
def test_whatever_is_left_of_a_result_keeps_its_memory(name: str, last: bool, engine: None) -> None:
    x, w = torch.randn(1, 4, 400, 400), torch.randn(4, 3, 3, 3)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    kept = views(functional.conv_transpose2d(x, w))[name]
    gc.collect()
    assert not memory._free
    for _ in range(3):
        functional.conv_transpose2d(x, w + 1)
    assert len(memory._free) == 1
    expected = views(torch.nn.functional.conv_transpose2d(x, w))[name]
    if name == "storage":
        kept, expected = (torch.tensor([], dtype=torch.float32).set_(s) for s in (kept, expected))
        assert kept.sum().item() == pytest.approx(expected.sum().item(), abs=1e-2)
    else:
        np.testing.assert_allclose(np.asarray(kept), np.asarray(expected), rtol=1e-4, atol=1e-4)
    del kept
    gc.collect()
    assert len(memory._free) == 2


def test_threads_do_not_share_a_buffer() -> None:
    def fill(number: int) -> bool:
        for _ in range(200):
            array = memory.empty(SHAPE, np.dtype(np.float32))
            array[0, 0, 0, :4] = number
            array[0, -1, -1, -4:] = number
            if not (array[0, 0, 0, :4] == number).all() or not (array[0, -1, -1, -4:] == number).all():
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(fill, range(8)))
    assert len(memory._free) <= 8
