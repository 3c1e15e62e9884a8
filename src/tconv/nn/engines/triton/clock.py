"""How long a GPU takes, without what it takes to tell it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from tconv.nn.comparison import wall_clock

BYTES = 2**28  # more than any second-level cache so far


def device_seconds(run: Callable[[], object], device: torch.device) -> float:
    """How long `device` computes what `run` starts on its current stream, from a cold cache.

    More memory is read first than the second-level cache holds: so nothing that was computed before is still in it, and
    while that takes its tenth of a millisecond, the launches that follow are enqueued, as they are in a model.
    """
    if device.type != "cuda":  # in Triton's interpreter
        return wall_clock(run)
    with torch.cuda.device(device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        _memory(torch.cuda.current_device()).sum()
        start.record()
        run()
        end.record()
        end.synchronize()
    return float(start.elapsed_time(end)) / 1e3


@cache
def _memory(index: int) -> Tensor:
    return torch.zeros(BYTES // 4, dtype=torch.int32, device=f"cuda:{index}")
