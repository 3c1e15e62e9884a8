"""Names and reasons in messages: nothing that a terminal would obey, no number of the system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tconv import errors
from tconv.names import printable, reason, shown


@pytest.mark.parametrize(("name", "said"), [
    ("photo.png", "photo.png"), ("Straße 漢字 é.png", "Straße 漢字 é.png"), ("a\x1b[2J.png", r"a\x1b[2J.png"),
    ("two\nlines\ttab", r"two\nlines\ttab"), ("\u202egnp.exe", r"\u202egnp.exe"), ("\x9b31m", r"\x9b31m"),
    (os.fsdecode(b"\xff\xfe.png"), r"\xff\xfe.png"), ("\ud800", r"\ud800"), ("", ""),
])  # fmt: skip
def test_what_is_shown_of_a_name(name: str, said: str) -> None:
    assert printable(name) == said
    assert shown(Path(name or ".")) == (said or ".")


@pytest.mark.parametrize(("error", "said"), [
    (FileNotFoundError(2, "No such file or directory", "a\x1b.png"), r"a\x1b.png: there is no such file or folder"),
    (IsADirectoryError(21, "Is a directory", b"x"), "x: this is a folder; give a file"),
    (PermissionError(13, "Permission denied", "x"), "x: permission denied; give yourself the right to read and write "
     "there"),
    (OSError(28, "No space left on device"), "No space left on device"),
    (OSError(36, "File name too long", Path("y")), "y: File name too long"),
    (errors.ImageFileError("x is empty; copy it again"), "x is empty; copy it again"),
    (FileNotFoundError("x: no image there"), "x: no image there"), (ValueError("no"), "no"),
])  # fmt: skip
def test_reasons(error: Exception, said: str) -> None:
    assert reason(error) == said
