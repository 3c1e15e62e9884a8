"""The channels of each place brought together, so that the kernel that follows reads 16 bytes at a time."""

import triton
import triton.language as tl

from tconv.nn.engines.triton.kernels.placing import strides_of


@triton.jit(do_not_specialize=["batch", "channels", "n0", "n1", "n2", "pitch_units", "xb", "xc", "x0", "x1", "x2"])
def repacking(
    x, z, batch, channels, n0, n1, n2, pitch_units, xb, xc, x0, x1, x2,
    BP: tl.constexpr, BC: tl.constexpr, PITCH: tl.constexpr, X: tl.constexpr, XNEAR: tl.constexpr, N: tl.constexpr,
    WIDE: tl.constexpr,
):  # fmt: skip
    """A tile of `BP` places by `BC` channels, from an input of any strides to (batch, places, pitch).

    What lies between the channels and the pitch becomes zeros, as a store of whole vectors is faster. `n2` comes in
    units of `N`.
    """
    pitch = pitch_units * PITCH
    last = n2 * N
    strides = strides_of(xb, xc, x0, x1, x2, X, XNEAR, True, WIDE)
    size = n0 * n1 * last
    tiles = tl.cdiv(size, BP)
    block = tl.program_id(0)
    image = block // tiles
    place = block % tiles * BP + tl.arange(0, BP)
    channel = tl.program_id(1) * BC + tl.arange(0, BC)
    i2, i1, i0 = place % last, place // last % n1, place // last // n1
    step = channel
    if WIDE:
        i2, i1, i0, step = i2.to(tl.int64), i1.to(tl.int64), i0.to(tl.int64), channel.to(tl.int64)
    far = x + image.to(tl.int64) * strides[0]
    exists = place < size
    places = i2 * strides[4] + i1 * strides[3] + i0 * strides[2]
    v = tl.load(
        far + (places[None, :] + (step * strides[1])[:, None]),
        mask=(channel < channels)[:, None] & exists[None, :],
        other=0.0,
    )
    base = z + image.to(tl.int64) * size * pitch
    to = place.to(tl.int64) if WIDE else place
    tl.store(
        base + (to[:, None] * pitch + channel[None, :]), tl.trans(v), mask=exists[:, None] & (channel < pitch)[None, :]
    )
