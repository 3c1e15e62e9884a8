"""Whether 64-bit arithmetic holds for the numbers of a call: asked before a size is computed that may wrap."""

from __future__ import annotations

from tconv import errors
from tconv.geometry.axis import LARGEST

Ints = tuple[int, ...]

# No product of two numbers below it, nor the few sums of such products that a size is, comes near 2**62.
SMALL = 2**29


def check_countable(
    in_size: Ints, kernel: Ints, stride: Ints, padding: Ints, output_padding: Ints, dilation: Ints
) -> None:
    """Refuse numbers, one per axis, whose output size does not fit into 64 bits. PyTorch's own operator lets them wrap.

    Whatever else may be wrong with them, such as too few numbers, is left to those who compute.

    Raises:
        SizeOverflowError: a number, the full canvas or the output is 2**62 or more; the message names it.

    >>> check_countable((1,), (1,), (2**62 + 1,), (0,), (2**62,), (1,))
    Traceback (most recent call last):
        ...
    tconv.errors.SizeOverflowError: axis 0: stride 4611686018427387905 does not fit into 64 bits; it must be below 2**62
    """
    if max(*stride, *output_padding, *dilation, *padding, *in_size, *kernel) < SMALL:
        return
    for axis, (n, k, s, p, op, d) in enumerate(
        zip(in_size, kernel, stride, padding, output_padding, dilation, strict=False)
    ):
        full = s * (n - 1) + d * (k - 1) + 1
        named = {"stride": s, "padding": p, "output_padding": op, "dilation": d, "canvas size": full}
        for name, value in {**named, "output size": full - 2 * p + op}.items():
            if abs(value) >= LARGEST:
                raise errors.SizeOverflowError(
                    f"axis {axis}: {name} {value} does not fit into 64 bits; it must be below 2**62"
                )
