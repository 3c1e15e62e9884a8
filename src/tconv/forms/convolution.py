"""The forward convolution, which the transposed one is the transpose of (as deep learning says it: no flip).

    z[i] = sum over k of  y[stride*i + dilation*k - pad_lo] * w[k]

The input arrives padded.
"""

import numpy as np

from tconv.arrays import Array
from tconv.forms.contract import at, blank, mix


def convolve(y: Array, w: Array, stride: tuple[int, ...], dilation: tuple[int, ...], size: tuple[int, ...]) -> Array:
    """Convolve grouped, already padded `y` (batch, groups, in, *cells) with w (groups, in, out, *kernel) to `size`."""
    z = blank(y, w, size)
    for k in np.ndindex(w.shape[3:]):
        read = (
            slice(d * tap, d * tap + s * (n - 1) + 1, s) if n else slice(0)
            for tap, s, d, n in zip(k, stride, dilation, size, strict=True)
        )
        z += mix(y[at(read)], w[at(k)])
    return z
