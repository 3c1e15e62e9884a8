"""`solve`: the question and its answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from tconv import errors
from tconv.geometry import Geometry
from tconv.geometry.arguments import Ints, integer, is_sequence, per_axis
from tconv.geometry.axis import LARGEST
from tconv.solver.bounds import Bound, Bounds
from tconv.solver.chain import Chain, Layer
from tconv.solver.search import Search
from tconv.solver.why import in_words, why_not

CHAINS = 20  # how many chains of several layers are listed unless more are asked for
REMARKS = "remarks"
DEEPEST = 100  # layers; the streams of the search are nested this deep


@dataclass(frozen=True)
class Solutions:
    """All answers to `solve`; true if every axis has one. `solutions[axis]` are the chains of an axis, best first.

    Attributes:
        pairs: (input size, output size) per axis.
        bounds: the values that each hyperparameter may take.
        layers: layers per chain.
        together: the same chain maps every pair, and is listed for each of them.
        limit: how many chains are listed at most, None for all.
        axes: per axis the chains; a chain is a tuple of `Layer`s.
    """

    pairs: tuple[tuple[int, int], ...]
    bounds: Bounds
    layers: int
    together: bool
    limit: int | None
    axes: tuple[tuple[Chain, ...], ...]

    def __len__(self) -> int:
        return len(self.axes)

    def __getitem__(self, axis: int) -> tuple[Chain, ...]:
        return self.axes[axis]

    def __iter__(self) -> Iterator[tuple[Chain, ...]]:
        return iter(self.axes)

    def __bool__(self) -> bool:
        return all(self.axes)

    @property
    def best(self) -> tuple[Chain, ...]:
        """The best chain of every axis; empty if an axis has none."""
        return tuple(chains[0] for chains in self.axes) if self else ()

    def geometries(self) -> tuple[tuple[Geometry, ...], ...]:
        """Chains of geometries over all axes, first layer to last: the best one, or every one with `together`.

        >>> [[best]] = solve((6, 6), (12, 13)).geometries()
        >>> print(best, best.output_size((6, 6)))
        2-D: kernel 2x4, stride 2, dilation 1, crop ((0, 0), (1, 0)) (12, 13)
        """
        if not self:
            return ()
        answers = zip(*self.axes, strict=True) if self.together else [self.best]
        return tuple(tuple(_geometry(layers) for layers in zip(*answer, strict=True)) for answer in answers)

    @cached_property
    def why(self) -> str | None:
        """Why there is no solution: the law in the way, with values, and what would do it. None if there are some."""
        reasons = [
            f"{where}{why_not(Search(pairs, self.bounds, self.layers))}"
            for where, pairs, chains in self._groups()
            if not chains
        ]
        return "\n".join(reasons) or None

    def _groups(self) -> Iterator[tuple[str, tuple[tuple[int, int], ...], tuple[Chain, ...]]]:
        """What was solved at once: which axes (in words, "" if there is only one answer), their pairs, the chains."""
        if self.together:
            yield "", self.pairs, self.axes[0]
            return
        for pair in dict.fromkeys(self.pairs):
            axes = [number for number, other in enumerate(self.pairs) if other == pair]
            where = "" if len(self.pairs) == 1 else f"axis {axes[0]}: "
            if len(axes) > 1:
                where = f"axes {', '.join(map(str, axes))}: "
            yield where, (pair,), self.axes[axes[0]]

    def __str__(self) -> str:
        return "\n\n".join(
            where + (self._table(pairs, chains) if chains else why_not(Search(pairs, self.bounds, self.layers)))
            for where, pairs, chains in self._groups()
        )

    def _table(self, pairs: tuple[tuple[int, int], ...], chains: tuple[Chain, ...]) -> str:
        found = len(chains)
        many = f"the best {found}" if found == self.limit else f"{found} solution{'s' * (found > 1)}, best first"
        by = f" by {self.layers} layers" if self.layers > 1 else ""
        cells = [_row(chain, [n for n, _ in pairs]) for chain in chains]
        names = [name for name in cells[0] if any(row[name] for row in cells)]
        widths = [0 if name == REMARKS else max(len(name), *(len(row[name]) for row in cells)) for name in names]
        lines = [
            "  ".join(text.rjust(width) for text, width in zip(texts, widths, strict=True)).rstrip()
            for texts in [names, *([row[name] for name in names] for row in cells)]
        ]
        return "\n".join([f"{in_words(pairs)}{by}: {many}", *lines])


def _row(chain: Chain, in_sizes: list[int]) -> dict[str, str]:
    """The cells of one line of the table, by the names of the columns; columns without any text are left out of it."""
    sizes = " and ".join(" -> ".join(map(str, chain.sizes(n))) for n in in_sizes)
    parameters = {name: ", ".join(str(getattr(layer, name)) for layer in chain) for name in Layer._fields}
    coverage = ", ".join("even" if layer.is_even else "uneven" for layer in chain)
    macs = str(sum(chain.macs(n) for n in in_sizes))
    remarks = "; ".join(dict.fromkeys(layer.waste for layer in chain if layer.waste))
    sizes = sizes if len(chain) > 1 else ""
    return {"sizes": sizes, **parameters, "coverage": coverage, "MACs": macs, REMARKS: remarks}


def _geometry(layers: tuple[Layer, ...]) -> Geometry:
    """One layer over all axes."""
    kernel, stride, padding, output_padding, dilation = zip(*layers, strict=True)
    return Geometry.from_torch(kernel, stride, padding, output_padding, dilation)


def solve(
    in_size: Ints,
    out_size: Ints,
    *,
    kernel: Bound = (1, 7),
    stride: Bound = (1, 4),
    padding: Bound = (0, 3),
    output_padding: Bound = (0, 3),
    dilation: Bound = (1, 1),
    layers: int = 1,
    together: bool = False,
    limit: int | None = None,
) -> Solutions:
    """All hyperparameters that map `in_size` to `out_size`, best first, in PyTorch's parameters and by its laws.

    Ranking, smaller first: uneven layers (they draw a checkerboard, see `Axis.coverage`), wasteful layers (they cut
    whole inputs off, or end with bias-only cells, see `Layer.waste`), MACs (kernel * input size), then the parameters.

    Two parameters do not change the operator in one case each: dilation at kernel 1, and stride where every input is
    one cell. There they only raise the limit of output_padding, and the least legal value within bounds is listed.

    Args:
        in_size, out_size: cells; an int, or one per axis.
        kernel, stride, padding, output_padding, dilation: an int (fixed), a pair (lo, hi) with both ends included, or a
            range. `0 <= output_padding < max(stride, dilation)` holds besides.
        layers: how many layers follow one another, each within the bounds.
        together: one chain for all the pairs: a square layer, or one that must handle several sizes.
        limit: how many chains to list per axis; the default is all of them for one layer, and 20 for several.

    Raises:
        InputSizeError, OutputSizeError, SizeOverflowError: a size below 1, or beyond 64 bits.
        LengthError: sizes for different numbers of axes; bounds that are not a pair; layers or limit below 1.
        KernelError, StrideError, PaddingError, OutputPaddingError, DilationError: bounds that are empty or too low.
        TooLargeError: more than 200,000 combinations of kernel, stride and dilation.
        ArgumentTypeError: something that is not an integer.

    >>> print(solve(6, 12, kernel=3))
    6 -> 12: 2 solutions, best first
    kernel  stride  padding  output_padding  dilation  coverage  MACs  remarks
         3       3        3               0         1      even    18  cuts off whole inputs
         3       2        1               1         1    uneven    18
    >>> print(solve(6, 9, kernel=2, stride=1).why.partition(". ")[0])
    6 -> 9 cannot be done within these bounds: the largest output is 7 (kernel 2, stride 1, padding 0, output_padding 0)
    """
    pairs = _pairs(in_size, out_size)
    bounds = Bounds.parse(
        kernel=kernel, stride=stride, padding=padding, output_padding=output_padding, dilation=dilation
    )
    layers = _count("layers", layers)
    if layers > DEEPEST:
        raise errors.LengthError(f"layers {layers} must be at most {DEEPEST}; solve a long chain in parts")
    if limit is not None or layers > 1:
        limit = min(_count("limit", CHAINS if limit is None else limit), sys.maxsize)

    def chains(*pairs: tuple[int, int]) -> tuple[Chain, ...]:
        return tuple(islice(Search(pairs, bounds, layers).chains(), limit))

    if together:
        return Solutions(pairs, bounds, layers, True, limit, (chains(*pairs),) * len(pairs))
    answers = {pair: chains(pair) for pair in set(pairs)}
    return Solutions(pairs, bounds, layers, False, limit, tuple(answers[pair] for pair in pairs))


def _pairs(in_size: Any, out_size: Any) -> tuple[tuple[int, int], ...]:
    """(input size, output size) per axis."""
    ndim = max(len(sizes) if is_sequence(sizes) else 1 for sizes in (in_size, out_size)) or 1
    ins, outs = per_axis("in_size", in_size, ndim), per_axis("out_size", out_size, ndim)
    for name, sizes, law in (("in_size", ins, errors.InputSizeError), ("out_size", outs, errors.OutputSizeError)):
        for size in sizes:
            if size < 1:
                raise law(f"{name} {size} must be at least 1: a layer needs a cell to read and makes at least one")
            if size >= LARGEST:
                raise errors.SizeOverflowError(f"{name} {size} does not fit into 64 bits; give one below 2**62")
    return tuple(zip(ins, outs, strict=True))


def _count(name: str, value: Any) -> int:
    if integer(name, value) < 1:
        raise errors.LengthError(f"{name} {value} must be at least 1")
    return integer(name, value)
