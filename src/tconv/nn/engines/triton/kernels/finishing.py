"""What becomes of a tile of sums: bias, activation, one rounding, and the store."""

import triton
import triton.language as tl

from tconv.nn.engines.triton.kernels.placing import cells_of, columns_of


@triton.jit
def activated(v, slope, ACTIVATION: tl.constexpr):
    """The activation of float32; NaN stays NaN."""
    if ACTIVATION == "relu":
        v = tl.where(v < 0, 0.0, v)
    elif ACTIVATION == "leaky_relu":
        v = tl.where(v < 0, v * slope, v)
    elif ACTIVATION == "sigmoid":
        e = tl.exp(-tl.abs(v))
        v = tl.where(v < 0, e, 1.0) / (1.0 + e)
    elif ACTIVATION == "silu":
        e = tl.exp(-tl.abs(v))
        v = tl.where(v < 0, v * e, v) / (1.0 + e)
    elif ACTIVATION == "tanh":
        e = tl.exp(-2.0 * tl.abs(v))
        far = (1.0 - e) / (1.0 + e)
        s = v * v  # near 0 the difference above would lose what v has; the series is exact to 1e-8 of it below 1/4
        near = v * (1.0 + s * (-1 / 3 + s * (2 / 15 + s * (-17 / 315 + s * (62 / 2835)))))
        v = tl.where(tl.abs(v) < 0.25, near, tl.where(v < 0, -far, far))
    elif ACTIVATION == "gelu":
        v = v * 0.5 * (1.0 + tl.erf(v * 0.7071067811865476))
    return v


@triton.jit
def outputs_of(cell, phase, A: tl.constexpr):
    """Places along an axis, and how far the first of them may lie before the window."""
    return cell * A.stride + phase - (A.rest if A.together else 0)


@triton.jit
def within(o, size, A: tl.constexpr):
    """Whether places of an axis lie in the window; asked only where they may not."""
    if A.together and A.rest > 0:
        return (o >= 0) & (o < size)
    return o < size


@triton.jit
def finish_columns(
    acc, y, bias, slope, group, outs, out, own, tile_m, tile_n, q, batch, strides,
    A0: tl.constexpr, A1: tl.constexpr, A2: tl.constexpr, NDIM: tl.constexpr, PATCH: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, COLUMNS: tl.constexpr, BIAS: tl.constexpr, ACTIVATION: tl.constexpr,
    WIDE: tl.constexpr,
):  # fmt: skip
    """Store a tile (cells, columns) whose channels are neighbours in memory."""
    image, c0, c1, c2, live = cells_of(tile_m, BM, 1, PATCH, q[0], q[1], q[2], batch, NDIM)
    column = tile_n * BN + tl.arange(0, BN)
    channel, a0, a1, a2 = columns_of(column, outs, A0, A1, A2, 1)
    exists = column < outs * COLUMNS
    if BIAS:
        acc += tl.load(bias + group * outs + channel, mask=exists, other=0.0)[None, :]
    acc = activated(acc, slope, ACTIVATION)
    mask = live[:, None] & exists[None, :]
    if WIDE:
        c0, c1, c2, channel = c0.to(tl.int64), c1.to(tl.int64), c2.to(tl.int64), channel.to(tl.int64)
        a0, a1, a2 = a0.to(tl.int64), a1.to(tl.int64), a2.to(tl.int64)
    a0, a1, a2 = a0 + own[0], a1 + own[1], a2 + own[2]
    if not A0.full:
        mask = mask & within(outputs_of(c0[:, None], a0[None, :], A0), out[0], A0)
    if not A1.full:
        mask = mask & within(outputs_of(c1[:, None], a1[None, :], A1), out[1], A1)
    if not A2.full:
        mask = mask & within(outputs_of(c2[:, None], a2[None, :], A2), out[2], A2)
    rows = outputs_of(c2, 0, A2) * strides[4]
    columns = a2 * strides[4] + channel * strides[1]
    if NDIM > 1:
        rows += outputs_of(c1, 0, A1) * strides[3]
        columns += a1 * strides[3]
    if NDIM > 2:
        rows += outputs_of(c0, 0, A0) * strides[2]
        columns += a0 * strides[2]
    start = y + image.to(tl.int64) * strides[0] + group.to(tl.int64) * outs * strides[1]
    tl.store(start[:, None] + (rows[:, None] + columns[None, :]), acc.to(y.dtype.element_ty), mask=mask)


@triton.jit
def finish_rows(
    acc, y, bias, slope, group, outs, out, own, tile_m, tile_n, q, batch, strides,
    A0: tl.constexpr, A1: tl.constexpr, A2: tl.constexpr, NDIM: tl.constexpr, PATCH: tl.constexpr,
    LANES: tl.constexpr, ROWS: tl.constexpr, WOVEN: tl.constexpr, COLUMNS: tl.constexpr,
    BIAS: tl.constexpr, ACTIVATION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Store a tile (columns, cells) whose cells are neighbours in memory.

    With `WOVEN` above 1 a lane is an output of the last axis, of which a cell has `WOVEN`; `COLUMNS` then does not
    count these phases.
    """
    image, c0, c1, c2, live = cells_of(tile_m, LANES, WOVEN, PATCH, q[0], q[1], q[2], batch, NDIM)
    column = tile_n * ROWS + tl.arange(0, ROWS)
    channel, a0, a1, a2 = columns_of(column, outs, A0, A1, A2, WOVEN)
    exists = column < outs * COLUMNS
    if BIAS:
        acc += tl.load(bias + group * outs + channel, mask=exists, other=0.0)[:, None]
    acc = activated(acc, slope, ACTIVATION)
    mask = exists[:, None] & live[None, :]
    if WIDE:
        c0, c1, c2, channel = c0.to(tl.int64), c1.to(tl.int64), c2.to(tl.int64), channel.to(tl.int64)
        a0, a1, a2 = a0.to(tl.int64), a1.to(tl.int64), a2.to(tl.int64)
    a0, a1 = a0 + own[0], a1 + own[1]
    if not A0.full:
        mask = mask & within(outputs_of(c0[None, :], a0[:, None], A0), out[0], A0)
    if not A1.full:
        mask = mask & within(outputs_of(c1[None, :], a1[:, None], A1), out[1], A1)
    if WOVEN > 1:
        o2 = c2 - (A2.rest if A2.together else 0)
        if not A2.full:
            mask = mask & within(o2, out[2], A2)[None, :]
        lanes = o2 * strides[4]
        rows = channel * strides[1]
    else:
        a2 = a2 + own[2]
        if not A2.full:
            mask = mask & within(outputs_of(c2[None, :], a2[:, None], A2), out[2], A2)
        lanes = outputs_of(c2, 0, A2) * strides[4]
        rows = channel * strides[1] + a2 * strides[4]
    if NDIM > 1:
        lanes += outputs_of(c1, 0, A1) * strides[3]
        rows += a1 * strides[3]
    if NDIM > 2:
        lanes += outputs_of(c0, 0, A0) * strides[2]
        rows += a0 * strides[2]
    start = y + image.to(tl.int64) * strides[0] + group.to(tl.int64) * outs * strides[1]
    tl.store(start[None, :] + (rows[:, None] + lanes[None, :]), acc.to(y.dtype.element_ty), mask=mask)


@triton.jit
def finish(
    first, second, y, bias, slope, group, outs, out, own, tile_m, tile_n, q, batch, strides,
    A0: tl.constexpr, A1: tl.constexpr, A2: tl.constexpr, NDIM: tl.constexpr, PATCH: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, STORE: tl.constexpr, JOINED: tl.constexpr, COLUMNS: tl.constexpr,
    BIAS: tl.constexpr, ACTIVATION: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Store a tile (cells, columns) of sums as `STORE` says; of a pair, `second` is that of the second phase."""
    if STORE == "columns":
        finish_columns(
            first, y, bias, slope, group, outs, out, own, tile_m, tile_n, q, batch, strides,
            A0, A1, A2, NDIM, PATCH, BM, BN, COLUMNS, BIAS, ACTIVATION, WIDE,
        )  # fmt: skip
    elif STORE == "pair":
        woven = tl.interleave(tl.trans(first), tl.trans(second))
        finish_rows(
            woven, y, bias, slope, group, outs, out, own, tile_m, tile_n, q, batch, strides,
            A0, A1, A2, NDIM, PATCH, 2 * BM, BN, 2, COLUMNS, BIAS, ACTIVATION, WIDE,
        )  # fmt: skip
    else:
        if JOINED > 1:
            split = tl.permute(tl.reshape(first, (BM, BN // JOINED, JOINED)), (1, 0, 2))
            woven = tl.reshape(split, (BN // JOINED, BM * JOINED))
        else:
            woven = tl.trans(first)
        finish_rows(
            woven, y, bias, slope, group, outs, out, own, tile_m, tile_n, q, batch, strides,
            A0, A1, A2, NDIM, PATCH, BM * JOINED, BN // JOINED, JOINED, COLUMNS // JOINED, BIAS, ACTIVATION, WIDE,
        )  # fmt: skip
