"""Which cells, columns and phases a block computes."""

import triton
import triton.language as tl


@triton.jit
def strides_of(b, c, s0, s1, s2, UNIT: tl.constexpr, NEAR: tl.constexpr, SCALED: tl.constexpr, WIDE: tl.constexpr):
    """Strides of batch, channel and axes, from their units; but those of the axes in units still, if not `SCALED`.

    That of the batch has 64 bits in any case, the others if `WIDE`: where they have 32, all products with them fit.
    """
    if WIDE:
        c, s0, s1, s2 = c.to(tl.int64), s0.to(tl.int64), s1.to(tl.int64), s2.to(tl.int64)
    b = b.to(tl.int64) * UNIT
    c = c * 0 + 1 if NEAR == "channel" else c * UNIT
    if SCALED:
        s0 = s0 * UNIT
        s1 = s1 * UNIT
        s2 = s2 * 0 + 1 if NEAR == "place" else s2 * UNIT
    return b, c, s0, s1, s2


@triton.jit
def tile_of(block, tiles_m, tiles_n, GROUP: tl.constexpr):
    """Tile of cells and tile of columns of a block: columns vary fastest, within groups of tiles of cells."""
    if GROUP == 1:
        m = block // tiles_n
        n = block % tiles_n
    else:
        width = GROUP * tiles_n
        first = block // width * GROUP
        size = tl.minimum(tiles_m - first, GROUP)
        m = first + block % width % size
        n = block % width // size
    return m, n


@triton.jit
def cells_of(
    tile, LANES: tl.constexpr, WOVEN: tl.constexpr, PATCH: tl.constexpr, q0, q1, q2, batch, NDIM: tl.constexpr
):
    """Image and cell of each of `LANES` lanes of a tile, and whether there is one.

    With `WOVEN` above 1 that many neighbouring lanes belong to one cell, and the index on the last axis counts lanes.
    """
    lane = tl.arange(0, LANES)
    width = q2 * WOVEN
    if PATCH == 0:
        at = tile * LANES + lane
        live = at < batch * q0 * q1 * width
        c2 = at % width
        at = at // width
        if NDIM > 1:
            c1 = at % q1
            at = at // q1
        else:
            c1 = at * 0
        if NDIM > 2:
            c0 = at % q0
            at = at // q0
        else:
            c0 = at * 0
        image = at
    else:
        WIDE: tl.constexpr = PATCH * WOVEN
        HIGH: tl.constexpr = LANES // WIDE
        over = tl.cdiv(q2, PATCH)
        down = tl.cdiv(q1, HIGH)
        c2 = tile % over * WIDE + lane % WIDE
        c1 = tile // over % down * HIGH + lane // WIDE
        plane = tile // over // down + lane * 0
        live = (c1 < q1) & (c2 < width)
        image, c0 = plane // q0, plane % q0
    return image, c0, c1, c2, live


@triton.jit
def phase_of(phase, AXIS: tl.constexpr):
    """Of a phase with blocks of its own: which input its first cell reads, its first tap, and how many taps.

    As `own_phase` in axes.py; the sums are not negative, so that divisions round down. With the phases together: the
    same of all of them, but for the phase itself, which is added to the tap where columns are looked at.
    """
    if AXIS.together:
        start = phase * 0 + AXIS.shift
        first = phase * 0
        taps = phase * 0 + AXIS.most
    else:
        carried = (phase + AXIS.rest) // AXIS.stride
        residue = (phase + AXIS.rest) % AXIS.stride
        first = residue // AXIS.common * AXIS.inverse % AXIS.every
        taps = tl.maximum(AXIS.kernel - first + AXIS.every - 1, 0) // AXIS.every
        if AXIS.common > 1:
            taps = tl.where(residue % AXIS.common == 0, taps, 0)
        start = AXIS.shift + carried - AXIS.dilation * first // AXIS.stride
    return start, first, taps


@triton.jit
def columns_of(column, outs, A0: tl.constexpr, A1: tl.constexpr, A2: tl.constexpr, JOINED: tl.constexpr):
    """Output channel of the group, and phase on each axis, of columns in the order (phases, channel, joined phases).

    With `JOINED` above 1 columns come without the joined phases, which are then the lanes' business.
    """
    channel = column % outs
    rest = column // outs
    a0 = rest * 0
    a1 = rest * 0
    a2 = rest * 0
    if A2.together and JOINED == 1:
        a2 = rest % A2.stride
        rest = rest // A2.stride
    if A1.together:
        a1 = rest % A1.stride
        rest = rest // A1.stride
    if A0.together:
        a0 = rest
    return channel, a0, a1, a2
