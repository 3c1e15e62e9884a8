"""Kernels and codes as pictures: every kernel a tile, blue where it takes away, red where it adds, as in the demo's
poster."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from tconv import errors
from tconv.arrays import Array

if TYPE_CHECKING:
    from PIL.Image import Image

PAPER, INK, QUIET = "#fcfbf8", "#1d1d1f", "#77757a"
NEGATIVE, ZERO, POSITIVE = np.array([38.0, 84.0, 148.0]), np.array([244.0, 242.0, 236.0]), np.array([184.0, 67.0, 15.0])
GAP, MARGIN = 6, 24
TILE = 72  # pixels of a kernel's longer side, about


def sheet(kernels: Array, columns: int | None = None, order: Array | None = None) -> Image:
    """All kernels on one sheet.

    Args:
        kernels: (kernels, channels, height, width), of one channel, or of three, which are drawn as colours; or
            (kernels, channels, length), drawn as one row per channel.
        columns: tiles of a row; default: about as many as rows.
        order: of the kernels, such as by how much they are used; default as they are.

    Raises:
        RankError: kernels of more than two axes.
    """
    from PIL import Image

    if kernels.ndim not in (3, 4):
        raise errors.RankError(
            f"kernels have shape {kernels.shape}; a sheet shows (kernels, channels, height, width) or (kernels, "
            f"channels, length): cut volumes into slices"
        )
    if kernels.ndim == 3:
        kernels = kernels[:, None]
    chosen = kernels if order is None else kernels[order]
    count = len(chosen)
    columns = columns or ceil(count**0.5 * 1.4)
    tiles = [coloured(kernel) for kernel in chosen]
    height, width = tiles[0].shape[:2]
    scale = max(1, round(TILE / max(height, width)))
    height, width = height * scale, width * scale
    rows = ceil(count / columns)
    size = (2 * MARGIN + columns * (width + GAP) - GAP, 2 * MARGIN + rows * (height + GAP) - GAP)
    page = Image.new("RGB", size, PAPER)
    for n, tile in enumerate(tiles):
        at = (MARGIN + n % columns * (width + GAP), MARGIN + n // columns * (height + GAP))
        page.paste(Image.fromarray(tile).resize((width, height), Image.Resampling.NEAREST), at)
    return page


def coloured(kernel: Array) -> Array:
    """A kernel (channels, height, width) as colours (height, width, 3), uint8, of a scale of its own.

    Three channels are red, green and blue about grey; another number of channels is drawn below one another.
    """
    values = kernel.astype(np.float64)
    largest = float(np.abs(values).max()) or 1.0
    if len(values) == 3:
        return np.rint(127.5 + 127.5 * np.moveaxis(values, 0, -1) / largest).astype(np.uint8)
    flat = values.reshape(-1, values.shape[-1])[..., None] / largest
    strength = np.abs(flat)
    mixed: Array = ZERO * (1 - strength) + np.where(flat > 0, POSITIVE, NEGATIVE) * strength
    return np.rint(mixed).astype(np.uint8)


def activity(codes: Array) -> Array:
    """Where atoms are, for codes (kernels, height, width): (height, width), uint8, the darker the more there is."""
    strength = np.abs(codes).sum(axis=0)
    largest = float(np.quantile(strength[strength > 0], 0.99)) if strength.any() else 1.0
    shade = np.clip(strength / largest, 0, 1)[..., None] ** 0.7
    ink = np.array([29.0, 29.0, 31.0])
    mixed: Array = ZERO * (1 - shade) + ink * shade
    return np.rint(mixed).astype(np.uint8)
