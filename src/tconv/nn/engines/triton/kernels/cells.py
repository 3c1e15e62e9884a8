"""The way of the cells: a matrix product of cells with columns, summed over taps and channels."""

import triton
import triton.language as tl

from tconv.nn.engines.triton.kernels.finishing import finish
from tconv.nn.engines.triton.kernels.placing import cells_of, columns_of, phase_of, strides_of, tile_of


@triton.jit
def meets(live, i, tap, size, A: tl.constexpr):
    """Lanes whose place on an axis lies in the input for this tap."""
    if not A.inside:
        live = live & (i - tap * A.step >= 0) & (i - tap * A.step < size)
    return live


@triton.jit
def has_tap(exists, phase, tap, A: tl.constexpr):
    """Columns whose phase has this tap."""
    if A.lacking:
        exists = exists & (phase + tap * A.every < A.kernel)
    return exists


@triton.jit
def offset_of(i0, i1, i2, strides, NDIM: tl.constexpr, WIDE: tl.constexpr):
    """How far a place lies from the first of its image, in the units of the strides."""
    if WIDE:
        i0, i1, i2 = i0.to(tl.int64), i1.to(tl.int64), i2.to(tl.int64)
    offset = i2 * strides[4]
    if NDIM > 1:
        offset += i1 * strides[3]
    if NDIM > 2:
        offset += i0 * strides[2]
    return offset


@triton.jit
def summed(
    x, w, part, group, ins, pitch, outs, size, own, tile_m, tile_n, q, batch, strides,
    A0: tl.constexpr, A1: tl.constexpr, A2: tl.constexpr, NDIM: tl.constexpr, PATCH: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, JOINED: tl.constexpr, COLUMNS: tl.constexpr,
    SPLIT: tl.constexpr, EVEN: tl.constexpr, PRECISION: tl.constexpr, SCALE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The sums (cells, columns) of one tile and phase, or a part of them.

    Taps and pieces of channels are one loop, so that loads of the next tap are under way while one is multiplied. A
    place beyond the input counts as zeros, and the address of its load lies within the image all the same. The strides
    of the axes come in units of `SCALE`, by which an offset is multiplied last, where the compiler sees it.
    """
    image, c0, c1, c2, live = cells_of(tile_m, BM, 1, PATCH, q[0], q[1], q[2], batch, NDIM)
    start0, first0, taps0 = phase_of(own[0], A0)
    start1, first1, taps1 = phase_of(own[1], A1)
    start2, first2, taps2 = phase_of(own[2], A2)
    i0, i1, i2 = c0 + start0, c1 + start1, c2 + start2
    rows = offset_of(i0, i1, i2, strides, NDIM, WIDE)
    images = x + image.to(tl.int64) * strides[0] + group.to(tl.int64) * ins * strides[1]

    column = tile_n * BN + tl.arange(0, BN)
    exists = column < outs * COLUMNS
    channel, a0, a1, a2 = columns_of(column // JOINED, outs, A0, A1, A2, JOINED)
    if JOINED > 1:
        a2 = column % JOINED
    taps = (a0 * A1.kernel + a1) * A2.kernel + a2
    matrix = w + group.to(tl.int64) * (A0.kernel * A1.kernel * A2.kernel) * (outs * pitch)
    lines = (taps * outs + channel) * pitch

    PADDED: tl.constexpr = A0.lacking or A1.lacking or A2.lacking
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    pieces = tl.cdiv(ins, BK)
    begin = 0
    end = taps0 * taps1 * taps2 * pieces
    if SPLIT > 1:
        each = tl.cdiv(end, SPLIT)
        begin = tl.minimum(part * each, end)
        end = tl.minimum(begin + each, end)
    for at in range(begin, end):
        k = at % pieces * BK + tl.arange(0, BK)
        tap = at // pieces
        t2 = tap % taps2
        t1 = tap // taps2 % taps1
        t0 = tap // taps2 // taps1
        reads = meets(meets(meets(live, i2, t2, size[2], A2), i1, t1, size[1], A1), i0, t0, size[0], A0)
        places = rows - offset_of(t0 * A0.step, t1 * A1.step, t2 * A2.step, strides, NDIM, WIDE)
        if not (A0.inside and A1.inside and A2.inside):
            places = tl.where(reads, places, 0)
        channels = (k.to(tl.int64) if WIDE else k) * strides[1]
        inputs = images[:, None] + ((places * SCALE)[:, None] + channels[None, :])
        line = ((first0 + t0 * A0.every) * A1.kernel + first1 + t1 * A1.every) * A2.kernel + first2 + t2 * A2.every
        weights = matrix + line.to(tl.int64) * (outs * pitch) + (lines[None, :] + k[:, None])
        has = has_tap(has_tap(has_tap(exists, a2, t2, A2), a1, t1, A1), a0, t0, A0)
        if EVEN:
            a = tl.load(inputs, mask=reads[:, None], other=0.0)
            b = tl.load(weights, mask=has[None, :], other=0.0)
        else:
            a = tl.load(inputs, mask=reads[:, None] & (k < ins)[None, :], other=0.0)
            b = tl.load(weights, mask=has[None, :] & (k < ins)[:, None], other=0.0)
        if PADDED:  # where a column lacks the tap, not even zero times an input may be added: it might be NaN or Inf
            acc = tl.where(has[None, :], acc + tl.dot(a, b, input_precision=PRECISION), acc)
        else:
            acc = tl.dot(a, b, acc, input_precision=PRECISION)
    return acc


@triton.jit
def partial_of(partial, block, half, BM: tl.constexpr, BN: tl.constexpr, HALVES: tl.constexpr):
    """Where a block leaves its part of a tile's sums: tiles lie one after the other, as they are."""
    tile = partial + (block.to(tl.int64) * HALVES + half) * (BM * BN)
    return tile + (tl.arange(0, BM)[:, None] * BN + tl.arange(0, BN)[None, :])


@triton.jit
def block_of(
    block, groups, tiles_m, tiles_n,
    A0: tl.constexpr, A1: tl.constexpr, A2: tl.constexpr, GROUP: tl.constexpr, PAIR: tl.constexpr,
):  # fmt: skip
    """Group, tile of cells, tile of columns and phases of a block. Phases vary with the columns: they share inputs."""
    P0: tl.constexpr = 1 if A0.together else A0.stride
    P1: tl.constexpr = 1 if A1.together else A1.stride
    P2: tl.constexpr = 1 if A2.together or PAIR else A2.stride
    wide = tiles_n * (P0 * P1 * P2)
    group = block // (tiles_m * wide)
    tile_m, n = tile_of(block % (tiles_m * wide), tiles_m, wide, GROUP)
    phase = n // tiles_n
    return group, tile_m, n % tiles_n, (phase // (P1 * P2), phase // P2 % P1, phase % P2)


@triton.jit(
    do_not_specialize=[
        "batch", "groups", "tiles_m", "tiles_n", "ins_units", "pitch_units", "outs_units", "n0", "n1", "n2",
        "o0", "o1", "o2", "q0", "q1", "q2_units", "xb", "xc", "x0", "x1", "x2", "yb", "yc", "y0",
        "y1", "y2", "slope",
    ]
)  # fmt: skip
def cells(
    x, w, bias, y, partial, batch, groups, tiles_m, tiles_n, ins_units, pitch_units, outs_units,
    n0, n1, n2, o0, o1, o2, q0, q1, q2_units,  xb, xc, x0, x1, x2, yb, yc, y0, y1, y2, slope,
    A0: tl.constexpr, A1: tl.constexpr, A2: tl.constexpr, NDIM: tl.constexpr, PATCH: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, SPLIT: tl.constexpr,
    STORE: tl.constexpr, JOINED: tl.constexpr, COLUMNS: tl.constexpr, EVEN: tl.constexpr, PRECISION: tl.constexpr,
    BIAS: tl.constexpr, ACTIVATION: tl.constexpr, INS: tl.constexpr, PITCH: tl.constexpr, OUTS: tl.constexpr,
    Q: tl.constexpr, X: tl.constexpr, Y: tl.constexpr, XNEAR: tl.constexpr, YNEAR: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """One block of the matrix product, to the output, or with `SPLIT` a part of its sums to `partial`.

    Args:
        x, w, bias, y: input, packed weights, biases in float32, output.
        partial: parts of sums in float32.
        n0 .. n2, o0 .. o2, q0 .. q2: sizes of input and output, cells.
        xb .. x2, yb .. y2: strides of batch, channel and axes.
        A0, A1, A2: `Constants` of the axes.
        INS, PITCH, OUTS, Q, X, Y: units of channels, pitch, cells of the last axis, and strides.
        XNEAR, YNEAR: what has stride 1: "channel", "place" or "".
        WIDE: an image's offsets need 64 bits.
    """
    ins, pitch, outs, q2 = ins_units * INS, pitch_units * PITCH, outs_units * OUTS, q2_units * Q
    SCALE: tl.constexpr = X if XNEAR == "channel" else 1
    reading = strides_of(xb, xc, x0, x1, x2, X, XNEAR, XNEAR != "channel", WIDE)
    writing = strides_of(yb, yc, y0, y1, y2, Y, YNEAR, True, WIDE)
    block = tl.program_id(0)
    blocks = tl.num_programs(0) // SPLIT
    group, tile_m, tile_n, own = block_of(block % blocks, groups, tiles_m, tiles_n, A0, A1, A2, GROUP, STORE == "pair")
    part = block // blocks
    size, out, q = (n0, n1, n2), (o0, o1, o2), (q0, q1, q2)
    first = summed(
        x, w, part, group, ins, pitch, outs, size, own, tile_m, tile_n, q, batch, reading,
        A0, A1, A2, NDIM, PATCH, BM, BN, BK, JOINED, COLUMNS, SPLIT, EVEN, PRECISION, SCALE, WIDE,
    )  # fmt: skip
    second = first
    if STORE == "pair":
        other = (own[0], own[1], own[2] + 1)
        second = summed(
            x, w, part, group, ins, pitch, outs, size, other, tile_m, tile_n, q, batch, reading,
            A0, A1, A2, NDIM, PATCH, BM, BN, BK, JOINED, COLUMNS, SPLIT, EVEN, PRECISION, SCALE, WIDE,
        )  # fmt: skip
    if SPLIT > 1:
        HALVES: tl.constexpr = 2 if STORE == "pair" else 1
        tl.store(partial_of(partial, block, 0, BM, BN, HALVES), first)
        if STORE == "pair":
            tl.store(partial_of(partial, block, 1, BM, BN, HALVES), second)
    else:
        finish(
            first, second, y, bias, slope, group, outs, out, own, tile_m, tile_n, q, batch, writing,
            A0, A1, A2, NDIM, PATCH, BM, BN, STORE, JOINED, COLUMNS, BIAS, ACTIVATION, WIDE,
        )  # fmt: skip
