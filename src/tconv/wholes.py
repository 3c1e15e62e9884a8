"""Whole numbers on a command line: 2.5 is none, and nobody is served by rounding it."""

from __future__ import annotations

import re
from typing import Any, get_args

from tconv import errors
from tconv.names import printable

WHOLE = re.compile(r"[+-]?\d+|[+-]?0[xob][0-9a-fA-F]+")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def whole_numbers(app: Any, commands: tuple[str, ...], arguments: Any) -> None:
    """Cyclopts' hook between reading and converting: refuse a fraction where an integer is wanted.

    Raises:
        ArgumentTypeError: such as --epochs 2.7.
    """
    for argument in arguments:
        if not _takes_integers(argument.hint):
            continue
        for token in argument.tokens:
            value = str(token.value)
            if not WHOLE.fullmatch(value.strip()) and NUMBER.fullmatch(value.strip()):
                raise errors.ArgumentTypeError(f"{argument.name} {printable(value)} must be a whole number")


def _takes_integers(hint: Any) -> bool:
    """Whether a type is int, or a collection of int, or one of both or None; and nothing that takes fractions."""
    parts = get_args(hint)
    if not parts:
        return hint is int
    kinds = [part for part in parts if part not in (type(None), Ellipsis)]
    return bool(kinds) and all(_takes_integers(kind) for kind in kinds)
