"""Small layers with numbers, drawn by hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tconv import Geometry
from tconv.explorer import Trace, trace


@st.composite
def cases(draw: st.DrawFn) -> Trace:
    ndim = draw(st.integers(1, 2))
    several = st.lists(st.integers(1, 3), min_size=ndim, max_size=ndim)
    kernel, stride, dilation, size = (tuple(draw(several)) for _ in range(4))
    channels = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    crop = tuple((draw(st.integers(-2, 2)), draw(st.integers(-2, 2))) for _ in range(ndim))
    geometry = Geometry(kernel, stride, dilation, crop)
    full = geometry.full_size(size)
    if any(n - lo - hi < 1 for n, (lo, hi) in zip(full, crop, strict=True)):
        geometry = Geometry(kernel, stride, dilation)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x, w = rng.integers(-3, 4, (channels[0], *size)), rng.integers(-3, 4, (*channels, *kernel))
    bias = rng.integers(-3, 4, channels[1]) if draw(st.booleans()) else None
    if draw(st.booleans()):
        x = x * 0.1
    return trace(geometry, x, w, bias)
