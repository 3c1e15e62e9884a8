"""Which choice a task gets: from a table that was measured, or else by a heuristic.

Nothing is tuned at run time. `candidates` lists what may be tried, a script with a device measures it, and `save`
writes `tables/ARCHITECTURE-PROCESSORS.json`; what is there ships with the package. A table names a task by its layer
and by how many pixels its input has, rounded to a power of two; a task between two that were measured takes the
nearest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from functools import cache
from math import log2, prod
from pathlib import Path
from typing import Any

from tconv import errors
from tconv.nn.engines.triton.cards import Card
from tconv.nn.engines.triton.choice import STORES, WAYS, Choice
from tconv.nn.engines.triton.task import Task
from tconv.nn.engines.triton.tiles import candidates

__all__ = [
    "Choice",
    "TableError",
    "candidates",
    "choose",
    "layer_key",
    "load",
    "lookup",
    "place",
    "read",
    "save",
    "table_path",
]

TABLES = Path(__file__).parent / "tables"


class TableError(errors.TconvError):
    """A table of choices does not say what it must."""


def choose(task: Task, card: Card, architecture_table: dict[str, Choice] | None = None) -> Choice:
    """What the card's table says of this task, or the first of `candidates`.

    Args:
        architecture_table: used in place of the shipped one.
    """
    table = load(card) if architecture_table is None else architecture_table
    return lookup(table, task) or candidates(task, card)[0]


def layer_key(task: Task) -> str:
    """A task's layer in words: all but sizes and batch."""
    axes = ",".join(f"k{a.kernel}s{a.stride}d{a.dilation}c{a.crop_lo % a.stride}" for a in task.geometry.axes)
    kind = "tf32" if task.tf32 and task.dtype == "float32" else task.dtype
    lying = f"{'last' if task.input_last else 'first'}-{'last' if task.output_last else 'first'}"
    return f"{axes} {task.in_channels}>{task.out_channels}/{task.groups} {kind} {lying}"


def size_key(task: Task) -> int:
    """The binary logarithm of how many pixels a task's input has, rounded."""
    return round(log2(max(1, task.batch * prod(task.in_size))))


def place(task: Task) -> str:
    """A task's place in a table."""
    return f"{layer_key(task)} {size_key(task)}"


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
    choices = {place(task): asdict(choice) for task, choice in measured}
    path = table_path(card, folder)
    text = {"card": card.name, "made": made, "choices": dict(sorted(choices.items()))}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    load.cache_clear()
    return path
