"""What the engine for GPUs writes: all of a result, nothing beside it, the same bits every time."""

from __future__ import annotations

import pytest
import torch
from cases import Case
from gpu.place import DEVICE, FORMATS, REAL, arrays, catalogue, drawn, prepared, repeated
from torch import Tensor

from tconv.geometry import Geometry
from tconv.nn.engine import RefusedError

NAN = float("nan")
ALL = [*catalogue()[::2], *drawn(8)] if REAL else catalogue()[:2]
# Many weights and few cells: sums that are cut into parts.
STREAMING = Case("streaming", Geometry((2, 2), 2), (3, 3), 1, *((512, 256) if REAL else (40, 24)))


def around(y: Tensor, last: bool) -> tuple[Tensor, Tensor]:
    """Memory full of NaN, and a part of it of a result's shape, with channels and places left over on every side."""
    shape = [y.shape[0], y.shape[1] + 3, *(size + 2 for size in y.shape[2:])]
    memory = torch.full(shape, NAN, dtype=y.dtype, device=y.device)
    if last:
        memory = memory.contiguous(memory_format=FORMATS[y.dim()])
    part = memory[:, 1 : 1 + y.shape[1]]
    for axis, size in enumerate(y.shape[2:], 2):
        part = part.narrow(axis, 1, size)
    return memory, part


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_result_is_written_whole_and_nothing_beside_it(case: Case, dtype: torch.dtype) -> None:
    x, weight, bias = arrays(case, dtype)
    layer, source = prepared(case, weight, bias), lambda: (weight, bias)
    y = layer.run(x, source)
    for last in (False, True) if case.geometry.ndim > 1 else (False,):
        memory, part = around(y, last)
        layer.run_into(x, part, source)
        assert torch.allclose(part, y, rtol=4 * torch.finfo(dtype).eps, atol=1e-2)
        part.fill_(NAN)
        assert bool(memory.isnan().all())


def test_memory_that_was_used_before() -> None:
    case = ALL[0]
    x, weight, bias = arrays(case, torch.float16)
    layer, source = prepared(case, weight, bias), lambda: (weight, bias)
    expected = layer.run(x, source)
    for _ in range(3):
        poison = [torch.full_like(expected, NAN) for _ in range(4)]
        del poison  # the allocator hands its memory out again
        assert layer.run(x, source).equal(expected)


@pytest.mark.parametrize("case", [*ALL, STREAMING], ids=lambda case: case.name)
def test_the_same_bits_every_time(case: Case) -> None:
    x, weight, bias = arrays(case, torch.float16)
    layer, source = prepared(case, weight, bias), lambda: (weight, bias)
    first, *others = repeated(lambda: layer.run(x, source), 8 if REAL else 2)
    assert all(first.equal(y) for y in others)


def test_a_place_that_does_not_fit_is_refused() -> None:
    case = Case("pair", Geometry((2, 2), 2), (2, 3), 1, 4, 4)
    x, weight, bias = arrays(case, torch.float16)
    layer, source = prepared(case, weight, bias), lambda: (weight, bias)
    out = torch.empty(1, 4, 4, 5, dtype=torch.float16, device=DEVICE)
    with pytest.raises(
        RefusedError, match=r"^a result of shape \(1, 4, 4, 6\) does not fit memory of shape \(1, 4, 4, 5\)$"
    ):
        layer.run_into(x, out, source)
