"""Phases: outputs of one residue share their taps; each phase is a small convolution, and they interleave."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.scene import Block, Film, Role, above, beside, glyph, shots
from tconv.explorer.sheets import Look, Looks, inputs, sheet
from tconv.explorer.trace import Trace
from tconv.geometry import Sizes


def film(trace: Trace) -> Film:
    return shots(f"phases: stride {words.by(trace.geometry.stride)} makes interleaved parts", _frames(trace))


def _frames(trace: Trace) -> Iterator[tuple[Block, str]]:
    owner = np.zeros(trace.out_size, np.int64)
    taps = np.zeros(trace.geometry.kernel, np.int64)
    for n, part in enumerate(trace.parts):
        owner[part.outputs] = n
        for k, _ in part.phase.taps():
            taps[k] = n
    for n, part in enumerate(trace.parts):
        count = len(part.phase.taps())
        does = f"is a convolution with {count} tap{'s' * (count > 1)}." if count else "has no tap: holes."
        yield _board(trace, owner, taps, n), f"Phase {n}: y[{words.cut(part.outputs)}] {does}"
    yield _board(trace, owner, taps, None), "Together they are the whole output; no zero was inserted."


def _board(trace: Trace, owner: Array, taps: Array, now: int | None) -> Block:
    """Kernel and output in the colours of their phases; `now` is lit, and later ones are not yet computed."""

    def cells(plane: Array, phase: Array, waits: bool) -> Looks:
        def cell(at: Sizes) -> Look:
            text = "" if waits and now is not None and phase[at] > now else words.number(plane[at])
            return Look(text, Role.PHASE, int(phase[at]), phase[at] == now)

        return cell

    pairs = [pair for pair in np.ndindex(trace.weight.shape[:2]) if trace.connects(*pair)]
    kernels = above(
        *(
            sheet(f"w{list(pair)}" if len(pairs) > 1 else "w kernel", taps.shape, cells(w, taps, False), Role.KERNEL)
            for pair in pairs
            for w in [trace.weight[pair]]
        )
    )
    results = above(
        *(
            sheet(f"y[{c}]" if len(trace.y) > 1 else "y output", owner.shape, cells(y, owner, True), Role.OUTPUT)
            for c, y in enumerate(trace.linear)
        )
    )
    return beside(inputs(trace), glyph("·"), kernels, glyph("→"), results)
