"""Run by test_processes.py: the catalogue, with each array between pages that nobody may touch.

An access one element before or behind an array ends this process, whichever instruction makes it; AddressSanitizer
sees neither the masked ones nor memory that Python owns.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any

import ml_dtypes
import numpy as np
from cases import CASES, Case

from tconv import Geometry, native
from tconv.forms import FORMS

DTYPES = (np.float32, np.float64, ml_dtypes.bfloat16, np.float16)
FORBIDDEN = 0  # PROT_NONE, which Python does not name
PAGE = mmap.PAGESIZE
LIBC = ctypes.CDLL(None, use_errno=True)

# The catalogue's layers are small; these fill vectors and tiles several times over and leave a rest everywhere.
LARGER = [
    Case("kernel 4 stride 2", Geometry.from_torch((4, 4), 2, 1), (19, 37), 2, 21, 19),
    Case("kernel 2 stride 2", Geometry((2, 2), 2), (17, 35), 1, 33, 37),
    Case("kernel 3 stride 1", Geometry.from_torch((3, 3), 1, 1), (18, 41), 1, 9, 35),
    Case("kernel 3 stride 2", Geometry.from_torch((3, 3), 2, 1, 1), (5, 6), 1, 67, 69),
    Case("one output", Geometry.from_torch((9, 9), 3, 4, 2), (11, 43), 1, 7, 1),
    Case("one output of a row", Geometry(2, 1), (701,), 2, 7, 1),
    Case("one output, kernel 2 stride 2", Geometry((2, 2), 2), (17, 35), 2, 6, 1),
    Case("long kernel", Geometry.from_torch(16, 8, 4), (201,), 1, 13, 11),
    Case("big stride", Geometry(64, 32), (37,), 1, 6, 3),
    Case("depthwise", Geometry.from_torch((4, 4), 2, 1), (17, 35), 1, 37, 37, 37),
    Case("groups", Geometry.from_torch((4, 4), 2, 1), (9, 33), 1, 36, 40, 4),
    Case("3-D", Geometry((2, 2, 2), 2), (3, 5, 35), 1, 19, 18),
]


def fenced(array: Any, at_end: bool) -> Any:
    """A copy between two forbidden pages, which touches the one behind it or else the one before it."""
    inside = -(-array.nbytes // PAGE) * PAGE
    pages = mmap.mmap(-1, inside + 2 * PAGE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    for page in (first, first + PAGE + inside):
        assert LIBC.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), FORBIDDEN) == 0
    offset = PAGE + (inside - array.nbytes if at_end else 0)
    copy = np.frombuffer(pages, np.uint8, array.nbytes, offset).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def check(case: Case, dtype: Any, channels_last: bool, at_end: bool) -> None:
    x, w, b = case.arrays(dtype)
    size = case.geometry.output_size(case.in_size)
    y = np.full((case.batch, case.out_channels, *size), 99, dtype)
    if channels_last:
        x, y = (np.moveaxis(fenced(np.moveaxis(a, 1, -1), at_end), -1, 1) for a in (x, y))
    else:
        x, y = fenced(x, at_end), fenced(y, at_end)
    layer = native.pack(case.geometry, fenced(w, at_end), fenced(b, at_end), case.groups)
    layer.run(native.bits(x), native.bits(y))
    expected = FORMS["taps"](case.geometry, *case.arrays(), case.groups)
    assert (y == expected.astype(dtype)).all(), (case.name, dtype, channels_last)


def overread() -> None:
    """What every overread looks like; dies, which proves that the fences hold."""
    x = fenced(np.zeros(5, np.float32), at_end=True)
    print(np.lib.stride_tricks.as_strided(x, (6,)).sum())


def main(backend: str) -> None:
    assert native.active() == backend
    count = 0
    for case in [*CASES, *LARGER]:
        if case.batch:
            for choice in np.ndindex(len(DTYPES), 2, 2):
                check(case, DTYPES[choice[0]], bool(choice[1]), bool(choice[2]))
                count += 1
    print("fenced", count)


if __name__ == "__main__":
    overread() if sys.argv[1] == "overread" else main(sys.argv[1])
