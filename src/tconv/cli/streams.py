"""`-` as a file name: an image from standard input, a result to standard output."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tconv import errors
from tconv.names import shown

DASH = "-"
STREAM = "(standard stream)"  # what a dash becomes before options are parsed, which would take it for one of them
COMMANDS = (("upsample",), ("segment", "predict"))  # that take streams


def with_streams(arguments: list[str]) -> list[str]:
    """The arguments, each dash that means a stream written as `STREAM`."""
    if not any(tuple(arguments[: len(command)]) == command for command in COMMANDS):
        return arguments
    return [STREAM if argument == DASH else argument for argument in arguments]


def spelled(name: str | Path) -> str:
    """How a name or a stream was written."""
    return DASH if str(name) == STREAM else shown(name)


@contextmanager
def incoming(name: str) -> Iterator[Path]:
    """The path of what is read: `name`, or a copy of standard input that lasts as long as the block.

    A copy, because TIFF and interlaced formats are not read from front to back.

    Raises:
        ImageFileError: nothing comes.
    """
    if name != STREAM:
        yield Path(name)
        return
    with TemporaryDirectory(prefix="tconv-") as place:
        path = Path(place) / "stdin"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        if not path.stat().st_size:
            raise errors.ImageFileError("standard input is empty; send an image, as in tconv ... - < photo.png")
        yield path


@contextmanager
def outgoing(name: str, suffix: str) -> Iterator[Path]:
    """The path to write to: `name`, or one with `suffix` that goes to standard output when the block ends well.

    Raises:
        ImageFileError: standard output is a terminal.
    """
    if name != STREAM:
        yield Path(name)
        return
    if sys.stdout.isatty():
        raise errors.ImageFileError("standard output is a terminal; send it to a file, as in tconv ... -o - > mask.png")
    with TemporaryDirectory(prefix="tconv-") as place:
        path = Path(place) / f"stdout{suffix}"
        yield path
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
