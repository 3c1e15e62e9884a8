"""The relation on one axis, as kernels compute with it.

    o = stride*i + dilation*k - crop_lo

A phase is computed in one of two ways. On an axis whose phases are together, a cell q has all of them, o = stride*q + a
- rest with 0 <= a < stride, and reads the inputs q + shift - t, for t below kernel/stride, rounded up, with the taps
a + t*stride: the same inputs for every phase. (Where the kernel is no multiple of the stride, some phases lack the last
of these taps and leave it out; that costs multiplications, and pays where these are not what takes time.) Otherwise
each phase r has blocks of its own, with the outputs o = stride*q + r, so that the first cell's lies at 0 .. stride-1;
which taps and which inputs is then a matter of a little arithmetic (`own_phase`), for any stride, dilation and crop. In
both, crop_lo = stride*shift + rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import NamedTuple

from tconv.geometry import Axis

MANY = 4096  # phases of an axis that are looked at one by one when a plan is made


class Constants(NamedTuple):
    """What a kernel is compiled for on one axis: all of it belongs to the layer, and the flags to simple sizes.

    Attributes:
        kernel, stride, dilation: of the axis.
        shift, rest: crop_lo divided by stride, rounded down, and what is left.
        common: the greatest common divisor of stride and dilation: only its multiples are residues with taps.
        every: taps of one phase lie so many apart: stride / common.
        step: and the inputs that they read so many: dilation / common.
        inverse: of `step`, modulo `every`.
        most: the most taps that a phase has.
        together: whether the phases of a cell are computed together.
        lacking: they are, and some of them lack the last tap.
        inside: no tap of any cell meets a place beyond the input.
        full: no cell has an output beyond the window.
    """

    kernel: int
    stride: int
    dilation: int
    shift: int
    rest: int
    common: int
    every: int
    step: int
    inverse: int
    most: int
    together: bool
    lacking: bool
    inside: bool
    full: bool


class OwnPhase(NamedTuple):
    """A phase that is computed by itself: cell q reads the inputs q + start - t*step with the taps first + t*every."""

    start: int
    first: int
    taps: int


@dataclass(frozen=True, slots=True)
class AxisPlan:
    """An axis of a plan.

    Attributes:
        constants: see there.
        in_size, out_size: of input and output.
        cells: how many there are.
    """

    constants: Constants
    in_size: int
    out_size: int
    cells: int

    @property
    def own_phases(self) -> int:
        """Phases with blocks of their own; 1 where they are together."""
        return 1 if self.constants.together else self.constants.stride

    @property
    def joint_phases(self) -> int:
        """Phases of a cell that are computed together; 1 where each has its own blocks."""
        return self.constants.stride if self.constants.together else 1


def own_phase(constants: Constants, phase: int) -> OwnPhase:
    """The phase of the outputs stride*q + phase.

    The residue (phase + rest) mod stride has taps if `common` divides it; the first is the k with dilation*k = residue
    modulo stride.
    """
    carried, residue = divmod(phase + constants.rest, constants.stride)
    first = residue // constants.common * constants.inverse % constants.every
    taps = max(0, -((first - constants.kernel) // constants.every)) if residue % constants.common == 0 else 0
    return OwnPhase(constants.shift + carried - constants.dilation * first // constants.stride, first, taps)


def axis_plan(axis: Axis, in_size: int, out_size: int, together: bool, padded: bool = False) -> AxisPlan:
    """An axis with its phases together, if `together` and they may be (`may_join`); or each by itself."""
    stride, dilation = axis.stride, axis.dilation
    shift, rest = divmod(axis.crop_lo, stride)
    together = together and may_join(axis, padded)
    cells = -(-(out_size + rest if together else out_size) // stride)
    common = gcd(stride, dilation)
    every, step = stride // common, dilation // common
    inverse = pow(step, -1, every) if every > 1 else 0
    most = -(-axis.kernel // every)
    lacking = together and axis.kernel % stride > 0
    numbers = axis.kernel, stride, dilation, shift, rest, common, every, step, inverse, most, together, lacking
    loose = AxisPlan(Constants(*numbers, False, False), in_size, out_size, cells)
    full = cells * stride == out_size and not (together and rest)
    return AxisPlan(Constants(*numbers, _inside(loose), full), in_size, out_size, cells)


def may_join(axis: Axis, padded: bool = False) -> bool:
    """Whether all phases of an axis read the same inputs (if `padded`, but for the last tap), and there are several."""
    return axis.stride > 1 and axis.dilation == 1 and (padded or axis.kernel % axis.stride == 0)


def _inside(axis: AxisPlan) -> bool:
    """Whether every place that a cell reads is one of the input."""
    constants = axis.constants
    if constants.together:
        lowest, highest = constants.shift - constants.most + 1, constants.shift
    elif constants.stride > MANY:
        return False
    else:
        phases = [own_phase(constants, r) for r in range(constants.stride)]
        reading = [phase for phase in phases if phase.taps]
        lowest = min((p.start - (p.taps - 1) * constants.step for p in reading), default=0)
        highest = max((p.start for p in reading), default=0)
    return lowest >= 0 and axis.cells - 1 + highest < axis.in_size


TRIVIAL = Axis(1)
