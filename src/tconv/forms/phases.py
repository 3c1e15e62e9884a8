"""Phases (sub-pixel): prod(stride) small dense convolutions of the input, interleaved.

The outputs with the same (o + crop_lo) mod stride use the same few taps: cell q = (o + crop_lo) div stride reads the
inputs q - offset. No zero is inserted and none is multiplied; the taps of the phases partition the kernel. With
kernel = T*stride this is a convolution with T taps followed by a pixel shuffle.
"""

from collections.abc import Sequence

from tconv.arrays import Array
from tconv.forms.contract import at, blank, form, mix
from tconv.geometry import Geometry, Phase


@form
def run(geometry: Geometry, x: Array, w: Array) -> Array:
    in_size = x.shape[3:]
    y = blank(x, w, geometry.output_size(in_size))
    for phase in geometry.phases():
        cells = [axis.cells(r, n) for axis, r, n in zip(geometry.axes, phase.residue, in_size, strict=True)]
        if all(cells):
            y[at(outputs(geometry, phase, cells))] = sub_output(phase, cells, x, w)
    return y


def sub_output(phase: Phase, cells: Sequence[range], x: Array, w: Array) -> Array:
    """One phase: a stride-1 convolution with the phase's own taps, at its cells."""
    sub = blank(x, w, tuple(len(q) for q in cells))
    for k, offset in phase.taps():
        # the part of the cells whose input q - offset exists
        ranges = [(max(q.start, d), min(q.stop, d + n)) for q, d, n in zip(cells, offset, x.shape[3:], strict=True)]
        if all(low < high for low, high in ranges):
            into = (slice(low - q.start, high - q.start) for (low, high), q in zip(ranges, cells, strict=True))
            read = (slice(low - d, high - d) for (low, high), d in zip(ranges, offset, strict=True))
            sub[at(into)] += mix(x[at(read)], w[at(k)])
    return sub


def outputs(geometry: Geometry, phase: Phase, cells: Sequence[range]) -> tuple[slice, ...]:
    """Where the phase's cells lie in the output: every stride-th."""
    return tuple(
        slice(axis.stride * q.start + r - axis.crop_lo, None, axis.stride)
        for axis, r, q in zip(geometry.axes, phase.residue, cells, strict=True)
    )
