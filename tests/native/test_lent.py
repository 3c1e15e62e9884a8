"""Memory for results: lent again when the last array in it is gone, and never before."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tconv import native
from tconv.nn import functional

MB = 2**20
SIZE = 4 * 3 * 402 * 402  # of the result below


def lent(size: int) -> Tensor:
    return torch._C._from_dlpack(native._core.lent(size))


@pytest.fixture(autouse=True)
def nothing_free() -> Iterator[None]:
    gc.collect()
    native.free_memory()
    yield
    native.free_memory()


@pytest.mark.parametrize("size", [2 * MB, 3 * MB, 100 * MB])
def test_memory_is_lent_again_to_what_nearly_fills_it(size: int) -> None:
    first = lent(size)
    first[:] = 7
    place = first.data_ptr()
    assert first.shape == (size,) and first.dtype == torch.uint8 and place % 64 == 0
    other = lent(size)
    assert other.data_ptr() != place
    other[:] = 8
    assert (first == 7).all() and (other == 8).all()
    del first
    again = lent(size - size // 10)
    assert again.data_ptr() == place and native.free_memory() == 0
    del again
    assert native.free_memory() == size and native.free_memory() == 0


def test_of_several_the_smallest_that_fits_is_taken() -> None:
    large, middle, small = lent(120 * MB), lent(110 * MB), lent(90 * MB)
    place = middle.data_ptr()
    del large, middle, small
    assert lent(100 * MB).data_ptr() == place


def test_small_and_unlike_sizes_are_not_kept_for_one_another() -> None:
    lent(MB - 1), lent(0)
    assert native.free_memory() == 0
    lent(2 * MB)
    half = lent(MB)
    assert native.free_memory() == 2 * MB
    del half
    assert native.free_memory() == MB


def test_the_oldest_goes_when_more_than_512_mb_are_kept() -> None:
    arrays = [lent(n * MB) for n in (300, 200, 100)]
    while arrays:
        arrays.pop(0)
    assert native.free_memory() == 300 * MB
    lent(600 * MB)
    assert native.free_memory() == 0


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
def test_whatever_is_left_of_a_result_keeps_its_memory(name: str, last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCONV_STRICT", "1")
    x, w = torch.randn(1, 4, 400, 400), torch.randn(4, 3, 3, 3)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    kept = views(functional.conv_transpose2d(x, w))[name]
    gc.collect()
    assert native.free_memory() == 0
    for _ in range(3):
        functional.conv_transpose2d(x, w + 1)
    assert native.free_memory() == SIZE
    expected = views(torch.nn.functional.conv_transpose2d(x, w))[name]
    if name == "storage":
        kept, expected = (torch.tensor([], dtype=torch.float32).set_(s) for s in (kept, expected))
        assert kept.sum().item() == pytest.approx(expected.sum().item(), abs=1e-2)
    else:
        np.testing.assert_allclose(np.asarray(kept), np.asarray(expected), rtol=1e-4, atol=1e-4)
    del kept
    gc.collect()
    assert native.free_memory() == SIZE


def test_threads_do_not_share_a_buffer() -> None:
    def fill(number: int) -> bool:
        for _ in range(200):
            array = lent(2 * MB)
            array[:4] = number
            array[-4:] = number
            if not (array[:4] == number).all() or not (array[-4:] == number).all():
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(fill, range(8)))
    assert native.free_memory() <= 16 * 2 * MB  # each holds its last one while it asks for the next
