"""How a task is cut into tiles: from a table that was measured, or else by a heuristic.

Nothing is tuned at run time. `candidates` lists what may be tried, a script with a device measures it, and `save` writes
`tables/ARCHITECTURE-PROCESSORS.json`, which ships with the package. A table names a task by its layer and by how many
cells it has, rounded to a power of two; a task between two that were measured takes the nearest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cache
from math import log2, prod
from pathlib import Path
from typing import Any

from tconv import errors
from tconv.nn.engines.triton.cards import Card
from tconv.nn.engines.triton.task import Task

TABLES = Path(__file__).parent / "tables"
WAYS = ("cells", "few", "depthwise", "pytorch")
STORES = ("columns", "rows", "pair")


class TableError(errors.TconvError):
    """A table of choices does not say what it must."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How a task is computed.

    Attributes:
        way: "cells", "few" (cells in patches, read through the first-level cache), "depthwise" (no matrix product), or
            "pytorch": its own operator was measured to be faster.
        cells: cells of a tile; a power of two.
        columns: outputs of a cell in a tile, phases times channels; of "depthwise", channels. A power of two.
        depth: input channels that are multiplied at a time; a power of two.
        warps: of a block.
        stages: tiles in flight.
        group: tiles of cells that follow one another while the tile of columns stays.
        split: parts into which the sum over taps and channels is cut, added up in their order by a second kernel.
        together: all phases of a cell in the columns, on axes where the kernel is a multiple of the stride; otherwise
            and elsewhere each phase is computed by blocks of its own.
        store: "columns" (channels are neighbours in memory), "rows" (cells are), or "pair" (cells are, and the two
            phases of the last axis, computed one after the other, are woven together).
        patch: cells of a tile along the last axis, so that a tile is a rectangle; 0: a stretch of all cells in order.
        repack: bring the channels of the input together first, in a pass of its own.
    """

    way: str = "cells"
    cells: int = 64
    columns: int = 64
    depth: int = 64
    warps: int = 4
    stages: int = 3
    group: int = 1
    split: int = 1
    together: bool = True
    store: str = "columns"
    patch: int = 0
    repack: bool = False


def choose(task: Task, card: Card, architecture_table: dict[str, Choice] | None = None) -> Choice:
    """What the card's table says of this task, or the first of `candidates`.

    Args:
        architecture_table: used in place of the shipped one.
    """
    table = load(card) if architecture_table is None else architecture_table
    return lookup(table, task) or candidates(task, card)[0]


def candidates(task: Task, card: Card) -> tuple[Choice, ...]:
    """What is worth measuring for a task, the heuristic's own choice first; all of it computes the same."""
    raise NotImplementedError


def layer_key(task: Task) -> str:
    """A task's layer in words: all but sizes and batch."""
    axes = ",".join(f"k{a.kernel}s{a.stride}d{a.dilation}c{a.crop_lo % a.stride}" for a in task.geometry.axes)
    kind = "tf32" if task.tf32 and task.dtype == "float32" else task.dtype
    lying = f"{'last' if task.input_last else 'first'}-{'last' if task.output_last else 'first'}"
    return f"{axes} {task.in_channels}>{task.out_channels}/{task.groups} {kind} {lying}"


def size_key(task: Task) -> int:
    """The binary logarithm of how many cells a task has, rounded."""
    return round(log2(max(1, task.batch * prod(task.in_size))))


def lookup(table: dict[str, Choice], task: Task) -> Choice | None:
    """What a table says of the task, or of one of the same layer whose size is nearest."""
    layer, size = layer_key(task), size_key(task)
    found = [(abs(int(key.rpartition(" ")[2]) - size), key) for key in table if key.rpartition(" ")[0] == layer]
    return table[min(found)[1]] if found else None


@cache
def load(card: Card) -> dict[str, Choice]:
    """The shipped table for a card, of exactly this architecture and this many processors; empty if there is none."""
    path = table_path(card)
    return read(path) if path.exists() else {}


def table_path(card: Card, folder: Path = TABLES) -> Path:
    """Where the table for a card lies."""
    return folder / f"{card.architecture}-{card.processors}.json"


def read(path: Path) -> dict[str, Choice]:
    """The choices in a table, by layer and size.

    Raises:
        TableError: the file is none; the message says why.
    """
    try:
        entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["choices"]
        return {key: _choice(entry) for key, entry in entries.items() if int(key.rpartition(" ")[2]) >= 0}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TableError(f"{path.name} is no table of choices ({error!r}); write it anew by measuring") from error


def _choice(entry: dict[str, Any]) -> Choice:
    choice = Choice(**entry)
    for field in fields(Choice):
        value, default = getattr(choice, field.name), field.default
        if type(value) is not type(default):
            raise ValueError(f"{field.name} {value!r}")
    for name in ("cells", "columns", "depth", "warps", "stages", "group", "split"):
        if getattr(choice, name) < 1:
            raise ValueError(f"{name} {getattr(choice, name)}")
    for name, value in (("cells", choice.cells), ("columns", choice.columns), ("depth", choice.depth)):
        if value & (value - 1):
            raise ValueError(f"{name} {value}")
    if choice.way not in WAYS or choice.store not in STORES or choice.patch < 0 or choice.patch & (choice.patch - 1):
        raise ValueError(f"way {choice.way!r}, store {choice.store!r}, patch {choice.patch}")
    return choice


def save(card: Card, measured: Iterable[tuple[Task, Choice]], folder: Path = TABLES, made: str = "") -> Path:
    """Write a card's table anew, and return where.

    Args:
        measured: tasks with the choice that was fastest; of two in one place the later one counts.
        folder: where tables lie; default: in the package.
        made: a sentence about when and with which versions it was measured.
    """
    choices = {f"{layer_key(task)} {size_key(task)}": asdict(choice) for task, choice in measured}
    path = table_path(card, folder)
    text = {"card": card.name, "made": made, "choices": dict(sorted(choices.items()))}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    load.cache_clear()
    return path
