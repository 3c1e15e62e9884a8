"""How a task is computed on a card, in pure Python: without Triton, PyTorch or a device.

The way of the cells is one matrix product per tile: its rows are cells (places of the output, `stride` apart, on all
axes and images), its columns the outputs of a cell (phases and channels), and it sums over taps and channels. No input
is ever added to an output that it does not reach, not even times zero, so that NaN and Inf stay where they belong; but
a place beyond the input counts as zeros, which a weight that is not finite turns into NaN. "few" is the same with
rectangular tiles and without asynchronous copies, so that the input, which is most of what is moved, is read from
memory once. "depthwise" multiplies tap by tap without a matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from tconv import errors
from tconv.geometry import Axis
from tconv.nn.engines.triton.axes import TRIVIAL, AxisPlan, axis_plan
from tconv.nn.engines.triton.cards import Card
from tconv.nn.engines.triton.choice import Choice
from tconv.nn.engines.triton.choices import choose
from tconv.nn.engines.triton.task import ITEMSIZE, Task

AXES = 3
LARGEST = 2**31 - 1
WIDEST = 2**30  # numbers of a geometry below it can be added in 32 bits
JOINED = 16  # the most phases of the last axis that are woven together in a store
SMALLEST_TILE = 16  # of a matrix product, on each side


@dataclass(frozen=True, slots=True)
class Refusal:
    """A task that no kernel takes, and why, as the end of a sentence that begins with "the engine does not take"."""

    reason: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How weights lie; plans with equal layouts share them.

    Attributes:
        depthwise: (taps, ins, groups * outs); otherwise (groups, taps, outs, pitch), of which the numbers from `ins` on
            are zeros that nobody reads.
        kernel: per axis; taps are counted with the last axis first.
        groups, ins, outs: channel groups, and the channels of each.
        pitch: `ins`, rounded up so that rows begin at multiples of 16 bytes.
        dtype: as in `Task`.
        rounded: to the 10 bits of mantissa that tensor cores read of a tf32 number.
    """

    depthwise: bool
    kernel: tuple[int, ...]
    groups: int
    ins: int
    outs: int
    pitch: int
    dtype: str
    rounded: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the packed weights."""
        taps = prod(self.kernel)
        if self.depthwise:
            return taps, self.ins, self.groups * self.outs
        return self.groups, taps, self.outs, self.pitch


@dataclass(frozen=True, slots=True)
class Plan:
    """A task cut into tiles.

    Attributes:
        task, choice: what is computed, and what was chosen for it; a part of the choice that does not fit is replaced.
        axes: three of them; a task with fewer has trivial ones in front.
        joined: phases of the last axis that are neighbours in the columns and woven in the store; 1 if none are.
        rows, columns: in all of one phase and group: what tiles are cut from.
        tiles: of cells, and of columns.
        programs: blocks of the kernel that multiplies.
        layout: of the weights.
        repacked: channels of a place in the repacked input; 0: it is read where it lies.
        workspace: bytes that a call needs beside its arrays.
    """

    task: Task
    choice: Choice
    axes: tuple[AxisPlan, AxisPlan, AxisPlan]
    joined: int
    rows: int
    columns: int
    tiles: tuple[int, int]
    programs: int
    layout: Layout
    repacked: int
    workspace: int

    @property
    def way(self) -> str:
        """ "cells", "few" or "depthwise"."""
        return self.choice.way

    @property
    def own_phases(self) -> int:
        """Phases with blocks of their own; the two of a pair share theirs."""
        outer = self.axes[0].own_phases * self.axes[1].own_phases
        last = 1 if self.choice.store == "pair" or self.lanes_are_outputs else self.axes[2].own_phases
        return outer * last

    @property
    def lanes_are_outputs(self) -> bool:
        """Whether lanes of a tile are all outputs of the last axis, instead of cells of a phase."""
        return self.layout.depthwise and self.choice.store == "rows"

    @property
    def repacked_bytes(self) -> int:
        """Of the repacked input, at the begin of the workspace; a multiple of 16."""
        task = self.task
        return -(-task.batch * prod(task.in_size) * self.repacked * task.itemsize // 16) * 16

    def describe(self) -> str:
        """The plan in one line.

        >>> from tconv import Geometry
        >>> from tconv.nn.engines.triton.cards import known
        >>> made = plan(Task(Geometry((2, 2), 2), (8, 8), 1, 32, 16), known("sm_90", 132), Choice(store="rows"))
        >>> made.describe() if isinstance(made, Plan) else made.reason
        'cells: 64 cells of 4 phases x 16 channels, tiles of 64x64x64, 1 block; stores rows'
        """
        choice = self.choice
        joint = prod(axis.joint_phases for axis in self.axes)
        own = f"; {self.own_phases} phases apart" if self.own_phases > 1 else ""
        split = f"; the sum in {choice.split} parts" if choice.split > 1 else ""
        repacked = "; channels brought together first" if self.repacked else ""
        depth = f"x{choice.depth}" if choice.way != "depthwise" else ""
        phases = f"{joint} phase{'s' * (joint != 1)} x {self.task.outs} channels"
        blocks = f"{self.programs} block{'s' * (self.programs != 1)}"
        tiles = f"tiles of {choice.cells}x{choice.columns}{depth}"
        extras = f"{own}{split}{repacked}; stores {choice.store}"
        return f"{choice.way}: {self.rows} cells of {phases}, {tiles}, {blocks}{extras}"


def plan(task: Task, card: Card, choice: Choice | None = None) -> Plan | Refusal:
    """How the task is computed on the card.

    Args:
        choice: in place of what `choices.choose` says.
    """
    reason = _refusal(task, card)
    if reason is not None:
        return Refusal(reason)
    choice = choice or choose(task, card)
    if choice.way == "pytorch":
        return Refusal("a layer that PyTorch's own operator was measured to compute faster on this card")
    made = _depthwise(task, choice) if choice.way == "depthwise" else _cells(task, choice)
    woven = max(made.joined, 2 if made.choice.store == "pair" else 1)
    places = prod(task.in_size), (made.rows + made.choice.cells) * woven
    sizes = *places, made.columns, made.programs, prod(made.layout.shape)
    if max(sizes) > LARGEST:
        return Refusal(f"a layer with {max(sizes)} cells or weights, more than 32 bits count")
    return made


def _refusal(task: Task, card: Card) -> str | None:
    if task.geometry.ndim > AXES:
        return f"{task.geometry.ndim} spatial axes, only up to {AXES}"
    if task.dtype not in ITEMSIZE:
        return f"dtype {task.dtype}, only {', '.join(ITEMSIZE)}"
    if task.dtype == "bfloat16" and not card.tensor_cores:
        return f"bfloat16 on {card.architecture}, which does not multiply it"
    try:
        numbers = (*task.in_size, *task.out_size, *(abs(c) for crop in task.geometry.crop for c in crop))
    except errors.TconvError as error:
        return f"these sizes: {error}"
    if max(*numbers, *(axis.extent + axis.stride for axis in task.geometry.axes)) >= WIDEST:
        return f"sizes, strides or crops of {WIDEST} and more"
    return None


def _axes(task: Task, together: tuple[bool, ...], padded: bool = False) -> tuple[AxisPlan, AxisPlan, AxisPlan]:
    """Three axes; those that the task lacks come first."""
    lacking = AXES - task.geometry.ndim
    axes: list[Axis] = [TRIVIAL] * lacking + list(task.geometry.axes)
    sizes = zip((1,) * lacking + task.in_size, (1,) * lacking + task.out_size, strict=True)
    made = [axis_plan(a, n, o, t, padded) for a, (n, o), t in zip(axes, sizes, together, strict=True)]
    return made[0], made[1], made[2]


def _cells(task: Task, choice: Choice) -> Plan:
    last = task.geometry.axes[-1]
    if choice.store == "pair" and last.stride != 2:
        choice = replace(choice, store="rows")
    pair = choice.store == "pair"
    axes = _axes(task, (choice.together, choice.together, choice.together and not pair), choice.padded)
    joint = axes[2].joint_phases
    weaves = choice.store == "rows" and joint & (joint - 1) == 0 and joint <= JOINED
    joined = joint if weaves else 1
    if task.geometry.ndim < 2 or choice.patch > choice.cells:
        choice = replace(choice, patch=0)
    small = {name: max(SMALLEST_TILE, getattr(choice, name)) for name in ("cells", "columns", "depth")}
    choice = replace(choice, **small)
    steps = prod(axis.constants.most for axis in axes) * -(-task.ins // choice.depth)
    choice = replace(choice, split=min(choice.split, steps))
    rows = task.batch * prod(axis.cells for axis in axes)
    columns = task.outs * prod(axis.joint_phases for axis in axes)
    tiles = _row_tiles(task, choice, axes), -(-columns // choice.columns)
    phases = prod(axis.own_phases for axis in axes) // (2 if pair else 1)
    blocks = prod(tiles) * phases * task.groups
    per = 16 // task.itemsize
    repacked = -(-task.in_channels // per) * per if choice.repack and not task.input_last else 0
    choice = replace(choice, repack=bool(repacked))
    layout = Layout(
        False,
        task.geometry.kernel,
        task.groups,
        task.ins,
        task.outs,
        -(-task.ins // per) * per,
        task.dtype,
        task.tf32 and task.dtype == "float32",
    )
    made = Plan(task, choice, axes, joined, rows, columns, tiles, blocks * choice.split, layout, repacked, workspace=0)
    partial = made.programs * choice.cells * choice.columns * 4 * (2 if pair else 1) if choice.split > 1 else 0
    return replace(made, workspace=made.repacked_bytes + partial)


def _row_tiles(task: Task, choice: Choice, axes: tuple[AxisPlan, AxisPlan, AxisPlan]) -> int:
    """Tiles that cover all cells: stretches of them, or rectangles of each image's last two axes."""
    if not choice.patch:
        return -(-task.batch * prod(axis.cells for axis in axes) // choice.cells)
    high = choice.cells // choice.patch
    return task.batch * axes[0].cells * -(-axes[1].cells // high) * -(-axes[2].cells // choice.patch)


def _depthwise(task: Task, choice: Choice) -> Plan:
    """Tiles of outputs of one phase by channels; in rows, of all phases of the last axis, or of both of a pair."""
    if choice.store == "pair" and task.geometry.axes[-1].stride != 2:
        choice = replace(choice, store="rows")
    choice = replace(choice, together=False, split=1, patch=0, repack=False)
    axes = _axes(task, (False, False, False))
    lanes = axes[2].out_size if choice.store == "rows" else axes[2].cells
    rows = task.batch * axes[0].cells * axes[1].cells * lanes
    tiles = -(-rows // choice.cells), -(-task.out_channels // choice.columns)
    phases = axes[0].own_phases * axes[1].own_phases * (axes[2].own_phases if choice.store == "columns" else 1)
    layout = Layout(True, task.geometry.kernel, task.groups, task.ins, task.outs, task.ins, task.dtype, False)
    return Plan(task, choice, axes, 1, rows, task.out_channels, tiles, prod(tiles) * phases, layout, 0, 0)
