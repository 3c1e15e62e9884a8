"""Text files as editors and spreadsheets write them: UTF-8 with or without a mark, UTF-16, commas, semicolons, tabs."""

from __future__ import annotations

import codecs
import csv
import io
from pathlib import Path

from tconv import errors
from tconv.names import shown

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DELIMITERS = ",;\t"


def read_text(path: Path, bytes_in_names: bool = False) -> str:
    """The text of a file.

    Args:
        path: of the file.
        bytes_in_names: whether bytes that are no UTF-8 stay in it as Python keeps those of file names.

    Raises:
        OSError: it cannot be opened.
        TconvError: it is in another encoding.
    """
    content = path.read_bytes()
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), None) or _without_mark(content)
    try:
        return content.decode(encoding, "surrogateescape" if bytes_in_names and encoding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise errors.TconvError(f"{shown(path)} is no UTF-8 text; save it as such") from error


def _without_mark(content: bytes) -> str:
    """UTF-16 shows itself by zeros in every second byte of what is mostly Latin text."""
    odd, even = content[1::2].count(0), content[::2].count(0)
    if max(odd, even) > len(content) // 4:
        return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8"


def table(text: str) -> list[tuple[int, list[str]]]:
    """The rows of a table with their line numbers, cells without spaces around them; empty lines are left out.

    The delimiter is the one of comma, semicolon and tab that the first line has most of.
    """
    first = text.lstrip().partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    return [(number, row) for number, row in rows if any(row)]
