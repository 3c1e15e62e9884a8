"""What the machine can do at best, measured beside each layer: the floor under every contender's time.

floor = max(useful FLOP / GEMM rate, bytes / copy rate)

GEMM rate: FLOP/s of the fastest of NumPy's, PyTorch's and oneDNN's (as a 1x1 convolution) square products, of float32
or, where layers in it are measured, of half precision, which NumPy has no fast products of.
Copy rate: bytes read plus bytes written per second, of a memory copy that moves as much as the layer: input, weight
and output together, but at least 256 KiB; of several ways the fastest in each turn, as threads of a library may have to
wait for a processor. It is repeated on the same memory, as the layer is, so that it runs in cache where it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np

from tconv.benchmark.clock import seconds_of_calls
from tconv.benchmark.suite import Case

GEMM_SIZES = (512, 1024, 1536)
TRY = 0.01  # seconds to find out which product or copy is the fastest
TURN = 0.05  # seconds for each of the two rates
LEAST_BYTES = 2**18  # below, the time of the call itself would be measured

Work: TypeAlias = tuple[Callable[[], object], float]
"""A call and how much it does: FLOP or bytes."""


class Floor:
    """Sits in a process of its own and takes turns like a contender.

    Args:
        threads: that it may use.
        half: "bfloat16" or "float16": of layers in it. Default: of float32.
    """

    def __init__(self, threads: int, half: str = "") -> None:
        self._threads, self._half = threads, half
        if find_spec("torch"):
            import_module("torch").set_num_threads(threads)
        products: Callable[[int], Iterator[Work]] = partial(_half_products, half) if half else _products
        self._gemm = _best([work for size in GEMM_SIZES for work in products(size)])

    def prepare(self, case: Case) -> dict[str, float]:
        moved = case.bytes // 2 if self._half else case.bytes
        self._copies = list(_copies(max(moved, LEAST_BYTES) // 2, self._threads))
        return {}

    def turn(self) -> dict[str, float]:
        """FLOP/s and bytes/s, of the fastest call in this turn."""
        return {"gemm": _rate(self._gemm), "copy": max(map(_rate, self._copies))}


def _rate(work: Work, least: float = TURN) -> float:
    run, amount = work
    return amount / min(seconds_of_calls(run, least))


def _best(works: list[Work]) -> Work:
    """The fastest work, of two tries each."""
    return max(works, key=lambda work: max(_rate(work, TRY), _rate(work, TRY)))


def _products(n: int) -> Iterator[Work]:
    flop = 2.0 * n**3
    a, b = (np.random.default_rng(seed).standard_normal((n, n), np.float32) for seed in range(2))
    c = np.empty_like(a)
    yield lambda: np.matmul(a, b, out=c), flop
    if find_spec("torch"):
        torch = import_module("torch")
        yield from _by_pytorch(*(torch.from_numpy(array) for array in (a, b, c)))


def _half_products(half: str, n: int) -> Iterator[Work]:
    """Those of float32, too: numbers can be widened first, and a processor may have no products of halves."""
    torch = import_module("torch")
    a, b, c = (torch.randn(n, n).to(getattr(torch, half)) for _ in "abc")
    yield from _by_pytorch(a, b, c)
    yield from _products(n)


def _by_pytorch(a: Any, b: Any, c: Any) -> Iterator[Work]:
    """As a product of matrices, and as a 1x1 convolution of n pixels of n channels, channels-last."""
    torch, n = import_module("torch"), len(a)
    yield lambda: torch.mm(a, b, out=c), 2.0 * n**3
    pixels = a.reshape(1, 1, n, n).permute(0, 3, 1, 2)
    taps = b.reshape(n, n, 1, 1).contiguous(memory_format=torch.channels_last)
    yield lambda: torch.nn.functional.conv2d(pixels, taps), 2.0 * n**3


def _copies(n: int, threads: int) -> Iterator[Work]:
    """Copies of n bytes: by one thread, by `threads` threads, by PyTorch."""
    source, target = np.ones(n, np.uint8), np.ones(n, np.uint8)
    yield lambda: np.copyto(target, source), 2.0 * n
    pool = ThreadPoolExecutor(threads)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    yield lambda: list(pool.map(lambda part: np.copyto(*part), parts)), 2.0 * n
    if find_spec("torch"):
        torch = import_module("torch")
        a, b = torch.from_numpy(target), torch.from_numpy(source)
        yield lambda: a.copy_(b), 2.0 * n
