"""What is said about a network, in pictures and in text alike: step by step, and what one output sees."""

from __future__ import annotations

from collections.abc import Sequence

from tconv.explorer import words
from tconv.explorer.network.plan import Level, Network, Seen
from tconv.geometry import Sizes
from tconv.geometry.forward import Span


def down(net: Network, n: int) -> str:
    """What happens at a level on the way down."""
    level = net.levels[n]
    begins = f"The input has {words.by(net.size)} cells. " if n == 0 else ""
    if net.padded != net.size and n == 0:
        begins = f"{words.by(net.size)} is no multiple of 32: repeating the edge makes it {words.by(net.padded)}. "
    kept = "the skip has" if net.kind == "U-Net" else "the map has"
    floored = ", as pooling floors" if _floors(net, level) else ""
    return f"{begins}Down from level {n}: {kept} {words.by(level.down)}, pooled to {words.by(level.pooled)}{floored}."


def up(net: Network, n: int) -> str:
    """How the maps come back to a level."""
    level = net.levels[n]
    assert level.up is not None
    comes = f"Up to level {n}: {words.by(level.up.at)} comes back as {words.by(level.up.plain)}"
    if net.kind != "U-Net":
        layer = level.up.layer.axes[0]
        by = f", by kernel {layer.kernel}, stride {layer.stride}, padding {layer.crop_lo}"
        return f"{comes}{by}; {level.says if level.says != 'fits' else 'the size of the image'}."
    return f"{comes}, the skip has {words.by(level.down)}: {level.says}."


def sees(net: Network, cell: Sizes, image: Seen) -> str:
    """Which cells of the image an output depends on."""
    if None in image:
        return f"Output cell {_place(cell)} sees nothing of the image."
    spans = [span for span in image if span is not None]
    if len(spans) == 1:
        (first, last), (size,) = spans[0], net.size
        return f"Output cell {cell[0]} sees the input cells {first} to {last}, {last - first + 1} of {size}."
    cells = " x ".join(f"{first} to {last}" for first, last in spans)
    counts = words.by([last - first + 1 for first, last in spans])
    return f"Output cell {_place(cell)} sees the input cells {cells}, {counts} of {words.by(net.size)}."


def summary(net: Network) -> str:
    """Whether all sizes come back, and what repairs those that do not."""
    if net.kind != "U-Net":
        if net.padded == net.size:
            return f"{words.by(net.size)} is a multiple of 32, and comes back as it is."
        return (
            f"{words.by(net.size)} is no multiple of 32: its edge is repeated up to {words.by(net.padded)}, and the "
            f"result is cropped."
        )
    odd = [level for level in net.levels if level.repaired or level.misfit]
    if not odd:
        return f"Every size comes back by itself on all {len(net.levels)} levels."
    return (
        f"On {len(odd)} of {len(net.levels)} levels the size does not come back by itself; output_padding or a crop of "
        f"the skip repairs it."
    )


def interval(seen: Seen) -> str:
    """`3 to 17`, per axis; `nothing`."""
    if None in seen:
        return "nothing"
    return " x ".join(_span(span) for span in seen if span is not None)


def _span(span: Span) -> str:
    return f"{span[0]} to {span[1]}"


def _place(cell: Sequence[int]) -> str:
    return f"[{','.join(map(str, cell))}]"


def _floors(net: Network, level: Level) -> bool:
    """Whether pooling leaves a cell out; an FCN's maps are multiples of 2."""
    return net.layer is not None and any(n % stride for n, stride in zip(level.down, net.layer.stride, strict=True))
