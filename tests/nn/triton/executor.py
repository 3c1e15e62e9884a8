"""Plans executed by NumPy: what the kernels compute, block by block, from the plan and the packed weights alone."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tconv.nn.engines.triton.axes import AxisPlan, OwnPhase, own_phase
from tconv.nn.engines.triton.plan import Plan

Array = Any


class Lanes(NamedTuple):
    """Image and cell of each row of a tile, and whether there is one."""

    image: Array
    cells: tuple[Array, Array, Array]
    live: Array


def execute(plan: Plan, x: Array, weight: Array, bias: Array | None) -> tuple[Array, Array]:
    """The output of a plan, and how often each of its numbers was written."""
    task, axes = plan.task, plan.axes
    lacking = (1,) * (3 - task.geometry.ndim)
    x = x.reshape(task.batch, task.in_channels, *lacking, *task.in_size)
    y = np.full((task.batch, task.out_channels, *lacking, *task.out_size), -(10**6), x.dtype)
    written = np.zeros(y.shape, int)
    bias = np.zeros(task.out_channels, x.dtype) if bias is None else bias
    run = _depthwise if plan.layout.depthwise else _cells
    for block in range(plan.programs // plan.choice.split):
        for image, channel, place, value in run(plan, block, x, weight):
            at = (image, channel, *place)
            inside = np.ones(image.shape, bool)
            for o, axis in zip(place, axes, strict=True):
                inside &= (o >= 0) & (o < axis.out_size)
            at = tuple(index[inside] for index in at)
            y[at] = value[inside] + bias[at[1]]
            np.add.at(written, at, 1)
    shape = (task.batch, task.out_channels, *task.out_size)
    return y.reshape(shape), written.reshape(shape)


def _lanes(plan: Plan, tile: int, sizes: tuple[int, int, int], patch: int) -> Lanes:
    lane = np.arange(plan.choice.cells)
    if not patch:
        m = tile * len(lane) + lane
        image, *cells = np.unravel_index(m % max(1, plan.rows), (max(1, plan.task.batch), *sizes))
        return Lanes(image, tuple(cells), m < plan.rows)
    high = len(lane) // patch
    down, across = -(-sizes[1] // high), -(-sizes[2] // patch)
    image, c0, high_tile, wide_tile = np.unravel_index(tile, (plan.task.batch, sizes[0], down, across))
    c1, c2 = high_tile * high + lane // patch, wide_tile * patch + lane % patch
    return Lanes(np.full(len(lane), image), (np.full(len(lane), c0), c1, c2), (c1 < sizes[1]) & (c2 < sizes[2]))


def _block(plan: Plan, block: int, phases: list[int]) -> tuple[int, int, int, tuple[int, ...]]:
    """Group, tile of cells, tile of columns, and phases of a block."""
    tiles_m, tiles_n = plan.tiles
    wide = tiles_n * prod(phases)
    group, block = divmod(block, tiles_m * wide)
    each = plan.choice.group
    first = block // (each * wide) * each
    size = min(tiles_m - first, each)
    tile_m, n = first + block % (each * wide) % size, block % (each * wide) // size
    phase, tile_n = divmod(n, tiles_n)
    return group, tile_m, tile_n, tuple(int(i) for i in np.unravel_index(phase, phases))


def _phase(axis: AxisPlan, own: int) -> OwnPhase:
    constants = axis.constants
    return OwnPhase(constants.shift, 0, constants.most) if constants.together else own_phase(constants, own)


def _cells(plan: Plan, block: int, x: Array, weight: Array) -> Any:
    choice, axes, task = plan.choice, plan.axes, plan.task
    pair = choice.store == "pair"
    phases = [axis.own_phases for axis in axes]
    if pair:
        phases[2] = 1
    group, tile_m, tile_n, own = _block(plan, block, phases)
    lanes = _lanes(plan, tile_m, (axes[0].cells, axes[1].cells, axes[2].cells), choice.patch)
    column = tile_n * choice.columns + np.arange(choice.columns)
    column = column[column < plan.columns]
    joint = [axis.joint_phases for axis in axes]
    a = [np.zeros_like(column)] * 3
    if plan.joined > 1:
        joint[2], rest = 1, column // plan.joined
    else:
        rest = column
    a0, a1, a2, channel = np.unravel_index(rest, (*joint, task.outs))
    a = [a0, a1, column % plan.joined if plan.joined > 1 else a2]
    for half in range(2 if pair else 1):
        mine = (own[0], own[1], own[2] + half)
        sums = _sums(plan, group, lanes, a, channel, mine, x, weight)
        place = [
            axis.constants.stride * cell[:, None]
            + phase
            + first
            - (axis.constants.rest if axis.constants.together else 0)
            for axis, cell, phase, first in zip(axes, lanes.cells, a, mine, strict=True)
        ]
        full = [np.broadcast_to(p, sums.shape)[lanes.live] for p in place]
        image = np.broadcast_to(lanes.image[:, None], sums.shape)[lanes.live]
        channels = np.broadcast_to(group * task.outs + channel, sums.shape)[lanes.live]
        yield image, channels, full, sums[lanes.live]


def _sums(
    plan: Plan, group: int, lanes: Lanes, a: list[Array], channel: Array, own: tuple[int, ...], x: Array, weight: Array
) -> Array:
    """The sums of a tile, in as many parts as the plan says, each of whole steps."""
    task, choice = plan.task, plan.choice
    phases = [_phase(axis, first) for axis, first in zip(plan.axes, own, strict=True)]
    pieces = -(-task.ins // choice.depth)
    steps = list(product(*(range(phase.taps) for phase in phases), range(pieces)))
    each = -(-len(steps) // choice.split)
    total = np.zeros((choice.cells, len(channel)), x.dtype)
    for part in range(choice.split):
        partial = np.zeros_like(total)
        for *taps, piece in steps[part * each : (part + 1) * each]:
            k = np.arange(piece * choice.depth, min(task.ins, (piece + 1) * choice.depth))
            reads, line, has = lanes.live.copy(), np.zeros_like(channel), np.ones(len(channel), bool)
            places = []
            for axis, phase, cell, joint, t in zip(plan.axes, phases, lanes.cells, a, taps, strict=True):
                i = cell + phase.start - t * axis.constants.step
                reads &= (i >= 0) & (i < axis.in_size)
                tap = phase.first + t * axis.constants.every + joint
                has &= tap < axis.constants.kernel
                line = line * axis.constants.kernel + tap
                places.append(i)
            found = np.zeros((choice.cells, len(k)), x.dtype)
            at = (lanes.image[reads, None], group * task.ins + k[None], *(p[reads, None] for p in places))
            found[reads] = x[at]
            partial[:, has] += found @ weight[group, line[has], channel[has]][:, k].T
        total += partial
    return total


def _depthwise(plan: Plan, block: int, x: Array, weight: Array) -> Any:
    choice, axes, task = plan.choice, plan.axes, plan.task
    phases = [axis.own_phases for axis in axes]
    if choice.store != "columns":
        phases[2] = 1
    _, tile_m, tile_n, own = _block(plan, block, phases)
    last = axes[2].out_size if plan.lanes_are_outputs else axes[2].cells
    lanes = _lanes(plan, tile_m, (axes[0].cells, axes[1].cells, last), 0)
    channel = tile_n * choice.columns + np.arange(choice.columns)
    channel = channel[channel < task.out_channels]
    stride = axes[2].constants.stride
    for half in range(2 if choice.store == "pair" else 1):
        sums = np.zeros((choice.cells, len(channel)), x.dtype)
        place = np.zeros((3, choice.cells), int)
        for lane in np.flatnonzero(lanes.live):
            cell = [int(c[lane]) for c in lanes.cells]
            mine = [own[0], own[1], own[2] + half]
            if plan.lanes_are_outputs:
                cell[2], mine[2] = divmod(cell[2], stride)
            place[:, lane] = [c * axis.constants.stride + p for c, axis, p in zip(cell, axes, mine, strict=True)]
            own_phases = [own_phase(axis.constants, p) for axis, p in zip(axes, mine, strict=True)]
            for taps in product(*(range(phase.taps) for phase in own_phases)):
                i, line = [], 0
                for c, axis, phase, t in zip(cell, axes, own_phases, taps, strict=True):
                    i.append(c + phase.start - t * axis.constants.step)
                    line = line * axis.constants.kernel + phase.first + t * axis.constants.every
                if all(0 <= at < axis.in_size for at, axis in zip(i, axes, strict=True)):
                    for j in range(task.ins):
                        source = channel // task.outs * task.ins + j
                        sums[lane] += x[(lanes.image[lane], source, *i)] * weight[line, j, channel]
        image = np.broadcast_to(lanes.image[:, None], sums.shape)[lanes.live]
        channels = np.broadcast_to(channel, sums.shape)[lanes.live]
        places = [np.broadcast_to(p[:, None], sums.shape)[lanes.live] for p in place]
        yield image, channels, places, sums[lanes.live]
