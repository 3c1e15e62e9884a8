"""Tiles that may suit a task, the likeliest first: a heuristic, to be corrected by measured tables.

What it rests on: sums of a transposed convolution are short, so that a block's beginning and end count, and two or
three blocks should share a processor: at most some 75 KB of shared memory and 64 to 128 rows and columns; and all
processors should have blocks. These are observations of a prototype on one card; nothing here was measured on any
other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from tconv.nn.engines.triton.axes import may_join
from tconv.nn.engines.triton.cards import Card
from tconv.nn.engines.triton.choice import Choice
from tconv.nn.engines.triton.task import Task

SHARED = 76 * 1024  # bytes, of which a processor with 228 KB has room for three
FEW = 32  # columns up to which the input is most of what is moved
LONG = 1024  # products of a sum from which larger tiles gain more than fewer blocks lose
SMALL_INPUT = 2**18  # bytes below which repacking takes longer to launch than it saves
LARGE_WEIGHT = 2**20  # bytes from which a tile of weights should serve several tiles of cells
REPEATED = 6  # taps of a phase from which few outputs are better off with an input that was repacked
SPLITS = 16  # the most parts of a sum
MOST = 32  # candidates
NARROW_GROUP = 16  # channels of a group below which a matrix product would mostly multiply nothing
# Cells, columns and warps, from the largest down.
TILES = ((128, 128, 8), (128, 64, 4), (64, 64, 4), (64, 32, 4), (32, 32, 4))


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a task decides about tiles.

    Attributes:
        cells: of all images, for one phase.
        outs: output channels of a group.
        joinable: phases that could be computed together.
        apart: phases that cannot.
        padded: phases that could be together if those that lack a tap left it out.
        products: terms of one sum.
        exact: every output lies in a cell that has all of its phases, where the kernel is the stride.
    """

    cells: int
    outs: int
    joinable: int
    apart: int
    padded: int
    products: int
    exact: bool


def candidates(task: Task, card: Card) -> tuple[Choice, ...]:
    """What is worth measuring for a task, the heuristic's own choice first; all of it computes the same."""
    found = _without_product(task) if narrow(task) else _with_product(task, card)
    return tuple(dict.fromkeys(found))[:MOST]


def narrow(task: Task) -> bool:
    """Whether a group has so few channels that they are not worth a matrix product."""
    if task.groups == 1:
        return task.ins <= 2
    return task.ins <= NARROW_GROUP and min(task.ins, task.outs) < NARROW_GROUP


def _without_product(task: Task) -> Iterator[Choice]:
    if task.output_last and task.out_channels > 1:
        channels = min(64, _power(task.out_channels))
        for places, warps in ((32, 4), (64, 4), (16, 4), (32, 2), (64, 8)):
            columns = min(256, channels * (4 if places == 16 else 1), _power(task.out_channels))
            yield Choice("depthwise", places, columns, 1, warps, 1, store="columns")
        return
    pair = "pair" if task.geometry.axes[-1].stride == 2 else "rows"
    outputs = prod(task.out_size)
    for places, warps in ((512, 4), (1024, 4), (256, 2), (1024, 8)):
        lanes = min(places, max(32, _power(outputs)))
        yield Choice("depthwise", lanes, max(1, min(places // lanes, 8)), 1, warps, 1, store=pair)
        yield Choice("depthwise", min(2 * places, max(32, _power(outputs))), 1, 1, warps, 1, store="rows")


def shape_of(task: Task) -> Shape:
    """See `Shape`."""
    axes = list(zip(task.geometry.axes, task.out_size, strict=True))
    joinable = [axis for axis, _ in axes if may_join(axis)]
    return Shape(
        cells=task.batch * prod(-(-out // axis.stride) for axis, out in axes),
        outs=task.outs,
        joinable=prod(axis.stride for axis in joinable),
        apart=prod(axis.stride for axis, _ in axes if not may_join(axis)),
        padded=prod(axis.stride for axis, _ in axes if may_join(axis, padded=True)),
        products=task.ins * prod(max(1, axis.kernel // axis.stride) for axis, _ in axes),
        exact=all(a.kernel == a.stride and a.crop_lo % a.stride == 0 and out % a.stride == 0 for a, out in axes),
    )


def _with_product(task: Task, card: Card) -> Iterator[Choice]:
    shape = shape_of(task)
    store = _store(task)
    together = shape.exact or store == "rows" or shape.outs < 64
    read = not task.input_last and task.in_channels > 1 and not shape.exact
    bytes_in = task.batch * task.in_channels * prod(task.in_size) * task.itemsize
    plain = Choice(store=store, together=together, repack=read and bytes_in >= SMALL_INPUT)
    if _mostly_reads(task, shape):
        yield from _few(task, shape, plain)
    best = _cut(task, card, shape, plain)
    yield best
    for cells, columns, warps in TILES:
        yield _fitted(task, card, replace(best, cells=cells, columns=columns, warps=warps, split=1))
    for stages in (2, 4):
        yield _fitted(task, card, replace(best, stages=stages))
    for split in (1, 2, 4, 8):
        yield replace(best, split=split)
    for other in _spelled_otherwise(task, best, read):
        yield _cut(task, card, shape, other)
    yield replace(best, group=1 if best.group > 1 else 8)
    yield _fitted(task, card, replace(best, warps=12 - best.warps))


def _store(task: Task) -> str:
    """Which neighbours in memory a store writes."""
    if task.output_last and task.out_channels > 1:
        return "columns"
    last = task.geometry.axes[-1]
    aligned = may_join(last) and last.crop_lo % last.stride == 0
    return "pair" if last.stride == 2 and not aligned else "rows"


def _mostly_reads(task: Task, shape: Shape) -> bool:
    """Whether there are few outputs of several taps, so that each input is read again and again for little."""
    every = prod(axis.stride for axis in task.geometry.axes)
    return task.groups == 1 and shape.padded == every and shape.outs * every <= FEW and task.taps > every


def _few(task: Task, shape: Shape, plain: Choice) -> Iterator[Choice]:
    """Tiles that are rectangles, so that what several taps read is in the first-level cache."""
    columns = max(16, _power(shape.outs * shape.padded))
    depth = min(64 if task.itemsize == 2 else 32, max(16, _power(task.ins)))
    store = "columns" if plain.store == "columns" else "rows"
    base = replace(plain, way="few", columns=columns, depth=depth, stages=1, store=store, together=True, padded=True)
    repack = plain.repack and task.taps >= REPEATED * shape.padded
    for cells, patch, warps in ((128, 16, 4), (128, 32, 4), (256, 16, 8), (64, 16, 4)):
        across = task.geometry.ndim > 1
        tile = replace(base, cells=cells, patch=patch if across else 0, warps=warps, repack=repack)
        yield tile
        if not task.input_last and task.in_channels > 1:
            yield replace(tile, repack=not repack)


def _spelled_otherwise(task: Task, best: Choice, read: bool) -> Iterator[Choice]:
    """The same tiles with phases, stores or reads arranged in another way."""
    shape = shape_of(task)
    if shape.joinable > 1:
        yield replace(best, together=not best.together)
    if shape.padded > shape.joinable and shape.outs <= 2 * FEW:
        yield replace(best, together=True, padded=True)
    if best.store != "columns" and task.geometry.axes[-1].stride == 2:
        yield replace(best, store="rows" if best.store == "pair" else "pair")
        yield replace(best, store="rows" if best.store == "pair" else "pair", together=not best.together)
    if read:
        yield replace(best, repack=not best.repack)
    elif not task.input_last and task.in_channels > 1 and task.tf32:  # tensor cores want a place's channels together
        yield replace(best, repack=True)


def _cut(task: Task, card: Card, shape: Shape, choice: Choice) -> Choice:
    """The largest tiles that give every processor two blocks, and the sum in parts where even the smallest do not."""
    rest = shape.joinable if not choice.together else 1
    blocks_of = shape.apart * rest * task.groups // (2 if choice.store == "pair" else 1) or 1
    columns = shape.outs * (shape.joinable if choice.together else 1)
    if choice.store == "pair" and choice.together and may_join(task.geometry.axes[-1]):
        columns //= 2
    fitting = [t for t in TILES if t[1] <= max(16, _power(columns)) and t[0] <= max(16, _power(shape.cells))]
    fitting = [t for t in fitting if t[0] * t[1] < 128 * 128 or shape.products >= LONG] or [(16, 16, 4)]
    if columns <= 16:
        fitting = [(min(128, max(16, _power(shape.cells))), 16, 4)]
    if not (task.itemsize == 2 or task.tf32):  # without tensor cores a thread holds its tile's operands, too
        fitting = [t for t in fitting if t[0] * t[1] <= 64 * 64] or fitting
    blocks = [-(-shape.cells // cells) * -(-columns // wide) * blocks_of for cells, wide, _ in fitting]
    enough = [at for at, count in enumerate(blocks) if count >= 2 * card.processors]
    if not enough:  # then rather tiles that tensor cores like, and the sum in parts
        enough = [at for at, t in enumerate(fitting) if t[0] * t[1] <= 64 * 64] or [len(fitting) - 1]
    cells, wide, warps = fitting[enough[0]]
    group = 8 if task.ins * task.out_channels * task.taps * task.itemsize >= LARGE_WEIGHT else 1
    made = _fitted(task, card, replace(choice, cells=cells, columns=wide, warps=warps, group=group))
    steps = shape.products // made.depth
    split = min(SPLITS, card.processors // max(1, blocks[enough[0]]), steps // 4)
    return replace(made, split=_power(split + 1) // 2 if split > 1 else 1)


def _fitted(task: Task, card: Card, choice: Choice) -> Choice:
    """The choice with a depth for the dtype and as many stages as shared memory has room for."""
    exact = task.itemsize == 4 and not task.tf32
    depth = min(16 if exact else 32 if task.itemsize == 4 else 64, max(16, _power(task.ins)))
    cells = choice.cells
    if choice.store == "pair" and cells * choice.columns >= 128 * 64 and cells > 16:
        cells //= 2  # both phases' sums are kept in registers
    warps = choice.warps
    if card.capability >= 100 and cells * choice.columns >= 128 * 64:
        warps = max(warps, 8)  # sums come out of tensor memory all at once
    if cells >= 128 and (task.outs % 8 or task.out_size[-1] % 8):
        warps = max(warps, 8)  # what is stored fills no whole vectors, and so many addresses fill the registers
    room = min(SHARED, card.shared_memory)
    stages = min(choice.stages, 2 if exact or card.amd else 4)
    while stages > 1 and stages * (cells + choice.columns) * depth * task.itemsize > room:
        stages -= 1
    return replace(choice, cells=cells, depth=depth, stages=stages, warps=warps)


def _power(number: int) -> int:
    """The smallest power of two that is no smaller.

    >>> _power(1), _power(48), _power(64)
    (1, 64, 64)
    """
    return 1 << max(0, number - 1).bit_length()
