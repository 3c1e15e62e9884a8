"""An activation sent back from a piece of the image around its field: the same, and quicker where the field is small.

All that an activation depends on lies in its field, and so does all that it depends on on the way. So a piece of the
image that holds the field gives the same projection, if the maps of the piece fall on the same pixels. Pieces begin at
multiples of 64, which most networks' strides divide; whether the piece has the same activation, with the same field, is
checked each time, and where it has not, the whole image is gone through.
"""

from __future__ import annotations

from math import isclose, log2
from typing import Any

from torch import Tensor, nn

from tconv.geometry import Sizes
from tconv.geometry.forward import Span
from tconv.insight.fields import Field
from tconv.insight.projecting import Seen, observe

STEP = 64  # pixels
SMALLER = 3  # a piece is tried where it has less than this part of the image's pixels


def sent_back(
    model: nn.Module, module: nn.Module, call: int, image: Tensor, seen: Seen, place: tuple[int, ...], method: str
) -> tuple[Field, Tensor]:
    """The field of the activation at (channel, *position), and the projection within it, (channels, *field).

    Args:
        image: (1, channels, *size), as the model takes it.
        seen: the layer's result for it.
    """
    where = seen.field((0, *place))
    piece = _piece(where, tuple(image.shape[2:]))
    found = None if piece is None else _from_piece(model, module, call, image, seen, place, method, where, piece)
    if found is None:
        inside: Any = (0, slice(None), *where.slices)
        found = seen.back([place], method)[inside]
    return where, found


def _piece(where: Field, size: Sizes) -> tuple[Span, ...] | None:
    """Start and stop of the piece on each axis; None if it is hardly smaller than the image."""
    if where.through:
        return None
    spans, share = [], 1.0
    for (first, last), n in zip(where.spans, size, strict=True):
        start, stop = max(0, first) // STEP * STEP, min(n, -(-(last + 1) // STEP) * STEP)
        spans.append((start, stop))
        share *= (stop - start) / n
    return tuple(spans) if 0 < share * SMALLER < 1 else None


def _from_piece(
    model: nn.Module,
    module: nn.Module,
    call: int,
    image: Tensor,
    seen: Seen,
    place: tuple[int, ...],
    method: str,
    where: Field,
    piece: tuple[Span, ...],
) -> Tensor | None:
    """The projection within the field, or None where the piece does not have the same activation."""
    position = []
    for at, (start, _), n, cells in zip(place[1:], piece, image.shape[2:], seen.output.shape[2:], strict=True):
        pixels_per_cell = 2.0 ** round(log2(n / cells))
        position.append(at - round(start / pixels_per_cell))
    cut: Any = (slice(None), slice(None), *(slice(*span) for span in piece))
    try:
        part = observe(model, image[cut], seen.name, module, call)
    except ValueError:  # too small for the model, or not of the size that it insists on
        return None
    there = (place[0], *position)
    if any(not 0 <= at < n for at, n in zip(there, part.output.shape[1:], strict=True)):
        return None
    field = part.field((0, *there))
    moved = tuple((a + start, b + start) for (a, b), (start, _) in zip(field.spans, piece, strict=True))
    value, expected = (float(each.detach()) for each in (part.output[(0, *there)], seen.output[(0, *place)]))
    if moved != where.spans or field.through or not isclose(value, expected, rel_tol=1e-3, abs_tol=1e-6):
        return None
    inside: Any = (0, slice(None), *field.slices)
    return part.back([there], method)[inside]
