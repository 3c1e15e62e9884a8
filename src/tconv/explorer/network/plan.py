"""The sizes of a network's maps, and which cells of each of them one output sees; drawn and printed elsewhere.

Blocks are two convolutions of kernel 3. What an output sees is carried back through every layer as the first and the
last cell, axis by axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from tconv.explorer import words
from tconv.geometry import Axis, Forward, Geometry, Sizes
from tconv.geometry.forward import Span, behind_convolution, behind_transposed
from tconv.unet_plan import plan_unet

FCNS = {"FCN-8s": (2, 2, 8), "FCN-16s": (2, 16), "FCN-32s": (32,)}  # strides of their transposed convolutions
KINDS = ("U-Net", *FCNS)
HALVINGS = 5  # of an FCN
PADDED = Axis(5, 1, 1, 2, 2)  # a block of padded convolutions, as one that sees as much
UNPADDED = Axis(5)

Seen: TypeAlias = tuple[Span | None, ...]  # per axis; None: nothing


class Up(NamedTuple):
    """A transposed convolution and what it gives.

    Attributes:
        layer: with its output_padding.
        at: the size of what it reads.
        plain: the size of what it gives without output_padding.
        out: with it.
    """

    layer: Geometry
    at: Sizes
    plain: Sizes
    out: Sizes


class Level(NamedTuple):
    """One resolution of a network.

    Attributes:
        down: size of the map on the way down, after its block; of a U-Net, the skip.
        pooled: what goes down from there.
        up: the layer that comes back to this resolution, if one does.
        crop: (lo, hi) cells per axis that the skip is cut by where output_padding cannot make both equal.
        says: what becomes of the two, in a few words.
        repaired, misfit: output_padding, or a crop, was needed.
    """

    down: Sizes
    pooled: Sizes
    up: Up | None
    crop: tuple[tuple[int, int], ...]
    says: str
    repaired: bool = False
    misfit: bool = False


class Fields(NamedTuple):
    """What one output sees: of each level's map on the way down and up, of the bottom, and of the image."""

    down: tuple[Seen, ...]
    up: tuple[Seen | None, ...]
    bottom: Seen
    image: Seen


@dataclass(frozen=True)
class Network:
    """A network for images of one size; made by `unet` or `fcn`.

    Attributes:
        kind: one of `KINDS`.
        title: what it is, in a line.
        size: of the image, per axis.
        padded: of the image after its edge was repeated, for an FCN.
        levels: the full resolution first.
        bottom: size of the coarsest map.
        out: size of the result.
        block: a block on one axis.
        layer: of a U-Net, its transposed convolution without output_padding.
    """

    kind: str
    title: str
    size: Sizes
    padded: Sizes
    levels: tuple[Level, ...]
    bottom: Sizes
    out: Sizes
    block: Axis = PADDED
    layer: Geometry | None = None

    def fields(self, cell: Sizes) -> Fields:
        """What the output at `cell` sees."""
        trace = _behind_unet if self.kind == "U-Net" else _behind_fcn
        axes = [trace(self, axis, o) for axis, o in enumerate(cell)]
        levels = range(len(self.levels))
        return Fields(
            tuple(tuple(each.down[n] for each in axes) for n in levels),
            tuple(None if self.levels[n].up is None else tuple(each.up[n] for each in axes) for n in levels),
            tuple(each.bottom for each in axes),
            tuple(each.image for each in axes),
        )


def unet(size: Sizes, depth: int, kernel: Sizes, stride: Sizes, padding: Sizes, unpadded: bool) -> Network:
    """A U-Net whose maps come back by transposed convolutions of this kernel, stride and padding.

    Raises:
        As `plan_unet`.
    """
    plan = plan_unet(size, depth, kernel=kernel, stride=stride, padding=padding, shrink=4 * unpadded)
    levels = []
    for level, layer in zip(plan.levels, plan.geometries(), strict=True):
        misfit, repaired = any(map(any, level.crop)), any(level.output_padding)
        up = Up(layer, level.up_in, level.up_out, level.joined)
        says = _per_axis([_repair(*each) for each in zip(level.output_padding, level.crop, strict=True)])
        levels.append(Level(level.skip, level.pooled, up, level.crop, says, repaired, misfit))
    blocks = ", unpadded blocks" if unpadded else ""
    by = f"kernel {_axes(kernel)}, stride {_axes(stride)}, padding {_axes(padding)}"
    title = f"U-Net of depth {depth}, {by}{blocks}: input {words.by(size)}, output {words.by(plan.out_size)}"
    bottom = plan.levels[-1].pooled
    block = UNPADDED if unpadded else PADDED
    return Network("U-Net", title, size, size, tuple(levels), bottom, plan.out_size, block, plan.geometry)


def fcn(kind: str, size: Sizes) -> Network:
    """A fully convolutional network: five halvings, and up again in one to three steps of kernel 2s and stride s.

    Source: Long, Shelhamer, Darrell, "Fully convolutional networks for semantic segmentation", arXiv:1411.4038.
    """
    coarsest = 2**HALVINGS
    padded = tuple(-(-n // coarsest) * coarsest for n in size)
    half = Forward(Geometry((2,) * len(size), 2))
    maps = [padded]
    for _ in range(HALVINGS):
        maps.append(half.output_size(maps[-1]))
    levels = [Level(down, pooled, None, (), "") for down, pooled in pairwise(maps)]
    at, level = maps[-1], HALVINGS
    for s in FCNS[kind]:
        layer = Geometry.from_torch(2 * s, s, s // 2, ndim=len(size))
        out, level = layer.output_size(at), level - (s.bit_length() - 1)
        says = "scores added" if level else "fits" if padded == size else f"cropped to {words.by(size)}"
        repaired = level == 0 and padded != size
        levels[level] = levels[level]._replace(up=Up(layer, at, out, out), says=says, repaired=repaired)
        at = out
    extended = "" if padded == size else f", extended to {words.by(padded)}"
    title = f"{kind}: input {words.by(size)}{extended}, output {words.by(size)}"
    return Network(kind, title, size, padded, tuple(levels), maps[-1], size)


class _Line(NamedTuple):
    """`Fields` on one axis."""

    down: list[Span | None]
    up: list[Span | None]
    bottom: Span | None
    image: Span | None


def _behind_unet(net: Network, axis: int, o: int) -> _Line:
    ups, skips = list[Span | None](), list[Span | None]()
    wanted: Span | None = (o, o)
    for level in net.levels:
        assert level.up is not None
        joined = _through_block(net.block, wanted, level.up.out[axis])
        ups.append(joined)
        lo = level.crop[axis][0]
        skips.append(_clipped(joined and (joined[0] + lo, joined[1] + lo), level.down[axis]))
        layer = level.up.layer.axes[axis]
        wanted = joined and behind_transposed(layer, joined, level.up.at[axis])
    bottom = below = _through_block(net.block, wanted, net.bottom[axis])
    image = None
    for n in reversed(range(len(net.levels))):
        level = net.levels[n]
        assert level.up is not None
        stride = level.up.layer.axes[axis].stride
        skips[n] = _hull(skips[n], below and behind_convolution(Axis(stride, stride), below))
        before = level.down[axis] + (4 if net.block == UNPADDED else 0)
        below = image = _through_block(net.block, skips[n], before)
    return _Line(skips, ups, bottom, image)


def _behind_fcn(net: Network, axis: int, o: int) -> _Line:
    sizes = [*(level.down[axis] for level in net.levels), net.bottom[axis]]
    down: list[Span | None] = [None] * len(sizes)
    ups: list[Span | None] = [None] * len(net.levels)
    wanted: Span | None = (o, o)
    found = [n for n, level in enumerate(net.levels) if level.up is not None]
    for n, coarser in zip(found, [*found[1:], HALVINGS], strict=True):
        up = net.levels[n].up
        assert up is not None
        ups[n] = wanted
        wanted = wanted and behind_transposed(up.layer.axes[axis], wanted, up.at[axis])
        down[coarser] = wanted  # its scores are made of this map alone, cell by cell
    for n in reversed(range(len(net.levels))):
        pooled = down[n + 1]
        wide = pooled and behind_convolution(Axis(2, 2), pooled)
        down[n] = _hull(down[n], _through_block(net.block, wide, sizes[n]))
    first = down[0]
    last = net.size[axis] - 1  # what lies beyond repeats this cell
    image = first and (min(first[0], last), min(first[1], last))
    return _Line(down[:-1], ups, down[-1], image)


def _through_block(block: Axis, span: Span | None, size: int) -> Span | None:
    return span and behind_convolution(block, span, size)


def _clipped(span: Span | None, size: int) -> Span | None:
    if span is None or span[1] < 0 or span[0] >= size:
        return None
    return max(span[0], 0), min(span[1], size - 1)


def _hull(one: Span | None, other: Span | None) -> Span | None:
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


def _axes(entries: Sequence[int]) -> str:
    """The common value where all axes agree."""
    return words.by(entries if len(set(entries)) > 1 else entries[:1])


def _repair(output_padding: int, crop: tuple[int, int]) -> str:
    """What makes both equal on one axis; a negative crop extends the skip."""
    lo, hi = crop
    if hi:
        return f"crop the skip by {lo} and {hi}" if hi > 0 else f"pad the skip by {-lo} and {-hi}"
    return f"output_padding {output_padding}" if output_padding else "fits"


def _per_axis(said: Sequence[str]) -> str:
    """What is said of all axes, or of each."""
    return said[0] if len(set(said)) == 1 else "; ".join(f"axis {n}: {text}" for n, text in enumerate(said))
