"""A GPU with a clock, or, in a dry run, the CPU with Triton's interpreter, where no time means anything."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from tconv.nn import private
from tconv.nn.engines.triton import enabled
from tconv.nn.engines.triton.cards import Card, card, known

CACHE = 2**28  # bytes, more than any second-level cache so far
PRECISIONS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "tf32": torch.float32, "float32": torch.float32}


class Clock:
    """How long the device takes, and how long it takes to tell it.

    Args:
        dry: run everything once, on the CPU.
    """

    def __init__(self, dry: bool):
        self.dry = dry
        self.device = torch.device("cpu") if dry else torch.device("cuda", torch.cuda.current_device())
        self._cache = torch.zeros(0 if dry else CACHE // 4, dtype=torch.int32, device=self.device)

    def seconds(self, run: Callable[[], Any], times: int = 12) -> float:
        """The device's time for `run`: the median of replays of a CUDA graph, each from a cold cache.

        The cache is made cold by reading other memory, as what is written stays in it. Where `run` cannot be captured,
        it is called.
        """
        return _wall(run) if self.dry else self._median(self._captured(run), times)

    def launched(self, run: Callable[[], Any], times: int = 5) -> float:
        """The same without a graph, which takes a tenth of the time to measure: for what is few launches.

        While the other memory is read, they are enqueued.
        """
        if self.dry:
            return _wall(run)
        run()
        return self._median(run, times)

    def _median(self, run: Callable[[], Any], times: int) -> float:
        seen = []
        for _ in range(times):
            self._cache.sum()
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            end.synchronize()
            seen.append(start.elapsed_time(end) / 1e3)
        return median(seen)

    def _captured(self, run: Callable[[], Any]) -> Callable[[], Any]:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                run()
        except RuntimeError as error:
            torch.cuda.synchronize()
            print(f"  not captured: {(str(error).splitlines() or ['?'])[0]}", flush=True)
            return run
        return graph.replay

    def enqueued(self, run: Callable[[], Any], seconds: float) -> float:
        """How long a call takes until it returns, with nothing to wait for: the least of some turns.

        Args:
            seconds: what the device takes, so that not too many calls are waited for.
        """
        if self.dry:
            return _wall(run)
        calls, seen = max(2, min(20, round(0.01 / seconds))), []
        for _ in range(4):
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(calls):
                run()
            seen.append((time.perf_counter() - start) / calls)
        torch.cuda.synchronize()
        return min(seen)

    def free_bytes(self) -> int:
        """How much memory there is to use."""
        return 2**28 if self.dry else int(torch.cuda.mem_get_info()[0])


def _wall(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@contextmanager
def precision(name: str) -> Iterator[torch.dtype]:
    """Within it, PyTorch multiplies float32 as `name` says; gives the dtype of tensors."""
    allowed = name == "tf32"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both kinds of switches are set by the older ones alone, which say they are
        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed
    assert private.tf32() == allowed or torch.version.hip is not None
    yield PRECISIONS[name]


@dataclass
class Ceilings:
    """What the card can do, measured in the same run.

    Attributes:
        copy: bytes per second, read and written, of a kernel that copies.
        multiply: floating-point operations per second of a large matrix product, by precision.
        smallest: seconds of a kernel that does nothing.
    """

    copy: float
    multiply: dict[str, float]
    smallest: float

    def floor(self, flop: int, moved: int, name: str) -> float:
        """Seconds that nothing with these many FLOP and bytes can beat."""
        return max(flop / self.multiply[name], moved / self.copy, self.smallest)


def ceilings(clock: Clock) -> Ceilings:
    """Measure what the card can do."""
    one = torch.zeros(1, device=clock.device)
    copy, smallest = _copy_rate(clock), clock.seconds(one.zero_)
    side = 64 if clock.dry else 8192
    multiply = {}
    for name in PRECISIONS:
        with precision(name) as dtype:
            a, b = (_normal((side, side), dtype, clock.device) for _ in range(2))
            multiply[name] = 2 * side**3 / clock.seconds(lambda a=a, b=b: a @ b, 5)
    return Ceilings(copy, multiply, smallest)


def _copy_rate(clock: Clock) -> float:
    count = 2**10 if clock.dry else min(2**28, clock.free_bytes() // 32)
    x = torch.ones(count, device=clock.device)
    y = torch.empty_like(x)
    # A kernel that reads and writes, beside `copy_`, which leaves the work to a slower engine of the card.
    return 8 * count / min(clock.seconds(lambda: torch.add(x, 1, out=y)), clock.seconds(lambda: y.copy_(x)))


def _normal(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.randn(shape, device=device).to(dtype)


def this_card(clock: Clock) -> Card:
    """The card that is measured."""
    return known("sm_90", 132, "dry run") if clock.dry else card(clock.device)


def about(clock: Clock, date: str) -> dict[str, str]:
    """The card and the versions: what a result means nothing without."""
    known_card = this_card(clock)
    cudnn = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else "none"
    return {
        "card": known_card.name,
        "architecture": f"{known_card.architecture}, {known_card.processors} processors",
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda or torch.version.hip or "none"),
        "cudnn": str(cudnn),
        "triton": enabled.installed() or "none",
        "engine": "interpreted" if clock.dry else f"{enabled.VARIABLE}={os.environ.get(enabled.VARIABLE, '')}",
        "date": date,
    }


def file_stem(facts: dict[str, str]) -> str:
    """The name of a results file: card and date."""
    return re.sub(r"[^a-z0-9]+", "-", f"gpu {facts['card']} {facts['date']}".casefold()).strip("-")
