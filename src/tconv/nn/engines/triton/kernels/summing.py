"""Sums over all but the channels, in parts: what a bias receives of a gradient."""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["channels_units", "places_units", "parts", "tiles"])
def summing(
    grad, partial, channels_units, places_units, parts, tiles,
    BP: tl.constexpr, BC: tl.constexpr, CHANNELS: tl.constexpr, PLACES: tl.constexpr, LAST: tl.constexpr,
    WIDE: tl.constexpr,
):  # fmt: skip
    """One of `parts` stretches of an image, of `tiles` times `BP` places, and `BC` channels; sums to (part, channel).

    The array is dense, (batch, channels, places) or, with `LAST`, (batch, places, channels). Channels and places come
    in units of `CHANNELS` and `PLACES`. Each block adds in an order that never changes, in float32.
    """
    channels, places = channels_units * CHANNELS, places_units * PLACES
    block = tl.program_id(0)
    image, first = block // parts, block % parts * tiles * BP
    channel = tl.program_id(1) * BC + tl.arange(0, BC)
    far = grad + image.to(tl.int64) * channels * places
    end = tl.minimum(first + tiles * BP, places)
    sums = tl.zeros((BP, BC), dtype=tl.float32)
    for tile in range(tiles):
        place = first + tile * BP + tl.arange(0, BP)
        p, c = place, channel
        if WIDE:
            p, c = p.to(tl.int64), c.to(tl.int64)
        offset = p[:, None] * channels + c[None, :] if LAST else p[:, None] + c[None, :] * places
        exists = (place < end)[:, None] & (channel < channels)[None, :]
        sums += tl.load(far + offset, mask=exists, other=0.0).to(tl.float32)
    to = partial + block.to(tl.int64) * channels + channel
    tl.store(to, tl.sum(sums, 0), mask=channel < channels)
