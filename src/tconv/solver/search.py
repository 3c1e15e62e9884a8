"""All chains of layers between two sizes, best first.

The search runs from the output back. `_stream(j, sizes)` holds the chains of j layers that end at `sizes`: it merges,
over all that the last layer can have been, the streams of what comes before it. Costs are sums over the layers, so a
merged stream is sorted because its parts are, and it is computed only as far as somebody reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from heapq import merge
from itertools import tee
from typing import TypeAlias

from tconv.geometry import Axis, Sizes
from tconv.solver.bounds import Bounds
from tconv.solver.chain import Chain, Layer

Ranked: TypeAlias = tuple[int, int, int, tuple[Layer, ...]]  # uneven, wasteful, MACs, layers: so they compare


class Search:
    """One question: chains of `layers` layers, each within `bounds`, that map every input to its output.

    Args:
        pairs: (input size, output size); one chain has to do all of them.
    """

    def __init__(self, pairs: Sequence[tuple[int, int]], bounds: Bounds, layers: int = 1) -> None:
        self.pairs, self.bounds, self.layers = tuple(pairs), bounds, layers
        self._ins: Sizes = tuple(n for n, _ in pairs)
        self._outs: Sizes = tuple(out for _, out in pairs)
        self._spans = [[(n, n) for n in self._ins]]  # between which sizes the outputs lie after 0, 1, ... layers
        for _ in range(layers):
            self._spans.append([bounds.span(*span) for span in self._spans[-1]])
        self._streams: dict[tuple[int, Sizes], Iterator[Ranked]] = {}

    def including(self, name: str, value: int) -> Search:
        """The same question with one more value for one hyperparameter."""
        return Search(self.pairs, self.bounds.including(name, value), self.layers)

    @property
    def span(self) -> tuple[int, int]:
        """Between which sizes the output lies that the first pair's input can become."""
        return self._spans[-1][0]

    @property
    def plausible(self) -> bool:
        """Whether every output lies between the sizes that can be reached at most."""
        return all(lo <= out <= hi for out, (lo, hi) in zip(self._outs, self._spans[-1], strict=True))

    def chains(self) -> Iterator[Chain]:
        """The chains, best first."""
        return (Chain(layers) for *_, layers in self._stream(self.layers, self._outs))

    def first(self) -> Chain | None:
        """The best chain, if there is any."""
        return next(self.chains(), None)

    def _stream(self, layers: int, outs: Sizes) -> Iterator[Ranked]:
        if layers == 0:
            return iter([(0, 0, 0, ())] if outs == self._ins else [])
        if (layers, outs) not in self._streams:
            branches = [self._branch(layers - 1, ins, last) for ins, last in self._before(layers, outs)]
            (self._streams[layers, outs],) = tee(merge(*branches), 1)
        return copy(self._streams[layers, outs])  # a copied tee starts at the beginning and shares what was computed

    def _branch(self, layers: int, ins: Sizes, last: Layer) -> Iterator[Ranked]:
        flaw, waste, macs = not last.is_even, last.waste != "", last.kernel * sum(ins)
        for uneven, wasteful, spent, chain in self._stream(layers, ins):
            yield uneven + flaw, wasteful + waste, spent + macs, (*chain, last)

    def _before(self, layers: int, outs: Sizes) -> Iterator[tuple[Sizes, Layer]]:
        """What layer number `layers` can have been, and the sizes that it was given."""
        spans = self._spans[layers - 1]
        for shape in self.bounds.shapes:
            for n in _inputs(shape, outs[0], self.bounds.cuts(shape), spans[0]):
                cut = shape.full_size(n) - outs[0]
                axis = Axis(shape.kernel, shape.stride, shape.dilation, cut)
                rest = [axis.input_sizes(out) for out in outs[1:]]
                if all(sizes and lo <= sizes[0] <= hi for sizes, (lo, hi) in zip(rest, spans[1:], strict=True)):
                    ins = (n, *(sizes[0] for sizes in rest))
                    one_cell = max(ins) == 1
                    for layer in self.bounds.splits(shape, cut):
                        if self.bounds.is_canonical(layer, one_cell):
                            yield ins, layer


def _inputs(shape: Axis, out: int, cuts: tuple[int, int], span: tuple[int, int]) -> range:
    """The input sizes within `span` for which full_size - out lies within `cuts`; full_size grows by stride a cell."""
    short = out - shape.full_size(1)
    first = 1 - (-(short + cuts[0]) // shape.stride)
    last = 1 + (short + cuts[1]) // shape.stride
    return range(max(first, span[0]), min(last, span[1]) + 1)
