"""Files that appear whole or not at all: written beside their place, brought to the disk, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tconv import errors
from tconv.names import shown


@contextmanager
def wholly(path: str | Path) -> Iterator[Path]:
    """A path to write to; when the block ends well, its file replaces `path`, else no trace of it is left.

    Raises:
        ImageFileError: the file cannot be written; what was at `path` is still there.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        if isinstance(error, errors.TconvError):
            raise
        raise errors.ImageFileError(
            f"{shown(path)} cannot be written: {error.strerror or error}; what was there before is untouched"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
