"""Tap by tap without a matrix product: few channels in a group.

Lanes are outputs of one phase, or in rows all outputs of the last axis, by channels. A place beyond the input is not
multiplied at all, so that weights which are not finite stay where the definition has them.
"""

import triton
import triton.language as tl

from tconv.nn.engines.triton.kernels.finishing import activated, outputs_of, within
from tconv.nn.engines.triton.kernels.placing import cells_of, phase_of, strides_of, tile_of

UNROLLED = tl.constexpr(8)  # taps


@triton.jit
def across(places, ROWS: tl.constexpr):
    """Values of places, to be combined with channels: along the rows of a tile, or down its columns."""
    if ROWS:
        return places[None, :]
    else:
        return places[:, None]


@triton.jit
def along(channels, ROWS: tl.constexpr):
    """Values of channels, to be combined with places."""
    if ROWS:
        return channels[:, None]
    else:
        return channels[None, :]


@triton.jit
def tap(
    acc, images, over, sources, inside, w, channel, exists, i2, t2, taps2, size, ins, total, line, strides,
    A: tl.constexpr, ROWS: tl.constexpr, ROWS_OF_ALL: tl.constexpr, MULTIPLIED: tl.constexpr, SCALE: tl.constexpr,
):  # fmt: skip
    """The sums with one more tap. In rows of all phases a lane has taps of its own, and may have fewer than others."""
    h = i2 - t2 * A.step
    reads = inside
    if ROWS_OF_ALL:
        reads = reads & (taps2 > t2)
    if not A.inside:
        reads = reads & (h >= 0) & (h < size)
    places = images + (across(tl.where(reads, over + h * strides[4], 0) * SCALE, ROWS) + sources)
    mask = across(reads, ROWS) & along(exists, ROWS)
    if ROWS_OF_ALL:
        weights = w + (along(channel, ROWS) + across(line * (ins * total), ROWS))
        known = mask
    else:
        weights = w + (along(channel, ROWS) + line * (ins * total))
        known = along(exists, ROWS)
    if MULTIPLIED:
        for j in range(ins):
            v = tl.load(places + j * strides[1], mask=mask, other=0.0).to(tl.float32)
            f = tl.load(weights + j * total, mask=known, other=0.0).to(tl.float32)
            acc = tl.where(mask, acc + v * f, acc)
    else:
        v = tl.load(places, mask=mask, other=0.0).to(tl.float32)
        f = tl.load(weights, mask=known, other=0.0).to(tl.float32)
        acc = tl.where(mask, acc + v * f, acc)
    return acc


@triton.jit
def tapped(
    x, w, ins, outs, total, size, own, tile_m, tile_n, q, batch, strides,
    A0: tl.constexpr, A1: tl.constexpr, A2: tl.constexpr, NDIM: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    STORE: tl.constexpr, MULTIPLIED: tl.constexpr, SCALE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The sums of one tile: (channels, places) in rows and pairs, else (places, channels)."""
    ROWS: tl.constexpr = STORE != "columns"
    ROWS_OF_ALL: tl.constexpr = STORE == "rows"
    image, c0, c1, c2, live = cells_of(tile_m, BM, 1, 0, q[0], q[1], q[2], batch, NDIM)
    start0, first0, taps0 = phase_of(own[0], A0)
    start1, first1, taps1 = phase_of(own[1], A1)
    if ROWS_OF_ALL:
        start2, first2, taps2 = phase_of(c2 % A2.stride, A2)
        i2 = c2 // A2.stride + start2
    else:
        start2, first2, taps2 = phase_of(own[2] + tile_n * 0, A2)
        i2 = c2 + start2
    i0, i1 = c0 + start0, c1 + start1
    channel = tile_n * BN + tl.arange(0, BN)
    exists = channel < total
    source = channel // outs * ins if MULTIPLIED else channel
    if WIDE:
        i0, i1, i2, source = i0.to(tl.int64), i1.to(tl.int64), i2.to(tl.int64), source.to(tl.int64)
    images = across(x + image.to(tl.int64) * strides[0], ROWS)
    sources = along(source * strides[1], ROWS)
    acc = tl.zeros((BN if ROWS else BM, BM if ROWS else BN), dtype=tl.float32)
    for t0 in range(taps0):
        for t1 in range(taps1):
            h0, h1 = i0 - t0 * A0.step, i1 - t1 * A1.step
            plane = (first0 + t0 * A0.every) * A1.kernel + first1 + t1 * A1.every
            over = h1 * strides[3]
            inside = live
            if NDIM > 2:
                over += h0 * strides[2]
            if not A0.inside:
                inside = inside & (h0 >= 0) & (h0 < size[0])
            if not A1.inside:
                inside = inside & (h1 >= 0) & (h1 < size[1])
            if A2.most <= UNROLLED and (ROWS_OF_ALL or (A2.kernel % A2.every == 0 and A2.common == 1)):
                for t2 in tl.static_range(A2.most):
                    acc = tap(
                        acc, images, over, sources, inside, w, channel, exists, i2, t2, taps2, size[2], ins, total,
                        plane * A2.kernel + first2 + t2 * A2.every, strides, A2, ROWS, ROWS_OF_ALL, MULTIPLIED, SCALE,
                    )  # fmt: skip
            else:
                for t2 in range(A2.most if ROWS_OF_ALL else taps2):
                    acc = tap(
                        acc, images, over, sources, inside, w, channel, exists, i2, t2, taps2, size[2], ins, total,
                        plane * A2.kernel + first2 + t2 * A2.every, strides, A2, ROWS, ROWS_OF_ALL, MULTIPLIED, SCALE,
                    )  # fmt: skip
    return acc


@triton.jit(
    do_not_specialize=[
        "batch", "tiles_m", "tiles_n", "ins", "outs", "total_units", "n0", "n1", "n2", "o0", "o1", "o2", "q0", "q1",
        "q2_units", "xb", "xc", "x0", "x1", "x2", "yb", "yc", "y0", "y1", "y2", "slope",
    ]
)  # fmt: skip
def depthwise(
    x, w, bias, y, batch, tiles_m, tiles_n, ins, outs, total_units, n0, n1, n2, o0, o1, o2, q0, q1, q2_units,
     xb, xc, x0, x1, x2, yb, yc, y0, y1, y2, slope,
    A0: tl.constexpr, A1: tl.constexpr, A2: tl.constexpr, NDIM: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    STORE: tl.constexpr, MULTIPLIED: tl.constexpr, BIAS: tl.constexpr, ACTIVATION: tl.constexpr, TOTAL: tl.constexpr,
    Q: tl.constexpr, X: tl.constexpr, Y: tl.constexpr, XNEAR: tl.constexpr, YNEAR: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """One tile of one phase; in rows of all phases of the last axis, and of a pair of both.

    The arguments are those of `cells`, but: `total` counts output channels, in units of `TOTAL`; in rows `q2` counts
    outputs; `MULTIPLIED` says that input and output channels are not one for one.
    """
    ROWS: tl.constexpr = STORE != "columns"
    P1: tl.constexpr = A1.stride
    P2: tl.constexpr = A2.stride if STORE == "columns" else 1
    total, q2 = total_units * TOTAL, q2_units * Q
    SCALE: tl.constexpr = X if XNEAR == "channel" else 1
    reading = strides_of(xb, xc, x0, x1, x2, X, XNEAR, XNEAR != "channel", WIDE)
    writing = strides_of(yb, yc, y0, y1, y2, Y, YNEAR, True, WIDE)
    size, out, q = (n0, n1, n2), (o0, o1, o2), (q0, q1, q2)
    tile_m, n = tile_of(tl.program_id(0), tiles_m, tiles_n * (A0.stride * P1 * P2), 1)
    tile_n = n % tiles_n
    phase = n // tiles_n
    own = (phase // (P1 * P2), phase // P2 % P1, phase % P2)
    acc = tapped(
        x, w, ins, outs, total, size, own, tile_m, tile_n, q, batch, reading,
        A0, A1, A2, NDIM, BM, BN, STORE, MULTIPLIED, SCALE, WIDE,
    )  # fmt: skip
    WOVEN: tl.constexpr = 2 if STORE == "pair" else 1
    if STORE == "pair":
        other = (own[0], own[1], own[2] + 1)
        second = tapped(
            x, w, ins, outs, total, size, other, tile_m, tile_n, q, batch, reading,
            A0, A1, A2, NDIM, BM, BN, STORE, MULTIPLIED, SCALE, WIDE,
        )  # fmt: skip
        acc = tl.interleave(acc, second)
    image, c0, c1, c2, live = cells_of(tile_m, BM * WOVEN, WOVEN, 0, q[0], q[1], q[2], batch, NDIM)
    channel = tile_n * BN + tl.arange(0, BN)
    exists = channel < total
    if BIAS:
        acc += along(tl.load(bias + channel, mask=exists, other=0.0), ROWS)
    acc = activated(acc, slope, ACTIVATION)
    o0_, o1_ = outputs_of(c0, own[0], A0), outputs_of(c1, own[1], A1)
    o2_ = outputs_of(c2, own[2], A2) if STORE == "columns" else c2
    if not A0.full:
        live = live & within(o0_, out[0], A0)
    if not A1.full:
        live = live & within(o1_, out[1], A1)
    if not (A2.full or STORE == "rows"):
        live = live & within(o2_, out[2], A2)
    if WIDE:
        o0_, o1_, o2_, channel = o0_.to(tl.int64), o1_.to(tl.int64), o2_.to(tl.int64), channel.to(tl.int64)
    places = o2_ * writing[4]
    if NDIM > 1:
        places += o1_ * writing[3]
    if NDIM > 2:
        places += o0_ * writing[2]
    start = across(y + image.to(tl.int64) * writing[0], ROWS)
    to = start + (across(places, ROWS) + along(channel * writing[1], ROWS))
    tl.store(to, acc.to(y.dtype.element_ty), mask=across(live, ROWS) & along(exists, ROWS))
