"""What a call costs beside its arithmetic: the native call, `tconv.Layer`, tconv.nn's function and module, PyTorch.

    python bench/overhead.py                         microseconds per call and what is above the native call

One small layer, one thread, eager, without gradients. The contenders take turns of 1,000 calls each; a turn's time is
divided by its calls, and the least and the median over the turns are shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from timeit import Timer
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from arguments import check

import tconv
import tconv.nn

CALLS = 1000
NATIVE = "native call"


def contenders() -> dict[str, Callable[[], Any]]:
    """All compute the same: 16 -> 16 channels, kernel and stride 2, on 4 x 4 pixels."""
    x, module = torch.randn(1, 16, 4, 4), tconv.nn.ConvTranspose2d(16, 16, 2, 2)
    weight, bias = module.weight, module.bias
    assert bias is not None
    theirs = torch.nn.ConvTranspose2d(16, 16, 2, 2)
    ours = tconv.nn.functional.conv_transpose2d
    layer = tconv.prepare(weight.numpy(), bias.numpy(), tconv.Geometry((2, 2), 2))
    array, out = x.numpy(), np.empty((1, 16, 8, 8), np.float32)
    run = layer._compiled.run
    return {
        NATIVE: lambda: run(array, out),
        "Layer": lambda: layer(array),
        "function": lambda: ours(x, weight, bias, 2),
        "function, a number per axis": lambda: ours(x, weight, bias, (2, 2), (0, 0), (0, 0), 1, (1, 1)),
        "module": lambda: module(x),
        "PyTorch's function": lambda: F.conv_transpose2d(x, weight, bias, 2),
        "PyTorch's module": lambda: theirs(x),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="turns of each contender (default 200)")
    options = parser.parse_args()
    check(parser, options, rounds=1)
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    tconv.set_num_threads(1)
    timers = {name: Timer(run) for name, run in contenders().items()}
    turns: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(options.rounds):
        for name, timer in timers.items():
            timer.timeit(CALLS // 10)
            turns[name].append(timer.timeit(CALLS) / CALLS * 1e6)
    native = turns[NATIVE]
    print("| us per call | least | median | least above native | median above native |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, seen in turns.items():
        above = min(seen) - min(native), median(seen) - median(native)
        print(f"| {name} | {min(seen):.2f} | {median(seen):.2f} | {above[0]:.2f} | {above[1]:.2f} |")


if __name__ == "__main__":
    main()
