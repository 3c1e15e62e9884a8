"""Which sizes a U-Net passes through, and how each level's upsampled map is made to fit its skip.

Down, on every level: the block takes a map of n cells and gives the skip, n - shrink; pooling by `stride` floors it.
Up: the transposed convolution, output_padding or a crop of the skip to make both equal, then the level's second block.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tconv import errors
from tconv.geometry import Axis, Forward, Geometry, Sizes
from tconv.geometry.arguments import Ints, integer, is_sequence, per_axis
from tconv.geometry.axis import LARGEST

DEEPEST = 100  # levels
COLUMNS = ("level", "input", "skip", "pooled", "up from", "up to", "output_padding", "crop skip", "joined", "output")


@dataclass(frozen=True)
class Level:
    """One level of a U-Net; every size is in cells, one per axis.

    Attributes:
        in_size: what the first block reads.
        skip: what it gives, the skip connection.
        pooled: what goes down to the next level.
        up_in: what comes up from the next level, the input of the transposed convolution.
        up_out: its output without output_padding.
        output_padding: what makes the output as large as the skip, where that is legal; else 0.
        crop: (lo, hi) cells to cut off the skip where output_padding cannot do it; negative: pad the skip by -lo, -hi.
        joined: the size of both, where they are concatenated.
        out: what the second block gives.
    """

    in_size: Sizes
    skip: Sizes
    pooled: Sizes
    up_in: Sizes
    up_out: Sizes
    output_padding: Sizes
    crop: tuple[tuple[int, int], ...]
    joined: Sizes
    out: Sizes


@dataclass(frozen=True)
class UNetPlan:
    """The sizes of a U-Net, made by `plan_unet`.

    Attributes:
        geometry: the transposed convolution, without output_padding.
        shrink: cells per axis that a block loses.
        levels: the full resolution first.
        bottom: what the lowest block gives, per axis.
    """

    geometry: Geometry
    shrink: Sizes
    levels: tuple[Level, ...]
    bottom: Sizes

    @property
    def in_size(self) -> Sizes:
        """Size of the input, per axis."""
        return self.levels[0].in_size

    @property
    def out_size(self) -> Sizes:
        """Size of the output, per axis."""
        return self.levels[0].out

    def geometries(self) -> tuple[Geometry, ...]:
        """The transposed convolution of each level, with its output_padding; the full resolution first."""
        return tuple(self.geometry.padded_by(level.output_padding) for level in self.levels)

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [COLUMNS]
        for number, level in enumerate(self.levels):
            sizes = (level.in_size, level.skip, level.pooled, level.up_in, level.up_out)
            fit = (_short(level.output_padding, ", "), _short([_said(crop) for crop in level.crop], ", "))
            rows.append((str(number), *map(_short, sizes), *fit, _short(level.joined), _short(level.out)))
        rows.append(("bottom", _short(self.levels[-1].pooled), *[""] * 7, _short(self.bottom)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
        shrink = f"; a block loses {_short(self.shrink)} cells" if any(self.shrink) else ""
        title = f"U-Net of depth {len(self.levels)}: {_short(self.in_size)} -> {_short(self.out_size)}"
        return "\n".join([f"{title}; up by {self.geometry}{shrink}", *table])


def plan_unet(
    size: Ints,
    depth: int,
    *,
    kernel: Ints = 2,
    stride: Ints = 2,
    padding: Ints = 0,
    shrink: Ints = 0,
) -> UNetPlan:
    """Plan the sizes of a U-Net for any input size.

    With shrink 0 and kernel - 2*padding = stride, as by default, the output is as large as the input.

    Args:
        size: cells of the input; an int, or one per axis.
        depth: how often it pools, the bottom not counted.
        kernel, stride, padding: of the transposed convolution, in PyTorch's parameters. Pooling has the same stride and
            a kernel as large, and floors.
        shrink: cells that a block (two convolutions, usually) loses: 0 for padded ones, 4 for two unpadded 3x3.

    Raises:
        InputSizeError: too small for this depth; the message names the smallest size that is not.
        LengthError, ArgumentTypeError, KernelError, StrideError, PaddingError: as their names say.
        SizeOverflowError: a size does not fit into 64 bits.

    >>> print(plan_unet(572, 4, shrink=4))
    U-Net of depth 4: 572 -> 388; up by 1-D: kernel 2, stride 2, dilation 1, crop (0, 0); a block loses 4 cells
     level  input  skip  pooled  up from  up to  output_padding  crop skip  joined  output
         0    572   568     284      196    392               0   (88, 88)     392     388
         1    284   280     140      100    200               0   (40, 40)     200     196
         2    140   136      68       52    104               0   (16, 16)     104     100
         3     68    64      32       28     56               0     (4, 4)      56      52
    bottom     32                                                                       28
    >>> plan_unet((101, 37), 3).out_size
    (101, 37)
    """
    arguments: tuple[Any, ...] = (size, kernel, stride, padding, shrink)
    ndim = max(len(value) if is_sequence(value) else 1 for value in arguments)
    sizes, lost = per_axis("size", size, ndim), per_axis("shrink", shrink, ndim)
    if not 1 <= integer("depth", depth) <= DEEPEST:
        raise errors.LengthError(f"depth {depth} must be at least 1 and at most {DEEPEST}")
    if min(lost) < 0:
        raise errors.PaddingError(f"shrink {lost} must not be negative; a block that keeps the size has shrink 0")
    geometry = Geometry.from_torch(kernel, stride, padding, ndim=ndim)
    for number, (n, axis, cells) in enumerate(zip(sizes, geometry.axes, lost, strict=True)):
        if n >= LARGEST:
            raise errors.SizeOverflowError(f"size {n} does not fit into 64 bits; give one below 2**62")
        if not _works(n, axis, cells, depth):
            where = f" on axis {number}" if ndim > 1 else ""
            raise errors.InputSizeError(f"size {n}{where} is too small for a U-Net{_cure(n, axis, cells, depth)}")
    return _plan(sizes, geometry, lost, depth)


def _plan(sizes: Sizes, geometry: Geometry, shrink: Sizes, depth: int) -> UNetPlan:
    """The plan; raises `EmptyOutputError` if a size falls below 1."""
    block = Forward(Geometry(tuple(cells + 1 for cells in shrink)))  # unpadded convolutions lose kernel - 1 cells
    pool = Forward(Geometry(geometry.stride, geometry.stride))
    down = []
    for _ in range(depth):
        skip = block.output_size(sizes)
        pooled = pool.output_size(skip)
        down.append((sizes, skip, pooled))
        sizes = pooled
    bottom = up = block.output_size(sizes)
    levels = []
    for in_size, skip, pooled in reversed(down):
        out = geometry.output_size(up)
        extra = tuple(map(_output_padding, geometry.axes, up, skip))
        joined = geometry.padded_by(extra).output_size(up)
        crop = tuple(map(_crop, skip, joined))
        levels.append(Level(in_size, skip, pooled, up, out, extra, crop, joined, block.output_size(joined)))
        up = levels[-1].out
    return UNetPlan(geometry, shrink, tuple(reversed(levels)), bottom)


def _output_padding(axis: Axis, up: int, skip: int) -> int:
    """What makes `up` cells as large as the skip, if that is legal, else 0."""
    return axis.output_padding_for(up, skip) if skip in axis.reachable(up) else 0


def _crop(skip: int, joined: int) -> tuple[int, int]:
    """What to cut off the skip, in the middle as far as it goes; negative where it is too small."""
    surplus = skip - joined
    half = abs(surplus) // 2
    return (half, surplus - half) if surplus >= 0 else (-half, surplus + half)


# sizes that are too small


def _works(size: int, axis: Axis, shrink: int, depth: int) -> bool:
    if size < 1:
        return False
    try:
        _plan((size,), Geometry.from_axes([axis]), (shrink,), depth)
    except errors.EmptyOutputError:
        return False
    return True


def _cure(size: int, axis: Axis, shrink: int, depth: int) -> str:
    """The smallest size that works, and the depth that this one allows. A larger size never fits worse."""
    sizes = range(max(size, 0) + 1, LARGEST // 4)
    smallest = bisect_left(sizes, True, key=lambda n: _works(n, axis, shrink, depth))
    if smallest == len(sizes):
        return f" of depth {depth}, as is every size that fits into 64 bits; give a smaller depth"
    shallower = next((d for d in range(depth - 1, 0, -1) if _works(size, axis, shrink, d)), None)
    cure = f", or depth {shallower}" if shallower else ""
    return f" of depth {depth} (stride {axis.stride}, a block loses {shrink}); give {sizes[smallest]} or more{cure}"


def _said(crop: tuple[int, int]) -> str:
    lo, hi = crop
    return f"pad ({-lo}, {-hi})" if hi < 0 else f"({lo}, {hi})" if hi else "0"


def _short(entries: Sequence[object], between: str = "x") -> str:
    """The common value where all axes agree, else all of them."""
    return between.join(map(str, entries if len(set(entries)) > 1 else entries[:1]))
