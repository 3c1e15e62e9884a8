"""Memory for large results, used again when the tensor that lay in it is gone.

Fresh memory is fetched from the system page by page and filled with zeros: for a result of 64 MB that takes as long as
computing it. What a model has finished with is kept for its next result.
"""

from __future__ import annotations

import weakref
from math import prod
from typing import Any

import numpy as np

from tconv.arrays import Array, Shape

LEAST = 2**20  # bytes from which on a result is worth it
KEPT = 2**29  # bytes that are kept at most while nobody uses them

_free: dict[int, Array] = {}  # by id, oldest first; one operation at a time, so that threads need no lock


def empty(shape: Shape, dtype: np.dtype[Any], channel: int | None = None) -> Array:
    """An array as numpy.empty's; with `channel`, that axis is the last one in memory.

    Its memory is lent out again as soon as the array itself is gone: whoever keeps a view of it must keep the array,
    as torch.from_numpy does.
    """
    order = [axis for axis in range(len(shape)) if axis != channel] + ([] if channel is None else [channel])
    size = prod(shape) * dtype.itemsize
    buffer = _taken(size) if size >= LEAST else None
    if buffer is None:
        buffer = np.empty(size, np.uint8)
    ordered = buffer[:size].view(dtype).reshape([shape[axis] for axis in order])
    array = ordered.transpose(np.argsort(order))
    if size >= LEAST:
        weakref.finalize(array, _give_back, buffer).atexit = False
    return array


def _taken(size: int) -> Array | None:
    """The smallest free buffer for `size` bytes that is not much too large."""
    fitting = [(buffer.size, key) for key, buffer in list(_free.items()) if size <= buffer.size <= size + size // 4]
    return _free.pop(min(fitting)[1], None) if fitting else None


def _give_back(buffer: Array) -> None:
    _free[id(buffer)] = buffer
    while sum(each.size for each in list(_free.values())) > KEPT:
        for oldest in list(_free)[:1]:
            _free.pop(oldest, None)
