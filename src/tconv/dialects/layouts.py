"""Where the channels of an array stand; shared by the dialects that put them last."""

from __future__ import annotations

from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array, as_array


def from_channels_last(x: Any) -> Array:
    """(batch, *size, channels), Keras's "channels_last" and Flax's only layout, as (batch, channels, *size); a view.

    Raises:
        RankError: fewer than 3 dimensions.

    >>> from_channels_last(np.zeros((1, 5, 6, 3))).shape
    (1, 3, 5, 6)
    """
    return np.moveaxis(ranked("input", x, "(batch, *size, channels)"), -1, 1)


def to_channels_last(x: Any) -> Array:
    """(batch, channels, *size) as (batch, *size, channels); a view. Raises `RankError` below 3 dimensions."""
    return np.moveaxis(ranked("input", x, "(batch, channels, *size)"), 1, -1)


def ranked(name: str, value: Any, layout: str) -> Array:
    """`value` as an array that can have this layout: two axes and at least one spatial axis."""
    array = as_array(name, value)
    if array.ndim < 3:
        raise errors.RankError(f"{name} has shape {array.shape}; it must be {layout}, 3 dimensions or more")
    return array
