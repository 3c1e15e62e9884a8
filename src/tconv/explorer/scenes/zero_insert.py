"""The four steps: zeros between, zeros around, the kernel flipped, an ordinary convolution at stride 1."""

from __future__ import annotations

from collections.abc import Iterator

from tconv.explorer import words
from tconv.explorer.scene import Block, Film, Role, above, beside, glyph, shots
from tconv.explorer.scenes.gather import fullest, says
from tconv.explorer.sheets import Look, Looks, kernels, outputs, sheet
from tconv.explorer.trace import Trace
from tconv.geometry import Sizes


def film(trace: Trace, title: str = "four steps: insert zeros, pad, flip the kernel, convolve") -> Film:
    return shots(title, _frames(trace), fullest(trace))


def _frames(trace: Trace) -> Iterator[tuple[Block, str]]:
    for n, each in enumerate(trace.sums):
        taps = {(p.channel, each.channel, *_flipped(trace, p.k)) for p in each.products}
        y = outputs(trace, [(each.channel, *each.o)], until=n + 1)
        board = beside(_padded(trace, each.o), glyph("·"), kernels(trace, taps, flipped=True), glyph("="), y)
        yield board, says(trace, each)


def _flipped(trace: Trace, k: Sizes) -> Sizes:
    return tuple(size - 1 - at for size, at in zip(trace.geometry.kernel, k, strict=True))


def _padded(trace: Trace, o: Sizes) -> Block:
    """The padded input, with the kernel's window where it makes output o."""
    steps, axes = trace.steps, trace.geometry.axes
    window = tuple(range(at, at + axis.extent) for axis, at in zip(axes, o, strict=True))
    taps = tuple(each[:: axis.dilation] for axis, each in zip(axes, window, strict=True))

    def look(channel: int) -> Looks:
        def cell(p: Sizes) -> Look:
            read = all(n in each for n, each in zip(p, taps, strict=True))
            if steps.given[p]:
                return Look(words.number(steps.padded[(channel, *p)]), Role.INPUT, lit=read)
            return Look("0", Role.ZERO, lit=read)

        return cell

    shape, frames = steps.padded.shape[1:], [(window, Role.KERNEL)]
    titles = ["x with zeros"] if len(trace.x) == 1 else [f"x[{c}] with zeros" for c in range(len(trace.x))]
    return above(*(sheet(title, shape, look(c), Role.INPUT, frames) for c, title in enumerate(titles)))
