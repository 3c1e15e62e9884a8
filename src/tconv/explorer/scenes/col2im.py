"""col2im: a table of all products, and the fold that adds each row to the output."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.scene import Block, Film, Role, beside, glyph, shots
from tconv.explorer.sheets import Look, sheet
from tconv.explorer.trace import Trace
from tconv.geometry import Sizes


def film(trace: Trace) -> Film:
    """Of the first output channel."""
    return shots("col2im: all products at once, then fold", _frames(trace))


def _frames(trace: Trace) -> Iterator[tuple[Block, str]]:
    shape = (prod(trace.geometry.kernel), prod(trace.in_size))
    products = trace.column.products[0].reshape(shape)
    goes_to = trace.column.goes_to.reshape(shape)
    sums = np.zeros((shape[0], prod(trace.out_size)), products.dtype)  # after each row
    for row, k in enumerate(np.ndindex(trace.geometry.kernel)):
        kept = goes_to[row] >= 0
        hit = goes_to[row][kept]
        sums[row:, hit] += products[row][kept]

        def product(at: Sizes, row: int = row) -> Look:
            role = Role.CANVAS if goes_to[at] >= 0 else Role.CROPPED
            return Look(words.number(products[at]), role, lit=at[0] == row)

        def folded(o: Sizes, total: Array = sums[row], hit: Array = hit) -> Look:
            flat = np.ravel_multi_index(o, trace.out_size)
            return Look(words.number(total[flat]), Role.OUTPUT, lit=bool(flat in hit))

        table = sheet("products: taps by inputs", shape, product, Role.KERNEL)
        y = sheet("y, folded", trace.out_size, folded, Role.OUTPUT)
        says = f"Row {row}, {words.name('w', k)} times every input, is added to {len(hit)} outputs."
        yield beside(table, glyph("→"), y), says
