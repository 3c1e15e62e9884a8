"""The arguments of a plan's kernels: numbers that may change between calls, and constants to compile for."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from tconv.nn.engines.triton.plan import Plan
from tconv.nn.engines.triton.strides import FAR, Lying, unit

PLACES, CHANNELS = 64, 64  # of a tile that is repacked


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel of a plan.

    Attributes:
        kernel: its name, which is that of its module in `kernels/`.
        tensors: what it is given first, by role: "x", "weight", "bias", "y", "repacked", "partial".
        numbers: what it is given next.
        constants: what it is compiled for.
        grid: how many blocks.
        warps, stages: options of the compiler.
    """

    kernel: str
    tensors: tuple[str, ...]
    numbers: tuple[int | float, ...]
    constants: dict[str, Any]
    grid: tuple[int, int, int]
    warps: int
    stages: int


def launches(plan: Plan, x: Lying, y: Lying) -> tuple[Launch, ...]:
    """The kernels of a plan in their order, for tensors that lie so; none if there is nothing to compute."""
    if plan.programs == 0:
        return ()
    if plan.layout.depthwise:
        return (_depthwise(plan, x, y),)
    first: tuple[Launch, ...] = ()
    if plan.repacked:
        first = (_repacking(plan, x),) if prod(plan.task.in_size) else ()
        x = _repacked(plan)
    last = (_adding(plan, y),) if plan.choice.split > 1 else ()
    return (*first, _cells(plan, x, y), *last)


def _axes(plan: Plan) -> dict[str, Any]:
    return {f"A{i}": axis.constants for i, axis in enumerate(plan.axes)} | {"NDIM": plan.task.geometry.ndim}


def _finish(plan: Plan) -> dict[str, Any]:
    return {"BIAS": plan.task.bias, "ACTIVATION": plan.task.activation}


def _tile(plan: Plan) -> dict[str, Any]:
    choice = plan.choice
    return {
        "PATCH": choice.patch,
        "BM": choice.cells,
        "BN": choice.columns,
        "GROUP": choice.group,
        "SPLIT": choice.split,
        "STORE": choice.store,
        "JOINED": plan.joined,
        "COLUMNS": prod(axis.joint_phases for axis in plan.axes),
    }


def _cells(plan: Plan, x: Lying, y: Lying) -> Launch:
    task, choice, axes = plan.task, plan.choice, plan.axes
    ins, pitch, outs, q2 = unit(task.ins), unit(plan.layout.pitch), unit(task.outs), unit(axes[2].cells)
    numbers = (task.batch, task.groups, *plan.tiles, task.ins // ins, plan.layout.pitch // pitch, task.outs // outs)
    sizes = [axis.in_size for axis in axes] + [axis.out_size for axis in axes]
    cells = (axes[0].cells, axes[1].cells, axes[2].cells // q2)
    own = {"EVEN": task.ins % choice.depth == 0, "PRECISION": "tf32" if plan.layout.rounded else "ieee"}
    units = {"INS": ins, "PITCH": pitch, "OUTS": outs, "Q": q2, "X": x.unit, "Y": y.unit}
    near = {"XNEAR": x.near, "YNEAR": y.near, "WIDE": x.far or y.far}
    return Launch(
        "cells",
        ("repacked" if plan.repacked else "x", "weight", "bias", "y", "partial"),
        (*numbers, *sizes, *cells, *x.strides, *y.strides, task.slope),
        _axes(plan) | _tile(plan) | {"BK": choice.depth} | own | _finish(plan) | units | near,
        (plan.programs, 1, 1),
        choice.warps,
        choice.stages,
    )


def _adding(plan: Plan, y: Lying) -> Launch:
    task, axes = plan.task, plan.axes
    outs, q2 = unit(task.outs), unit(axes[2].cells)
    numbers = (task.batch, task.groups, *plan.tiles, task.outs // outs, *(axis.out_size for axis in axes))
    cells = axes[0].cells, axes[1].cells, axes[2].cells // q2
    units = {"OUTS": outs, "Q": q2, "Y": y.unit, "YNEAR": y.near, "WIDE": y.far}
    return Launch(
        "adding",
        ("partial", "bias", "y"),
        (*numbers, *cells, *y.strides, task.slope),
        _axes(plan) | _tile(plan) | _finish(plan) | units,
        (plan.programs // plan.choice.split, 1, 1),
        plan.choice.warps,
        1,
    )


def _repacked(plan: Plan) -> Lying:
    """How the repacked input lies: dense, channels-last."""
    sizes, pitch = [axis.in_size for axis in plan.axes], plan.repacked
    strides = pitch * prod(sizes), 0, pitch * sizes[1] * sizes[2], pitch * sizes[2], pitch
    together = unit(*strides)
    batch, channel, first, second, third = (stride // together for stride in strides)
    return Lying((batch, channel, first, second, third), together, "channel", pitch * prod(sizes) >= FAR)


def _repacking(plan: Plan, x: Lying) -> Launch:
    task, (n0, n1, n2) = plan.task, (axis.in_size for axis in plan.axes)
    x = x.in_ones() if x.near == "channel" else x  # between places then lies what no vector could read anyway
    if x.near == "place" and all(
        size == 1 or stride * x.unit == dense
        for size, stride, dense in ((n1, x.strides[3], n2), (n0, x.strides[2], n1 * n2))
    ):
        n0, n1, n2 = 1, 1, n0 * n1 * n2  # one axis, whose size is more often a multiple of a vector's
    n, pitch = unit(n2), unit(plan.repacked)
    tiles = -(-(n0 * n1 * n2) // PLACES)
    constants = {"BP": PLACES, "BC": CHANNELS, "PITCH": pitch, "X": x.unit, "XNEAR": x.near, "N": n}
    constants["WIDE"] = x.far or _repacked(plan).far
    return Launch(
        "repacking",
        ("x", "repacked"),
        (task.batch, task.in_channels, n0, n1, n2 // n, plan.repacked // pitch, *x.strides),
        constants,
        (task.batch * tiles, -(-task.in_channels // CHANNELS), 1),
        4,
        1,
    )


def _depthwise(plan: Plan, x: Lying, y: Lying) -> Launch:
    task, choice, axes = plan.task, plan.choice, plan.axes
    last = axes[2].out_size if plan.lanes_are_outputs else axes[2].cells
    total, q2 = unit(task.out_channels), unit(last)
    numbers = (task.batch, *plan.tiles, task.ins, task.outs, task.out_channels // total)
    sizes = [axis.in_size for axis in axes] + [axis.out_size for axis in axes]
    cells = (axes[0].cells, axes[1].cells, last // q2)
    tile = {"BM": choice.cells, "BN": choice.columns, "STORE": choice.store}
    multiplied = {"MULTIPLIED": task.ins > 1 or task.outs > 1}
    units = {"TOTAL": total, "Q": q2, "X": x.unit, "Y": y.unit}
    near = {"XNEAR": x.near, "YNEAR": y.near, "WIDE": x.far or y.far}
    return Launch(
        "depthwise",
        ("x", "weight", "bias", "y"),
        (*numbers, *sizes, *cells, *x.strides, *y.strides, task.slope),
        _axes(plan) | tile | multiplied | _finish(plan) | units | near,
        (plan.programs, 1, 1),
        choice.warps,
        choice.stages,
    )
