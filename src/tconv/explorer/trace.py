"""The numbers behind a small transposed convolution, form by form and step by step. How they look is decided elsewhere.

One sample, one to three spatial axes. Every array keeps its channel axes; `y` is the output with bias, the steps of the
forms are without it. The weight of a layer with groups is spread out: zeros stand between channels that are not
connected, and `connects` says which are.

>>> from tconv import Geometry
>>> seen = trace(Geometry((2, 2)), [[0, 1], [2, 3]], [[0, 1], [2, 3]])
>>> seen.y[0]
array([[ 0,  0,  1],
       [ 0,  4,  6],
       [ 4, 12,  9]])
>>> seen.sums[1].products
(Product(channel=0, i=(0, 0), k=(0, 1), x=0, w=1), Product(channel=0, i=(0, 1), k=(0, 0), x=1, w=0))
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from tconv import errors, native
from tconv.arrays import Array, as_array, layout
from tconv.explorer.records import Agreement, Column, Pairing, Part, Product, Stamp, Steps, Sum, Undoing, tidy
from tconv.forms import FORMS, adjoint, col2im, matrix, phases, scatter, zero_insert
from tconv.forms.contract import at, mix
from tconv.geometry import Geometry, Sizes

LARGEST = 400  # cells of the input, the kernel or the output: more than anyone reads


@dataclass(frozen=True)
class Trace:
    """The transposed convolution of one sample; each property holds the numbers of one form.

    Attributes:
        x: (in_channels, *in_size), int64 or float64, like all arrays here.
        weight: (in_channels, out_channels, *kernel).
        bias: (out_channels,) or None.
        y: (out_channels, *out_size).
        groups: an input channel reaches the output channels of its own group only.
    """

    geometry: Geometry
    x: Array
    weight: Array
    bias: Array | None
    y: Array
    groups: int = 1

    @property
    def in_size(self) -> Sizes:
        return self.x.shape[1:]

    @property
    def out_size(self) -> Sizes:
        return self.y.shape[1:]

    @property
    def kept(self) -> tuple[range, ...]:
        """The window in canvas cells, per axis; it reaches beyond the canvas where the crop is negative."""
        return tuple(range(a.crop_lo, a.crop_lo + n) for a, n in zip(self.geometry.axes, self.out_size, strict=True))

    def connects(self, channel: int, out: int) -> bool:
        """Whether the input channel and the output channel are of the same group."""
        return channel * self.groups // len(self.x) == out * self.groups // len(self.y)

    @cached_property
    def linear(self) -> Array:
        """C^T x: the output without bias."""
        y: Array = FORMS["gather"](self.geometry, self.x, self.weight)
        return y

    @cached_property
    def stamps(self) -> tuple[Stamp, ...]:
        """Scatter: what each input adds to the canvas."""
        axes, found = self.geometry.axes, []
        for i in np.ndindex(self.in_size):
            starts = [axis.stride * n for axis, n in zip(axes, i, strict=True)]
            cells = tuple(range(s, s + axis.extent, axis.dilation) for axis, s in zip(axes, starts, strict=True))
            found.append(Stamp(i, cells, scatter.stamp(self.x[at(i)][None, None], self.weight[None])[0, 0]))
        return tuple(found)

    @cached_property
    def taps(self) -> tuple[Stamp, ...]:
        """Taps: what each kernel tap adds to the canvas."""
        axes, found = self.geometry.axes, []
        for k in np.ndindex(self.geometry.kernel):
            starts = [axis.dilation * tap for axis, tap in zip(axes, k, strict=True)]
            spread = zip(axes, starts, self.in_size, strict=True)
            cells = tuple(range(s, s + axis.stride * (n - 1) + 1, axis.stride) for axis, s, n in spread)
            found.append(Stamp(k, cells, mix(self.x[None, None], self.weight[at(k)][None])[0, 0]))
        return tuple(found)

    @cached_property
    def canvas(self) -> Array:
        """All stamps added up: (out_channels, *full_size); the output is the window `kept` of it, plus the bias."""
        canvas = np.zeros((len(self.y), *self.geometry.full_size(self.in_size)), self.y.dtype)
        for stamp in self.stamps:
            canvas[at(stamp.slices)] += stamp.values
        return canvas

    @cached_property
    def covered(self) -> Array:
        """Which cells of the canvas a stamp covers: (*full_size), bool."""
        covered = np.zeros(self.canvas.shape[1:], bool)
        for stamp in self.stamps:
            covered[stamp.slices] = True
        return covered

    @cached_property
    def sums(self) -> tuple[Sum, ...]:
        """Gather: every output cell's written-out sum, in the order of `y`."""
        return tuple(self._sum(c, o) for c in range(len(self.y)) for o in np.ndindex(self.out_size))

    def _sum(self, channel: int, o: Sizes) -> Sum:
        met = self.geometry.sources(o, self.in_size)
        products = tuple(
            Product(c, i, k, self.x[(c, *i)].item(), self.weight[(c, channel, *k)].item())
            for c in range(len(self.x))
            if self.connects(c, channel)
            for i, k in met
        )
        bias = None if self.bias is None else self.bias[channel].item()
        return Sum(channel, o, products, bias, self.y[(channel, *o)].item())

    @cached_property
    def steps(self) -> Steps:
        """Zero insertion: the intermediate arrays of the four steps."""
        inserted = zero_insert.insert_zeros(self.geometry, self.x[None, None])
        padded = zero_insert.pad(self.geometry, inserted)
        flipped = zero_insert.flip(self.weight[None])
        ones = zero_insert.insert_zeros(self.geometry, np.ones_like(self.x)[None, None])
        given = zero_insert.pad(self.geometry, ones)[0, 0, 0] != 0
        result = FORMS["zero_insert"](self.geometry, self.x, self.weight)
        return Steps(self.geometry.four_steps(self.in_size), inserted[0, 0], padded[0, 0], given, flipped[0], result)

    @cached_property
    def matrix(self) -> Array:
        """C^T: (out_channels*prod(out_size), in_channels*prod(in_size))."""
        return matrix.dense(self.geometry, self.in_size, self.weight)

    @cached_property
    def connected(self) -> Array:
        """Which entries of C^T hold a tap, be it zero, of the same shape, bool."""
        tapped = np.zeros(self.weight.shape, bool)
        for pair in np.ndindex(tapped.shape[:2]):
            tapped[pair] = self.connects(*pair)
        return matrix.dense(self.geometry, self.in_size, tapped)

    @cached_property
    def column(self) -> Column:
        """col2im: all products, and where folding adds them."""
        goes_to = np.full((*self.geometry.kernel, *self.in_size), -1)
        flat = np.arange(prod(self.out_size)).reshape(self.out_size)
        for k in np.ndindex(self.geometry.kernel):
            i, o = self.geometry.meeting(k, self.in_size)
            goes_to[(*k, *i)] = flat[o]
        return Column(col2im.columns(self.x[None, None], self.weight[None])[0, 0], goes_to)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Phases: the interleaved sub-outputs. One without cells in the window is left out."""
        found = []
        for phase in self.geometry.phases():
            where = zip(self.geometry.axes, phase.residue, self.in_size, strict=True)
            cells = tuple(axis.cells(residue, n) for axis, residue, n in where)
            if all(cells):
                values = phases.sub_output(phase, cells, self.x[None, None], self.weight[None])[0, 0]
                found.append(Part(phase, cells, values, phases.outputs(self.geometry, phase, cells)))
        return tuple(found)

    @cached_property
    def pairing(self) -> Pairing:
        """The adjoint law, on a z of small integers."""
        z = (np.arange(self.y.size) ** 2 % 7 - 2).reshape(self.y.shape).astype(self.y.dtype)
        cz, back = (self._forward(v) for v in (z, self.linear))
        return Pairing(z, cz, (cz * self.x).sum().item(), (z * self.linear).sum().item(), back)

    def _forward(self, z: Array) -> Array:
        """C z, the matching forward convolution."""
        response: Array = adjoint.forward(self.geometry, z[None, None], self.weight[None], self.in_size)[0, 0]
        return response

    @cached_property
    def undoing(self) -> Undoing:
        """All that takes y back to x, in double precision."""
        a = self.matrix.astype(np.float64)
        inverse = np.linalg.pinv(a)
        projector, test = np.eye(len(a)) - a @ inverse, inverse @ a
        recovered = (inverse @ self.linear.ravel()).reshape(self.x.shape)
        rank = int(np.linalg.matrix_rank(a))
        return Undoing(tidy(inverse), tidy(projector), tidy(test), rank, tidy(recovered))

    @cached_property
    def agreement(self) -> tuple[Agreement, ...]:
        """Every form and the compiled core, run on these arrays and compared with `y`."""
        outputs = {name: form(self.geometry, self.x, self.weight, self.bias) for name, form in FORMS.items()}
        wide = [None if a is None else a.astype(np.float64) for a in (self.x, self.weight, self.bias)]
        outputs["compiled"] = native.run(self.geometry, *wide)
        magnitude = FORMS["gather"](self.geometry, *(None if a is None else abs(a) for a in wide)).max()
        rounding = float(magnitude) * 2.0**-52 * (prod(self.weight.shape) + 1)
        far = {name: float(abs(output - self.y).max()) for name, output in outputs.items()}
        return tuple(Agreement(name, distance, distance <= rounding) for name, distance in far.items())


def trace(geometry: Geometry, x: Any, weight: Any, bias: Any = None, groups: int = 1) -> Trace:
    """The `Trace` of one sample.

    Args:
        x: (*in_size), (channels, *in_size), or (1, channels, *in_size).
        weight: (*kernel) for one channel, or (in_channels, out_channels/groups, *kernel).
        bias: a number, or one per output channel.
        groups: number of channel groups.

    Raises:
        RankError: more than three spatial axes, or more than one sample; and what the arrays' shapes break.
        DtypeError: complex, object or non-finite numbers.
        TooLargeError: more cells than anyone reads.
    """
    if geometry.ndim > 3:
        raise errors.RankError(
            f"{geometry.ndim} spatial axes do not fit on a page; explain a layer with 1 to 3 (each axis works alike)"
        )
    x, weight = _numbers("x", x), _numbers("weight", weight)
    bias = None if bias is None else np.atleast_1d(_numbers("bias", bias))
    if x.ndim == geometry.ndim + 2 and len(x) != 1:
        raise errors.RankError(f"x has shape {x.shape}, a batch of {len(x)}; explain one sample, x[0]")
    x = x[None] if x.ndim == geometry.ndim else x[0] if x.ndim == geometry.ndim + 2 else x
    weight = weight[None, None] if weight.ndim == geometry.ndim else weight
    dtype = np.result_type(x, weight, *([] if bias is None else [bias]))
    x, weight = x.astype(dtype), _ungrouped(x, weight.astype(dtype), groups)
    bias = None if bias is None else bias.astype(dtype)
    _check_size(geometry, x.shape, weight.shape)
    return Trace(geometry, x, weight, bias, FORMS["gather"](geometry, x, weight, bias), groups)


def _ungrouped(x: Array, weight: Array, groups: int) -> Array:
    """(in_channels, out_channels, *kernel), with zeros between the groups."""
    if groups == 1:
        return weight
    layout(x.shape, weight.shape, None, groups)
    channels_in, channels_out = len(weight) // groups, weight.shape[1]
    spread = np.zeros((len(weight), channels_out * groups, *weight.shape[2:]), weight.dtype)
    for c in range(len(weight)):
        first = c // channels_in * channels_out
        spread[c, first : first + channels_out] = weight[c]
    return spread


def _numbers(name: str, value: Any) -> Array:
    """`value` as int64 or float64, so small that nothing overflows; NaN times an inserted zero would be NaN."""
    array = as_array(name, value)
    if array.dtype.kind in "cO":
        raise errors.DtypeError(f"{name} has dtype {array.dtype}; only integers and floats can be explained")
    wide = array.astype(np.float64)
    if not (abs(wide) <= 1e60).all():
        raise errors.DtypeError(f"{name} has a NaN, or a number beyond 1e60; only smaller ones can be explained")
    return array.astype(np.int64) if array.dtype.kind in "biu" and (abs(wide) <= 1e5).all() else wide


def _check_size(geometry: Geometry, x: Sizes, weight: Sizes) -> None:
    """Refuse what is too large to be read, before it is computed. Arrays of a wrong rank are left to the forms."""
    if len(x) != geometry.ndim + 1 or len(weight) != geometry.ndim + 2 or 0 in x:
        return
    out = (weight[1], *geometry.output_size(x[1:]))
    padded = (step.padded for step in geometry.four_steps(x[1:]))
    shown = {
        "the input": (prod(x), LARGEST),
        "the kernel": (prod(weight), LARGEST),
        "the output": (prod(out), LARGEST),
        "the canvas before the crop": (weight[1] * prod(geometry.full_size(x[1:])), 4 * LARGEST),
        "the padded input": (x[0] * prod(padded), 4 * LARGEST),
    }
    for name, (cells, most) in shown.items():
        if cells > most:
            raise errors.TooLargeError(
                f"{name} has {cells} cells, more than the {most} that can be read; take a smaller input or fewer "
                f"channels: the pattern repeats"
            )
