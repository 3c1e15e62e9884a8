"""Where the commands print."""

from __future__ import annotations

from rich.console import Console, RenderableType


def show(*parts: RenderableType) -> None:
    """Print to the terminal, in colour, or to a pipe, as plain text of 80 columns."""
    console = Console(highlight=False, markup=False, emoji=False)
    for part in parts:
        console.print(part)
