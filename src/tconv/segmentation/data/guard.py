"""One damaged file never ends a run: whatever a decoder raises becomes one sentence that names the file, and is true.

Decoders raise almost anything when a file is damaged, from `struct.error` to `SyntaxError`; so nothing is listed here
that may pass, except for what is no fault of the file. The sentence says "truncated or damaged" only where a decoder
has found the pixels' own data to be so.
"""

from __future__ import annotations

import logging
import lzma
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import UnidentifiedImageError

from tconv import errors, extras
from tconv.names import printable, reason, shown

SYSTEM = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
DAMAGE = (EOFError, IndexError, SyntaxError, struct.error, zlib.error, lzma.LZMAError)
FOREIGN = ("not supported", "unsupported", "not available", "not implemented", "unknown compression", "not a known")

SHORT = "failed to read"  # what tifffile says of a file that ends too early, followed by numbers of bytes

UNKNOWN = "is no picture that can be read; convert it to PNG, JPEG or TIFF"
DAMAGED = "is truncated or damaged; copy or export it again"
CODEC = "is compressed in a way that needs imagecodecs"


class _Hush(logging.Filter):
    """Drops what decoders log on a thread that is reading: it is said in one sentence, by name, elsewhere."""

    reading = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(self.reading, "depth", 0)


for _name in ("tifffile", "PIL.TiffImagePlugin"):
    logging.getLogger(_name).addFilter(_Hush())


@contextmanager
def guarded(path: str | Path) -> Iterator[None]:
    """Read a file within this block.

    Raises:
        FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError: in words, without a number.
        ImageFileError: anything else that is wrong with the file; the message says what to do.
    """
    _Hush.reading.depth = getattr(_Hush.reading, "depth", 0) + 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except errors.TconvError:
        raise
    except SYSTEM as error:
        raise type(error)(reason(error)) from error
    except MemoryError as error:
        raise errors.ImageFileError(f"{shown(path)} needs more memory than there is; cut it into tiles") from error
    except Exception as error:
        raise errors.ImageFileError(f"{shown(path)} {verdict(error)}") from error
    finally:
        _Hush.reading.depth -= 1


def verdict(error: Exception) -> str:
    """What follows the name of a file whose decoder raised `error`."""
    said = printable(" ".join(str(error).split()))[:160]
    if isinstance(error, UnidentifiedImageError):
        return UNKNOWN
    if "imagecodecs" in said:
        return f"{CODEC}: {extras.cure('segmentation')}"
    # A decoder that knows the format and not this kind of it says so by its class or in words. Those of a TypeError are
    # about the call.
    if isinstance(error, NotImplementedError) or (
        not isinstance(error, TypeError) and any(words in said.lower() for words in FOREIGN)
    ):
        return f"is of a kind that cannot be read ({said}); convert it to PNG or to a plain TIFF"
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be read: {error.strerror or said}"
    if isinstance(error, (*DAMAGE, OSError)) or _by_a_codec(error) or said.startswith(SHORT):
        return DAMAGED
    return f"cannot be read ({type(error).__name__}: {said}); export it again, or convert it to PNG or to a plain TIFF"


def _by_a_codec(error: Exception) -> bool:
    """Whether imagecodecs or tifffile found the data itself to be wrong."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return "TiffFileError" in kinds or type(error).__module__.partition(".")[0] == "imagecodecs"
