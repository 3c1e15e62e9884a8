"""Adjoint: down again by the forward convolution. The size comes back, the values do not."""

from __future__ import annotations

import numpy as np

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.scene import Block, Film, Role, above, beside, glyph, shots
from tconv.explorer.sheets import inputs, plane
from tconv.explorer.trace import Trace


def film(trace: Trace) -> Film:
    back = trace.pairing.back
    up, down = planes("y = C^T x", trace.linear, Role.OUTPUT), planes("C y", back, Role.INPUT)
    size = float(np.linalg.norm(trace.x))
    away = float(np.linalg.norm(back - trace.x)) / size if size else 0.0
    says = f"C y has the size of x, but not its values: ||C y - x|| = {words.number(round(away, 2))} ||x||."
    if np.allclose(back, trace.x):
        says = "Here C y happens to be x."
    return shots("transposed, not inverse", [(beside(inputs(trace), glyph("→"), up, glyph("→"), down), says)])


def planes(name: str, array: Array, role: Role) -> Block:
    """One sheet per channel."""
    named = [name] if len(array) == 1 else [f"{name} [{channel}]" for channel in range(len(array))]
    return above(*(plane(title, each, role) for title, each in zip(named, array, strict=True)))
