"""Neurons: cells in columns, multiplications as edges; edges of one colour share one number of the kernel.

A transposed convolution shares its kernel per input neuron: the edges that leave it are one copy. An ordinary one
shares it per output neuron: the edges that arrive are one copy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.scene import Block, Box, Edge, Film, Mark, Role, Words, beside, shots
from tconv.explorer.sheets import Look, sheet
from tconv.explorer.trace import Trace
from tconv.geometry import Sizes

APART = 5.0  # room for the edges
TINTS = 6  # colours that edges are told apart by
WRITTEN = 400  # weights of a fully connected layer that are drawn


class Joined(NamedTuple):
    """One multiplication that is kept: flat input, flat output, and the place of its number in w."""

    i: int
    o: int
    number: int


class Column(NamedTuple):
    """Neurons, one below another."""

    name: str
    values: Array
    role: Role


def film(trace: Trace) -> Film:
    """One frame per input: the edges that leave it."""
    return shots("neurons: every input shares the same kernel", _frames(trace), 0)


def chain(traces: Sequence[Trace], title: str) -> Film:
    """Transposed convolutions one after another: one frame per neuron, with the edges that leave it.

    Args:
        traces: the first one's output has as many cells as the second one's input, and so on; only the kernels and
            geometries of the later ones are used.
    """
    columns, roles = [Column("x", traces[0].x.ravel(), Role.INPUT)], [Role.CANVAS] * (len(traces) - 1) + [Role.OUTPUT]
    for n, (trace, role) in enumerate(zip(traces, roles, strict=True)):
        name = "y" if role == Role.OUTPUT else f"layer {n + 1}"
        columns.append(Column(name, trace.matrix @ columns[-1].values, role))
    edges = [_joined(trace) for trace in traces]
    return shots(title, _walk(columns, edges, traces, "leave", lambda edge: edge.i))


def convolutions(traces: Sequence[Trace], z: Array, title: str) -> Film:
    """The ordinary convolutions that `traces` transpose, last one first: one frame per neuron that edges arrive at.

    Args:
        z: what the first convolution reads, of the size of the last trace's output.
    """
    columns = [Column("z", np.ravel(z), Role.OUTPUT)]
    edges = []
    for n, trace in enumerate(reversed(traces)):
        last = n == len(traces) - 1
        values = trace.matrix.T @ columns[-1].values
        columns.append(Column("C z" if last else f"layer {n + 1}", values, Role.INPUT if last else Role.CANVAS))
        edges.append([Joined(each.o, each.i, each.number) for each in _joined(trace)])
    return shots(title, _walk(columns, edges, list(reversed(traces)), "arrive at", lambda edge: edge.o))


def _frames(trace: Trace) -> Iterator[tuple[Block, str]]:
    edges = _joined(trace)
    full, sparse, shared = counts(trace)
    columns = [Column("x", trace.x.ravel(), Role.INPUT), Column("y", trace.linear.ravel(), Role.OUTPUT)]
    for n, (channel, *i) in enumerate(np.ndindex(trace.x.shape)):
        name = words.name("x", tuple(i), channel if len(trace.x) > 1 else None)
        lit = {edge for edge in edges if edge.i == n}
        beside_it = [_full(trace, edges, n), _kernels(trace)] if full <= WRITTEN else [_kernels(trace)]
        yield (
            beside(_drawn(columns, [edges], [lit]), *beside_it, gap=1.5),
            f"{len(lit)} edges leave {name}, one copy of the kernel. Fully connected {full} weights, sparse {sparse}, "
            f"shared {shared}.",
        )


def _walk(
    columns: list[Column],
    edges: list[list[Joined]],
    traces: Sequence[Trace],
    does: str,
    shares: Callable[[Joined], int],
) -> Iterator[tuple[Block, str]]:
    """One frame per copy of a kernel, layer after layer."""
    for layer, (some, trace) in enumerate(zip(edges, traces, strict=True)):
        for n in sorted({shares(edge) for edge in some}):
            lit = [{edge for edge in some if shares(edge) == n} if at == layer else set() for at in range(len(edges))]
            says = f"Layer {layer + 1}: {len(lit[layer])} edges {does} neuron {n}, one copy of its kernel."
            yield beside(_drawn(columns, edges, lit), _kernels(trace), gap=1.5), says


def _joined(trace: Trace) -> list[Joined]:
    return [
        Joined(
            int(np.ravel_multi_index((p.channel, *p.i), trace.x.shape)), row, _number(trace, p.channel, s.channel, p.k)
        )
        for row, s in enumerate(trace.sums)
        for p in s.products
    ]


def _number(trace: Trace, channel: int, out: int, k: Sizes) -> int:
    return int(np.ravel_multi_index((channel, out, *k), trace.weight.shape))


def counts(trace: Trace) -> tuple[int, int, int]:
    """The weights of a fully connected layer of these sizes; how many of them are left; how many numbers they share.

    The numbers are those of w without unconnected channels, which are not there.
    """
    pairs = sum(trace.connects(*pair) for pair in np.ndindex(trace.weight.shape[:2]))
    return trace.matrix.size, int(trace.connected.sum()), int(pairs * trace.weight[0, 0].size)


def _drawn(columns: list[Column], edges: list[list[Joined]], lit: Sequence[Collection[Joined]]) -> Block:
    """Columns with their middles on one line, and the edges between."""
    height = max(len(column.values) for column in columns) + 1.0
    tops = [1 + (height - 1 - len(column.values)) / 2 for column in columns]
    wide = max(1.0, *(0.27 * len(words.number(v)) + 0.35 for column in columns for v in column.values))
    lefts = [n * (wide + APART) for n in range(len(columns))]
    reached = [{edge.o for edge in lit[n - 1]} if n else set() for n in range(len(columns))]
    begins = [{edge.i for edge in lit[n]} if n < len(lit) else set() for n in range(len(columns))]
    marks: list[Mark] = []
    for n, some in enumerate(edges):
        for edge in (*(each for each in some if each not in lit[n]), *lit[n]):  # lit ones above the others
            ends = lefts[n] + wide, tops[n] + edge.i + 0.5, lefts[n + 1], tops[n + 1] + edge.o + 0.5
            marks.append(Edge(*ends, edge.number % TINTS, edge in lit[n]))
    for n, (name, values, role) in enumerate(columns):
        marks.append(Words(lefts[n], tops[n] - 0.5, name, 0.46, role, True))
        shown = reached[n] | begins[n]
        marks += [
            Box(lefts[n], tops[n] + at, wide, words.number(v), role, 0, at in shown) for at, v in enumerate(values)
        ]
    return Block(lefts[-1] + wide, height, tuple(marks))


def _full(trace: Trace, edges: list[Joined], column: int) -> Block:
    """The weights of a fully connected layer: those that are left in colour, a column of them lit; the others empty."""
    numbers = {(edge.o, edge.i): edge.number for edge in edges}

    def look(at: Sizes) -> Look:
        if at not in numbers:
            return Look("", Role.ZERO)
        return Look(words.number(trace.matrix[at]), Role.PHASE, numbers[at[0], at[1]] % TINTS, at[1] == column)

    return sheet(f"fully connected {words.by(trace.matrix.shape)}", trace.matrix.shape, look, Role.KERNEL)


def _kernels(trace: Trace) -> Block:
    """w in the colours of its edges."""
    blocks = []
    for channel, out in np.ndindex(trace.weight.shape[:2]):
        if trace.connects(channel, out):
            title = "w kernel" if trace.weight.shape[:2] == (1, 1) else f"w[{channel},{out}]"

            def look(k: Sizes, channel: int = channel, out: int = out) -> Look:
                tint = _number(trace, channel, out, k) % TINTS
                return Look(words.number(trace.weight[(channel, out, *k)]), Role.PHASE, tint)

            blocks.append(sheet(title, trace.weight[channel, out].shape, look, Role.KERNEL))
    return beside(*blocks, gap=0.8)
