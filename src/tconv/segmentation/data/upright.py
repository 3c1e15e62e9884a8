"""Turning pixels as their file says that they are to be shown: the orientation of EXIF and TIFF, 1 to 8.

Source: TIFF 6.0 and EXIF 2.3, tag 274.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tconv.arrays import Array

ORIENTATION = 274  # the tag
SIDEWAYS = (5, 6, 7, 8)  # that exchange height and width


def upright(pixels: Array, orientation: int) -> Array:
    """(height, width, ...) as it is shown; for 5 to 8 height and width are exchanged."""
    if orientation in SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    down = slice(None, None, -1) if orientation in (3, 4, 7, 8) else slice(None)
    across = slice(None, None, -1) if orientation in (2, 3, 6, 7) else slice(None)
    return np.ascontiguousarray(pixels[down, across])


def understood(value: Any) -> int:
    """An orientation as files have it, which may be anything; 1, as it is stored, where it means nothing."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
