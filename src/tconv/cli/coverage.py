"""`tconv coverage`: where outputs get more contributions than others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, prod
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from tconv import errors
from tconv.cli.options import DEFAULTS, GeometryOptions, integers
from tconv.cli.screen import show
from tconv.explorer import words
from tconv.explorer.grids import Facts
from tconv.geometry import Axis, Coverage, Geometry, Sizes
from tconv.solver import Layer

MOST = 10**6  # pairs and cells that are counted
ROWS, COLUMNS = 32, 80  # the part of the map that is shown
HEAT = ("white on color(24)", "white on color(30)", "black on color(72)", "black on color(114)", "black on color(185)")
HOLE = "white on color(124)"


def coverage(
    *,
    in_size: Annotated[str, Parameter(name="--in")],
    kernel: str,
    geometry: GeometryOptions = DEFAULTS,
) -> None:
    """Show how many contributions every output cell gets: where checkerboards and holes come from.

    A cell that gets more of them than its neighbour becomes brighter, unless
    the weights make up for it; a cell that gets none holds the bias only.

        tconv coverage --in 5 --kernel 3 --stride 2
        tconv coverage --in 4x4 --kernel 3 --stride 2 --padding 1
        tconv coverage --in 4x4 --kernel 4 --stride 2 --dilation 2

    Args:
        in_size: Size of the input: 5, or one per axis as in 4x4.
        kernel: Size of the kernel: 3, or one per axis as in 3x5.
    """
    cells = integers("--in", in_size)
    layer = geometry.geometry(integers("--kernel", kernel), len(cells))
    cells = layer.sizes("--in", cells)
    _check_size(layer, cells)
    counted = layer.coverage(cells)
    show(Text(f"{words.by(cells)} -> {words.by(layer.output_size(cells))}", "bold"), Text(str(layer), "dim"), Text())
    show(Text("input-tap pairs that meet at each output cell:"), Text())
    show(*_map(counted), Text())
    show(Facts(list(_facts(layer, cells, counted))))


def _check_size(layer: Geometry, cells: Sizes) -> None:
    for axis, n, out in zip(layer.axes, cells, layer.output_size(cells), strict=True):
        if n < 1:
            raise errors.InputSizeError(f"--in {words.by(cells)} must be at least 1 in every axis")
        if max(axis.kernel * n, axis.stride, out) > MOST:
            raise errors.TooLargeError(
                f"{axis.kernel} taps on {n} cells, stride {axis.stride}, are more than the {MOST} that are counted; "
                f"give a smaller --in: the pattern repeats"
            )


def _map(counted: Coverage) -> Iterator[Text]:
    """The counts of one or two axes as a heat map; of more, one line per axis, as they multiply."""
    counts = [axis.counts[:COLUMNS] for axis in counted.axes]
    most = max(max(each) for each in counts)
    if len(counts) > 2:
        for number, each in enumerate(counts):
            yield Text(f"axis {number}  ") + _heat(each, most)
        yield Text("A cell's count is the product over the axes.")
        return
    down = counts[0][:ROWS] if len(counts) == 2 else (1,)
    most = max(down) * max(counts[-1])
    for row in down:
        yield _heat([row * count for count in counts[-1]], most)
    if len(counts) == 2 and len(counted.axes[0].counts) > ROWS:
        yield Text(f"... and {len(counted.axes[0].counts) - ROWS} more rows", "dim")


def _heat(counts: Sequence[int], most: int) -> Text:
    """One row: the more contributions, the brighter; red where there is none."""
    width = len(str(most)) + 2
    line = Text(no_wrap=True)
    shown = COLUMNS // width - 1
    for count in counts[:shown]:
        shade = HEAT[(count * len(HEAT) - 1) // max(most, 1)] if count else HOLE
        line.append(f" {count:>{width - 2}} ", shade)
    return line + Text(" …", "dim") if len(counts) > shown else line


def _facts(layer: Geometry, cells: Sizes, counted: Coverage) -> Iterator[tuple[str, str | Text]]:
    taps = [", ".join(map(str, axis.per_phase)) for axis in counted.axes]
    yield "taps per phase", "\n".join(words.per_axis(layer, taps, lambda _, said: said))
    yield "period", "none" if counted.is_even else f"{words.by(counted.period)} cells"
    total = prod([len(axis.counts) for axis in counted.axes])
    yield "holes", f"{counted.hole_count} of {total} cells hold the bias only" if counted.hole_count else "none"
    yield "verdict", _verdict(layer, counted)
    changes = words.per_axis(layer, list(zip(cells, counted.axes, strict=True)), lambda axis, at: _change(axis, at[0]))
    if not counted.is_even:
        yield "what to change", "\n".join(changes)


def _verdict(layer: Geometry, counted: Coverage) -> Text:
    """Whether there is a pattern, and why."""
    fewest, most = (prod([of(axis.per_phase) for axis in counted.axes]) for of in (min, max))
    if counted.is_even:
        return Text("Even: ", "bold green") + (
            f"away from the borders every output gets {most}. The geometry draws no checkerboard; weights still can."
        )
    if fewest == 0:
        return Text("Holes: ", "bold red") + "; ".join(
            dict.fromkeys(_why_holes(axis) for axis in layer.axes if axis.empty_phases)
        )
    return Text("Uneven: ", "bold yellow") + (
        f"away from the borders outputs get {fewest} to {most}, in a regular pattern: a checkerboard."
    )


def _why_holes(axis: Axis) -> str:
    shared = gcd(axis.stride, axis.dilation)
    if shared > 1:
        return f"stride {axis.stride} and dilation {axis.dilation} are both multiples of {shared}, so taps skip cells"
    return f"kernel {axis.kernel} is smaller than stride {axis.stride}, so stamps leave gaps"


def _change(axis: Axis, n: int) -> str:
    """The nearest layers with the same stride and output size that are even."""
    if axis.coverage(1).is_even:
        return "nothing, this axis is even"
    found = [layer for larger in (True, False) if (layer := _even_layer(axis, n, larger))]
    return f"the same {axis.output_size(n)} cells, evenly: {'; or '.join(map(str, found))}"


def _even_layer(axis: Axis, n: int, larger: bool) -> Layer | None:
    """The nearest one with a larger kernel, or a smaller one.

    Even are the kernels that are multiples of the stride, if the dilation shares no factor with it.
    """
    stride, dilation = axis.stride, axis.dilation if gcd(axis.stride, axis.dilation) == 1 else 1
    kernel = axis.kernel // stride * stride + stride * larger
    while kernel:
        surplus = Axis(kernel, stride, dilation).full_size(n) - axis.output_size(n)
        if surplus >= 0:
            padding = (surplus + 1) // 2
            return Layer(kernel, stride, padding, 2 * padding - surplus, dilation)
        kernel = kernel + stride if larger else 0
    return None
