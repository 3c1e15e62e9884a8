"""What a message may show: names of files may hold anything, and a terminal obeys some of it.

A file may be called so that its name clears the screen, reverses the text after it or looks like two lines; and a class
in an annotation file may be called likewise. What cannot be printed as it is stands in messages as an escape.
"""

from __future__ import annotations

import errno
import os

from tconv import errors

REASONS = {
    errno.ENOENT: "there is no such file or folder",
    errno.EEXIST: "there is a file of this name already; give another name",
    errno.EISDIR: "this is a folder; give a file",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.EACCES: "permission denied; give yourself the right to read and write there",
    errno.EPERM: "permission denied; give yourself the right to read and write there",
}


def printable(text: str) -> str:
    """The text with everything that is no letter, sign or plain space written as an escape.

    >>> print(printable("a\\x1b[2Jb\\u202e.png"))
    a\\x1b[2Jb\\u202e.png
    """
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def shown(path: str | os.PathLike[str]) -> str:
    """The name of a file in a message; bytes that are no text are shown as such."""
    return printable(os.fspath(path))


def reason(error: BaseException) -> str:
    """What an exception says, with the file first and without the system's number."""
    if not isinstance(error, OSError) or isinstance(error, errors.TconvError) or not error.strerror:
        return str(error)
    said = REASONS.get(error.errno or 0, error.strerror)
    name = error.filename
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    return f"{shown(name)}: {said}" if isinstance(name, str | os.PathLike) else said


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is no UTF-8, as Python hands it over
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
