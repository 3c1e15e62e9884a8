"""The figures of docs/gallery, made by `python -m tconv.explorer.gallery docs/gallery` (`make gallery`).

The fifteen animations that everybody links, of Dumoulin and Visin's "A guide to convolution arithmetic for deep
learning" (arXiv:1603.07285), redone with numbers and names; and those that nobody has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tconv.arrays import Array
from tconv.explorer import raster, svg
from tconv.explorer.examples import counting
from tconv.explorer.explanation import explain
from tconv.explorer.learned import explain_learned
from tconv.explorer.network import explain_network
from tconv.explorer.scene import Film, Role
from tconv.explorer.scenes import SCENES, neurons, zero_insert
from tconv.explorer.scenes.forward import Names, convolution
from tconv.explorer.trace import trace
from tconv.geometry import Forward, Geometry

NAMES = Names(("input", Role.INPUT), ("output", Role.OUTPUT), "output")
W = np.array([[0, 1, 2], [2, 2, 0], [0, 1, 2]])


@dataclass(frozen=True)
class Figure:
    """One picture of the gallery.

    Attributes:
        name: of its files.
        says: the line under it.
        film: makes it.
    """

    name: str
    says: str
    film: Callable[[], Film]


def classic(name: str, size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> Figure:
    """A convolution of the guide."""
    geometry = Geometry.from_torch(kernel, stride, padding, 0, dilation, ndim=2)
    out = Forward(geometry).output_size(size)
    parts = [f"kernel {kernel}", f"stride {stride}"] + [f"padding {padding}"] * bool(padding)
    parts += [f"dilation {dilation}"] * (dilation > 1)
    title = f"convolution: input {size}, {', '.join(parts)}: output {out[0]}"
    x, w = counting((size, size)), _kernel(kernel)
    return Figure(name, title, lambda: convolution(geometry, x, w, out, title, NAMES))


def transposed(name: str, size: int, kernel: int, stride: int, padding: int, output_padding: int = 0) -> Figure:
    """A transposed convolution of the guide: zeros inserted, kernel flipped."""
    geometry = Geometry.from_torch(kernel, stride, padding, output_padding, ndim=2)
    parts = [f"kernel {kernel}", f"stride {stride}"] + [f"padding {padding}"] * bool(padding)
    parts += [f"output_padding {output_padding}"] * bool(output_padding)
    says = f"transposed: input {size}, {', '.join(parts)}: output {geometry.output_size(size)[0]}"
    seen = trace(geometry, counting((size, size)), _kernel(kernel))
    return Figure(f"{name}_transposed", says, lambda: zero_insert.film(seen, says))


def shown(name: str, form: str, says: str, geometry: Geometry, x: object, w: object, groups: int = 1) -> Figure:
    """A form of a layer."""
    seen = trace(geometry, x, w, groups=groups)
    return Figure(name, says, lambda: SCENES[form](seen))


def figures() -> tuple[Figure, ...]:
    """All of them, in the order of the page."""
    return (*forms(), *rows(), *purposes(), *geometries(), *guide())


def forms() -> tuple[Figure, ...]:
    """The worked example at stride 2, seen in every form."""
    up, x, w = Geometry.from_torch(3, 2, 1, 1, ndim=2), [[2, 3], [1, 3]], [[0, 1, 1], [0, 1, 0], [1, 0, 1]]
    return (
        shown("stamp", "scatter", "The definition: every input stamps the kernel.", up, x, w),
        shown("gather", "gather", "The same, asked of the output: it collects what meets there.", up, x, w),
        shown("four_steps", "zero_insert", "The same as an ordinary convolution, with zeros put in.", up, x, w),
        shown("matrix", "matrix", "The same as a matrix, a transposed one: hence the name.", up, x, w),
        shown("phases", "phases", "The same as four small convolutions, interleaved; no zeros.", up, x, w),
        shown("col2im", "col2im", "The same as one matrix product, then folded.", Geometry(3, 2), [1, 2, 3], [1, 2, 1]),
        shown("not_inverse", "adjoint", "Down again: the size comes back, the values do not.", up, x, w),
    )


def rows() -> tuple[Figure, ...]:
    """The matrix row by row, and layers as neurons that share their edges."""
    lecture, x, w = Geometry.from_torch(3, ndim=2), [[2, 3], [1, 3]], [[0, 1, 1], [0, 1, 0], [1, 0, 1]]
    up, small = Geometry.from_torch(2, ndim=2), [[1, 2], [3, 4]]
    first, second = trace(up, small, [[1, 2], [0, 1]]), trace(up, counting((3, 3)), [[1, 0], [2, 1]])
    line, kernels = Geometry(2), counting((1, 3, 2))
    three = trace(line, [[1, 2]], kernels), trace(line, np.ones((3, 3), np.int64), counting((3, 1, 2)))
    up_title, down_title = (
        "neurons: 2x2, 3x3, 4x4, a kernel shared per input",
        "neurons: 4x4, 3x3, 2x2, shared per output",
    )
    channels = "neurons: three channels in the middle"
    lossy = Geometry.from_torch(2, padding=1)
    return (
        shown("windows", "windows", "Rows of C as windows; rows of C^T as the flipped kernel.", lecture, x, w),
        shown("neurons", "neurons", "A layer as neurons; edges of one colour share one number.", up, small, small),
        Figure("neurons_up", "Two transposed convolutions.", lambda: neurons.chain((first, second), up_title)),
        Figure(
            "neurons_down",
            "The ordinary convolutions that they transpose.",
            lambda: neurons.convolutions((first, second), counting((4, 4)), down_title),
        ),
        Figure("neurons_channels", "More channels are more neurons.", lambda: neurons.chain(three, channels)),
        shown("undoing", "undoing", "Many matrices bring x back; W says which.", Geometry(3), [1, 2, 3], [1, 2, 1]),
        shown("no_way_back", "undoing", "Where inputs are lost, none does.", lossy, [1, 2, 3], [1, -1]),
    )


def purposes() -> tuple[Figure, ...]:
    """What the layer is for: networks that come back to the size of their image, and kernels that are learned."""
    unpadded, odd = explain_network(572, depth=4, unpadded=True), explain_network(101)
    fully, even, uneven = explain_network(500, "FCN-8s"), explain_learned(8), explain_learned(3)
    return (
        Figure("network_odd", "Odd sizes do not come back by themselves; output_padding repairs it.", lambda: odd.film),
        Figure("network_unpadded", "The first U-Net: its skips are cropped.", lambda: unpadded.film),
        Figure("network_fcn", "An FCN: scores of three levels, and steps of 2, 2 and 8.", lambda: fully.film),
        Figure("learned", "Fixed kernels, and one that is learned; below, what each does to grey.", lambda: even.film),
        Figure("learned_uneven", "Kernel 3, stride 2: training levels the checkerboard.", lambda: uneven.film),
    )


def geometries() -> tuple[Figure, ...]:
    """What the parameters do."""
    x, w, line = [[2, 3], [1, 3]], [[0, 1, 1], [0, 1, 0], [1, 0, 1]], counting((3,))
    padded, extended = Geometry.from_torch(3, 2, 1, ndim=2), Geometry.from_torch(3, 2, 1, 1, ndim=2)
    ones = {n: np.ones((n, n), np.int64) for n in (3, 4)}
    channels = Geometry(2, 2), counting((4, 2)), counting((4, 1, 2))
    cube = Geometry((2, 2, 2)), counting((2, 2, 2)), np.ones((2, 2, 2), np.int64)
    return (
        shown("padding", "window", "Padding crops the output at both ends.", padded, x, w),
        shown("output_padding", "window", "output_padding gives cells back at the far end.", extended, x, w),
        shown("checkerboard", "coverage", "Kernel 3, stride 2: uneven.", Geometry((3, 3), 2), ones[4], ones[3]),
        shown("even", "coverage", "Kernel 4, stride 2: even.", Geometry((4, 4), 2), ones[4], ones[4]),
        shown("holes", "coverage", "Kernel 4, stride 2, dilation 2: holes.", Geometry((4, 4), 2, 2), ones[3], ones[4]),
        shown("one_axis", "scatter", "One axis.", Geometry.from_torch(3, 2, 1, 1), line, [1, 2, 1]),
        shown("three_axes", "scatter", "Three axes, as slices.", *cube),
        shown("groups", "gather", "Two groups: an output sees the channels of its own.", *channels, 2),
        shown("dilated", "scatter", "Dilation spreads the taps of each stamp.", Geometry(3, 1, 2), line, [1, 2, 1]),
    )


def guide() -> tuple[Figure, ...]:
    """The fifteen of the guide, under their names."""
    return (
        classic("no_padding_no_strides", 4, 3, 1, 0),
        classic("arbitrary_padding_no_strides", 5, 4, 1, 2),
        classic("same_padding_no_strides", 5, 3, 1, 1),
        classic("full_padding_no_strides", 5, 3, 1, 2),
        classic("no_padding_strides", 5, 3, 2, 0),
        classic("padding_strides", 5, 3, 2, 1),
        classic("padding_strides_odd", 6, 3, 2, 1),
        transposed("no_padding_no_strides", 2, 3, 1, 0),
        transposed("arbitrary_padding_no_strides", 6, 4, 1, 2),
        transposed("same_padding_no_strides", 5, 3, 1, 1),
        transposed("full_padding_no_strides", 7, 3, 1, 2),
        transposed("no_padding_strides", 2, 3, 2, 0),
        transposed("padding_strides", 3, 3, 2, 1),
        transposed("padding_strides_odd", 3, 3, 2, 1, 1),
        classic("dilation", 7, 3, 1, 0, 2),
    )


def _kernel(size: int) -> Array:
    return W if size == 3 else counting((size, size)) % 3


def page() -> str:
    """The page that shows them."""
    parts = (
        ("Forms", "One layer, kernel 3, stride 2, padding 1, output_padding 1, seen in every form.", forms()),
        (
            "Rows, neurons and the way back",
            "The matrix row by row, the layer as neurons that share the numbers of their edges, and what undoes it.",
            rows(),
        ),
        (
            "In a network, and learned",
            "What the layer is for: the sizes of a network's maps, what one output sees, and what learning gains.",
            purposes(),
        ),
        (
            "Parameters",
            "What nobody draws: padding as a crop, holes, groups, one and three axes.",
            geometries(),
        ),
        (
            "Convolution arithmetic",
            "The fifteen figures of Dumoulin and Visin's guide ([arXiv:1603.07285](https://arxiv.org/abs/1603.07285)), "
            "under their names, with numbers: input in blue, kernel in orange, output in green.",
            guide(),
        ),
    )
    lines = [
        "# Gallery",
        "",
        "Made by `make gallery`. Every number is computed; the SVGs are held to the code by a test.",
    ]
    for title, says, some in parts:
        lines += ["", f"## {title}", "", says]
        for each in some:
            lines += ["", f"### {each.name.replace('_', ' ')}", "", f"{each.says} ([GIF]({each.name}.gif))", ""]
            lines += [f"![{each.says}]({each.name}.svg)"]
    return "\n".join(lines) + "\n"


def explorer() -> str:
    """The page, to be opened in a browser: the lesson, and behind it the walk-through's layer, not cropped yet."""
    return explain(stride=2).html(lesson=True)


def write(folder: Path) -> None:
    """Every figure as a moving SVG and a GIF, and the page."""
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures():
        film = figure.film()
        (folder / f"{figure.name}.svg").write_text(svg.moving(film), encoding="utf-8")
        (folder / f"{figure.name}.gif").write_bytes(raster.gif(film))
        print(folder / f"{figure.name}.svg")
    (folder / "README.md").write_text(page(), encoding="utf-8")
    (folder / "explorer.html").write_text(explorer(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
