"""Where output may go, and how it gets there: the one place that decides, so that nothing that lay there is lost.

Every command that writes asks here before it works. A file that is read is never written to, whatever the names are
through which it is reached; a folder that holds inputs takes no outputs, because the next command would take them for
inputs; and a file that exists is replaced only where this was asked for. Files appear whole or not at all: they are
written beside their place, brought to the disk, then renamed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tconv import errors
from tconv.names import shown

REPLACE = "write to another name, or let --again replace it"


def check_file(
    target: str | Path,
    inputs: Iterable[str | Path] = (),
    again: bool = False,
    apart: bool = False,
    cure: str = REPLACE,
) -> Path:
    """The path to write a file to.

    Args:
        target: what was asked for.
        inputs: files that are read.
        again: whether a file that is there already may be replaced; an input never is.
        apart: whether the file must not lie in a folder that holds inputs, because it could be taken for one of them.
        cure: what is said where a file is there already.

    Raises:
        ImageFileError: it must not be written; the message says where to write instead.
    """
    target = Path(target)
    paths = [Path(path) for path in inputs]
    if target.is_dir():
        raise errors.ImageFileError(f"{shown(target)} is a folder; give a file name")
    if any(_same(target, path) for path in paths):
        raise errors.ImageFileError(f"{shown(target)} is the input itself; write to another name")
    if apart:
        check_folder(target.parent, paths)
    if not again and (target.exists() or target.is_symlink()):
        raise errors.ImageFileError(f"{shown(target)} is there already; {cure}")
    return target


def check_folder(folder: str | Path, inputs: Iterable[str | Path] = ()) -> Path:
    """The path of a folder to write into.

    Args:
        folder: what was asked for; it may be missing.
        inputs: files that are read, and folders all of which is read.

    Raises:
        ImageFileError: it is a file, or it holds inputs.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise errors.ImageFileError(f"{shown(folder)} is a file; give a folder to write to")
    place = folder.resolve()
    for holder in {_holder(Path(path)) for path in inputs}:
        if place == holder:
            raise errors.ImageFileError(
                f"{shown(folder)} holds the inputs; write to another folder, so that none of them is replaced"
            )
    return folder


@contextmanager
def wholly(path: str | Path) -> Iterator[Path]:
    """A path to write to; when the block ends well, its file replaces `path`, else no trace of it is left. A
    device or a pipe, such as /dev/stdout, is written to as it is.

    Raises:
        ImageFileError: the file cannot be written; what was at `path` is still there.
    """
    path = Path(path)
    if path.is_char_device() or path.is_fifo():
        yield path
        return
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


def write(path: str | Path, content: bytes | str) -> None:
    """Write a file that appears whole or not at all; text as UTF-8.

    Raises:
        ImageFileError: as `wholly`.
    """
    with wholly(path) as part:
        part.write_bytes(content if isinstance(content, bytes) else content.encode())


def _holder(path: Path) -> Path:
    """The folder that an input lies in, or the input itself if it is a folder of inputs."""
    return path.resolve() if path.is_dir() and path.suffix != ".zarr" else path.parent.resolve()


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file; links are followed."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()
