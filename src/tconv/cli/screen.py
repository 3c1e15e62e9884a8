"""Where the commands print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import Progress
from rich.text import Text

EVERY = 60.0  # seconds between lines of progress where there is no terminal


def show(*parts: RenderableType) -> None:
    """Print to the terminal, in colour, or to a pipe, as plain text of 80 columns without spaces at line ends."""
    console = Console(highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def show_json(content: Any) -> None:
    """Print as JSON, which has no NaN: null stands for it."""
    print(json.dumps(_plain(content), indent=1, ensure_ascii=True))


def _plain(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, float) and content != content:
        return None
    return content


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A line on stderr, until it is over, that moves in a terminal and is not there elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(what)):
        yield


@contextmanager
def progress(what: str, total: int, quiet: bool = False) -> Iterator[Callable[[float], None]]:
    """A function to be called with how much is done: a bar in a terminal, else a line now and then; on stderr."""
    console = Console(stderr=True)
    said, before = perf_counter(), 0.0

    def line(done: float) -> None:
        nonlocal said, before
        if not quiet and done > before and perf_counter() - said > EVERY:
            said, before = perf_counter(), done
            print(f"{done:.0f} of {total} {what}", file=sys.stderr, flush=True)

    if quiet or not console.is_terminal:
        yield line
        return
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task(f"{total} {what}", total=total)
        yield lambda done: bars.update(bar, completed=done)
