"""Neurons: the edges that leave each input, one copy of the kernel each."""

from __future__ import annotations

import numpy as np
from rich.text import Text

from tconv.explorer import words
from tconv.explorer.grids import Facts, colour
from tconv.explorer.marks import Section, left_out
from tconv.explorer.scenes.neurons import counts
from tconv.explorer.trace import Trace
from tconv.explorer.words import factor, number


def neurons(trace: Trace, most: int | None) -> Section:
    edges = [
        (int(np.ravel_multi_index((p.channel, *p.i), trace.x.shape)), s, p) for s in trace.sums for p in s.products
    ]
    lines = []
    for n, (channel, *i) in enumerate(np.ndindex(trace.x.shape)):
        name = words.name("x", i, channel if len(trace.x) > 1 else None)
        line = Text()
        for _, s, p in (edge for edge in edges if edge[0] == n):
            w = words.name("w", p.k, f"{p.channel},{s.channel}" if trace.weight.shape[:2] != (1, 1) else None)
            y = words.name("y", s.o, s.channel if len(trace.y) > 1 else None)
            line += Text.assemble("; " * bool(line), f"{w} ", (factor(p.w), colour(n)), f" to {y}")
        lines.append((f"{name} = {number(trace.x[(channel, *i)])}", line if line else Text("no edge: all are cropped")))
    full, sparse, shared = counts(trace)
    return Section(
        "neurons: cells joined by edges that share their numbers",
        "Each line has the edges that leave one input neuron: one copy of the kernel. This layer shares it per input; "
        "read from y to x, the same edges are the convolution, which shares it per output.",
        [
            Facts(lines[:most]),
            Text(f"Fully connected {full} weights, sparse {sparse}, shared {shared}."),
        ],
        left_out(len(lines), most),
    )
