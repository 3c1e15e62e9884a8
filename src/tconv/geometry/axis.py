"""The relation that everything in tconv is a view of, on one axis.

    input index i and kernel tap k meet at output index   o = stride*i + dilation*k - crop_lo,   kept when 0 <= o < out
    out = stride*(in-1) + dilation*(kernel-1) + 1 - crop_lo - crop_hi

Scatter fixes i, gather fixes o, a phase fixes (o + crop_lo) mod stride, coverage counts the pairs, the sizes are its
range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import gcd
from typing import NamedTuple

from tconv import errors
from tconv.geometry.arguments import at_least_one, integer

LARGEST = 2**62  # sizes stay below it, so that 64-bit arithmetic on them cannot wrap


class FourSteps(NamedTuple):
    """Sizes on the way of the recipe "insert zeros, pad, flip the kernel, convolve" on one axis."""

    inserted: int
    pad_lo: int
    pad_hi: int
    padded: int
    out: int


class AxisPhase(NamedTuple):
    """The outputs with `(o + crop_lo) % stride == residue`; cell q = (o + crop_lo) // stride reads input q - offset."""

    residue: int
    taps: tuple[int, ...]
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class AxisCoverage:
    """How many (i, k) pairs reach each output cell of one axis.

    Attributes:
        counts: one number per output cell.
        per_phase: taps of each phase, the counts that repeat far from the borders.
    """

    counts: tuple[int, ...]
    per_phase: tuple[int, ...]

    @cached_property
    def period(self) -> int:
        """After how many cells the pattern repeats, far from the borders (1: no pattern)."""
        n = len(self.per_phase)
        return next(p for p in range(1, n + 1) if n % p == 0 and self.per_phase == self.per_phase[:p] * (n // p))

    @property
    def is_even(self) -> bool:
        """Every phase has the same number of taps: no checkerboard from the geometry."""
        return self.period == 1

    @property
    def holes(self) -> tuple[int, ...]:
        """Output cells that no pair reaches: they hold the bias only."""
        return tuple(o for o, count in enumerate(self.counts) if count == 0)


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis of a transposed convolution.

    Attributes:
        kernel: taps, at least 1.
        stride: distance between the stamps of neighbouring inputs, at least 1.
        dilation: distance between neighbouring taps, at least 1.
        crop_lo: cells cut off the low end of the full canvas; negative adds bias-only cells.
        crop_hi: the same at the high end.

    >>> axis = Axis(kernel=3, stride=2, crop_lo=1, crop_hi=0)
    >>> axis.output_size(3), axis.sources(3, in_size=3)
    (6, ((1, 2), (2, 0)))
    """

    kernel: int
    stride: int = 1
    dilation: int = 1
    crop_lo: int = 0
    crop_hi: int = 0

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "dilation", "crop_lo", "crop_hi"):
            object.__setattr__(self, name, integer(name, getattr(self, name)))
        at_least_one("kernel size", self.kernel, errors.KernelError)
        at_least_one("stride", self.stride, errors.StrideError)
        at_least_one("dilation", self.dilation, errors.DilationError)

    # sizes

    @property
    def extent(self) -> int:
        """Cells that one stamp spans: dilation*(kernel-1) + 1."""
        return self.dilation * (self.kernel - 1) + 1

    def check_numbers(self) -> None:
        """Refuse numbers that 64-bit arithmetic cannot hold, whatever the input.

        Raises:
            SizeOverflowError: a number, or the extent of the kernel, is 2**62 or more.
        """
        if max(abs(self.crop_lo), abs(self.crop_hi), self.stride, self.dilation, self.extent) >= LARGEST:
            raise errors.SizeOverflowError(
                f"{self}, with an extent of {self.extent} cells, does not fit into 64 bits; choose numbers below 2**62"
            )

    def full_size(self, in_size: int) -> int:
        """Size of the canvas before the crop."""
        return self.stride * (in_size - 1) + self.extent

    def output_size(self, in_size: int) -> int:
        """Size of the output for an input of `in_size` cells.

        Raises:
            EmptyOutputError: the crop leaves nothing.
            SizeOverflowError: the size does not fit into 64 bits.
        """
        full = self.full_size(in_size)
        out = full - self.crop_lo - self.crop_hi
        if max(abs(full), abs(out), abs(self.crop_lo), abs(self.crop_hi), self.stride, self.dilation) >= LARGEST:
            raise errors.SizeOverflowError(
                f"an output of {out} cells (input {in_size}, {self}) does not fit into 64 bits"
            )
        if out < 1:
            raise errors.EmptyOutputError(
                f"output size {out} must be at least 1: stride*(in-1) + dilation*(kernel-1) + 1 - crop_lo - crop_hi = "
                f"{self.stride}*({in_size}-1) + {self.dilation}*({self.kernel}-1) + 1 - ({self.crop_lo}) - "
                f"({self.crop_hi}); crop (pad) less, or give a larger input"
            )
        return out

    def input_sizes(self, out_size: int) -> tuple[int, ...]:
        """All input sizes that give `out_size`: one or none, as each further input adds `stride` cells."""
        steps, rest = divmod(out_size + self.crop_lo + self.crop_hi - self.extent, self.stride)
        return (steps + 1,) if rest == 0 and steps >= 0 and out_size >= 1 else ()

    def reachable(self, in_size: int) -> range:
        """The output sizes that output_padding, 0 up to max(stride, dilation) - 1, can choose from."""
        smallest = self.output_size(in_size)
        return range(smallest, smallest + max(self.stride, self.dilation))

    def output_padding_for(self, in_size: int, out_size: int) -> int:
        """The output_padding that turns `in_size` into `out_size`.

        Raises:
            OutputSizeError: outside `reachable(in_size)`.
        """
        sizes = self.reachable(in_size)
        if out_size not in sizes:
            raise errors.OutputSizeError(
                f"output_size {out_size} cannot be reached from input size {in_size}: output_padding must stay below "
                f"max(stride {self.stride}, dilation {self.dilation}), so the range is {sizes[0]} to {sizes[-1]}"
            )
        return out_size - sizes[0]

    def padded_by(self, output_padding: int) -> Axis:
        """This axis with `output_padding` more cells kept at the high end."""
        return replace(self, crop_hi=self.crop_hi - output_padding)

    def four_steps(self, in_size: int) -> FourSteps:
        """Sizes of: insert stride-1 zeros, pad with extent-1-crop zeros, flip the kernel, convolve at stride 1."""
        inserted = self.stride * (in_size - 1) + 1
        pad_lo, pad_hi = self.extent - 1 - self.crop_lo, self.extent - 1 - self.crop_hi
        return FourSteps(inserted, pad_lo, pad_hi, inserted + pad_lo + pad_hi, self.output_size(in_size))

    # the relation, read in every direction

    def meeting(self, k: int, in_size: int) -> tuple[slice, slice]:
        """Inputs that meet tap `k` inside the window, and the outputs they meet at (slices of equal length)."""
        shift = self.dilation * k - self.crop_lo
        first = max(0, -(shift // self.stride))  # smallest i with stride*i + shift >= 0
        last = min(in_size - 1, (self.output_size(in_size) - 1 - shift) // self.stride)
        if last < first:
            return slice(0, 0), slice(0, 0)
        o = self.stride * first + shift
        return slice(first, last + 1), slice(o, o + self.stride * (last - first) + 1, self.stride)

    def sources(self, o: int, in_size: int) -> tuple[tuple[int, int], ...]:
        """All (i, k) that meet at output `o`, in the order of i."""
        pairs = ((divmod(o + self.crop_lo - self.dilation * k, self.stride), k) for k in range(self.kernel))
        return tuple(sorted((i, k) for (i, rest), k in pairs if rest == 0 and 0 <= i < in_size))

    def stamp(self, i: int, in_size: int) -> tuple[tuple[int, int], ...]:
        """All (k, o) that input `i` reaches inside the window."""
        reached = ((k, self.stride * i + self.dilation * k - self.crop_lo) for k in range(self.kernel))
        out = self.output_size(in_size)
        return tuple((k, o) for k, o in reached if 0 <= o < out)

    def pair_count(self, in_size: int) -> int:
        """How many (i, k) pairs fall inside the window."""
        return sum((meets := self.meeting(k, in_size)[0]).stop - meets.start for k in range(self.kernel))

    def phases(self) -> tuple[AxisPhase, ...]:
        """One entry per residue 0..stride-1; their taps partition the kernel."""
        taps: list[list[int]] = [[] for _ in range(self.stride)]
        for k in range(self.kernel):
            taps[self.dilation * k % self.stride].append(k)
        return tuple(
            AxisPhase(residue, tuple(ks), tuple(self.dilation * k // self.stride for k in ks))
            for residue, ks in enumerate(taps)
        )

    def cells(self, residue: int, in_size: int) -> range:
        """The cells q whose output `stride*q + residue - crop_lo` lies in the window."""
        first = -((residue - self.crop_lo) // self.stride)
        last = (self.output_size(in_size) - 1 + self.crop_lo - residue) // self.stride
        return range(first, last + 1)

    def coverage(self, in_size: int) -> AxisCoverage:
        """Pairs per output cell, over the window."""
        counts = [0] * self.output_size(in_size)
        for k in range(self.kernel):
            outputs = self.meeting(k, in_size)[1]
            for o in range(outputs.start, outputs.stop, outputs.step or 1):
                counts[o] += 1
        return AxisCoverage(tuple(counts), tuple(len(phase.taps) for phase in self.phases()))

    @property
    def empty_phases(self) -> int:
        """Phases without a tap, the holes of every input size.

        There are some if gcd(stride, dilation) > 1 or kernel < stride: fewer than `stride` residues are then reached.
        """
        return self.stride - min(self.kernel, self.stride // gcd(self.stride, self.dilation))

    def __str__(self) -> str:
        crop = (self.crop_lo, self.crop_hi)
        return f"kernel {self.kernel}, stride {self.stride}, dilation {self.dilation}, crop {crop}"
