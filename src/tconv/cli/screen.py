"""Where the commands print."""

from __future__ import annotations

from rich.console import Console, RenderableType


def show(*parts: RenderableType) -> None:
    """Print to the terminal, in colour, or to a pipe, as plain text of 80 columns without spaces at line ends."""
    console = Console(highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
