"""The relation, followed literally: what the dialects' geometries are compared by."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from tconv.geometry import Axis, Geometry

GRID = tuple(product(range(1, 6), range(1, 5), (1, 2)))  # kernel, stride, dilation
SIZES = (4, 5)

# Axes that differ in everything, to find arguments in the wrong order.
SAMPLES_2D = (((3, 2), (2, 1), (1, 2)), ((4, 5), (2, 3), (1, 1)), ((1, 4), (3, 2), (1, 1)), ((2, 3), (1, 1), (2, 1)))
SAMPLES_3D = (((2, 3, 4), (1, 2, 3), (1, 1, 1)), ((3, 1, 2), (1, 1, 1), (2, 1, 1)))


def scatter(geometry: Geometry, x: Any, weight: Any, groups: int = 1) -> Any:
    """y[o] += x[i] * w[k] at o = stride*i + dilation*k - crop_lo; x (batch, in, *size), w (in, out/groups, *kernel)."""
    if groups > 1:
        parts = zip(np.split(x, groups, axis=1), np.split(weight, groups, axis=0), strict=True)
        return np.concatenate([scatter(geometry, *part) for part in parts], axis=1)
    axes, size = geometry.axes, x.shape[2:]
    out = [
        a.stride * (n - 1) + a.dilation * (a.kernel - 1) + 1 - a.crop_lo - a.crop_hi
        for a, n in zip(axes, size, strict=True)
    ]
    y = np.zeros((x.shape[0], weight.shape[1], *out), x.dtype)
    for i in np.ndindex(*size):
        for k in np.ndindex(*geometry.kernel):
            o = tuple(a.stride * p + a.dilation * q - a.crop_lo for a, p, q in zip(axes, i, k, strict=True))
            if all(0 <= at < n for at, n in zip(o, out, strict=True)):
                y[(..., *o)] += x[(..., *i)] @ weight[(..., *k)]
    return y


def arrays(geometry: Geometry, size: tuple[int, ...], groups: int = 1) -> tuple[Any, Any]:
    """Input and weight of small integers in float32, whose sums are exact in any order; per group, 2 channels to 3."""
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (2, 2 * groups, *size))
    weight = rng.integers(-4, 5, (2 * groups, 3, *geometry.kernel))
    return x.astype(np.float32), weight.astype(np.float32)


def every_crop(kernel: int, stride: int, dilation: int, reach: int = 4) -> Iterator[Geometry]:
    """One axis with every crop from -reach to reach at either end."""
    for crop in product(range(-reach, reach + 1), repeat=2):
        yield Geometry.from_axes([Axis(kernel, stride, dilation, *crop)])
