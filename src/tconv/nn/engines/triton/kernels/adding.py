"""The parts of split sums, added up in their order, and finished."""

import triton
import triton.language as tl

from tconv.nn.engines.triton.kernels.cells import block_of, partial_of
from tconv.nn.engines.triton.kernels.finishing import finish
from tconv.nn.engines.triton.kernels.placing import strides_of


@triton.jit(
    do_not_specialize=[
        "batch", "groups", "tiles_m", "tiles_n", "outs_units", "o0", "o1", "o2", "q0", "q1", "q2_units",
        "yb", "yc", "y0", "y1", "y2", "slope",
    ]
)  # fmt: skip
def adding(
    partial, bias, y, batch, groups, tiles_m, tiles_n, outs_units, o0, o1, o2, q0, q1, q2_units, yb, yc, y0, y1, y2,
    slope,
    A0: tl.constexpr, A1: tl.constexpr, A2: tl.constexpr, NDIM: tl.constexpr, PATCH: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, GROUP: tl.constexpr, SPLIT: tl.constexpr, STORE: tl.constexpr,
    JOINED: tl.constexpr, COLUMNS: tl.constexpr, BIAS: tl.constexpr, ACTIVATION: tl.constexpr, OUTS: tl.constexpr,
    Q: tl.constexpr, Y: tl.constexpr, YNEAR: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """One tile; the arguments are those of `cells`. The order of the sums is fixed, whoever is done first."""
    outs, q2 = outs_units * OUTS, q2_units * Q
    writing = strides_of(yb, yc, y0, y1, y2, Y, YNEAR, True, WIDE)
    block = tl.program_id(0)
    blocks = tl.num_programs(0)
    group, tile_m, tile_n, own = block_of(block, groups, tiles_m, tiles_n, A0, A1, A2, GROUP, STORE == "pair")
    HALVES: tl.constexpr = 2 if STORE == "pair" else 1
    first = tl.zeros((BM, BN), dtype=tl.float32)
    for part in range(SPLIT):
        first += tl.load(partial_of(partial, part * blocks + block, 0, BM, BN, HALVES))
    second = first
    if STORE == "pair":
        second = tl.zeros((BM, BN), dtype=tl.float32)
        for part in range(SPLIT):
            second += tl.load(partial_of(partial, part * blocks + block, 1, BM, BN, HALVES))
    finish(
        first, second, y, bias, slope, group, outs, (o0, o1, o2), own, tile_m, tile_n, (q0, q1, q2), batch, writing,
        A0, A1, A2, NDIM, PATCH, BM, BN, STORE, JOINED, COLUMNS, BIAS, ACTIVATION, WIDE,
    )  # fmt: skip
