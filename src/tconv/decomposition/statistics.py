"""What kernels have to know of codes that are gone: sums of fixed size, from which they are improved.

For the codes of many images the objective, as a function of the kernels d alone, is up to a constant

    sum over k and j of <d_k, A_kj (*) d_j> / 2 - sum over k of <d_k, B_k>, A_kj[lag] = sum over places p of z_k[p] *
    z_j[p + lag],      B_k[tap] = sum over places p of z_k[p] * s[stride*p + tap]

so A and B say all. Where pixels are missing or lie beyond the border, s is what the codes say there under the kernels
of their time: the sum is then an upper bound of the objective that touches it at those kernels, and lowering the one
lowers the other.

Source: Mairal, Bach, Ponce and Sapiro, "Online learning for matrix factorization and sparse coding" (2010).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from tconv.arrays import Array
from tconv.decomposition.coding import Coding
from tconv.decomposition.dictionary import projected
from tconv.geometry import Sizes

ROUNDS = 10  # over all kernels, for each batch


@dataclass
class Statistics:
    """A and B, the objective, and the number of images behind them.

    Attributes:
        overlaps: A, (kernels, kernels, *lags).
        images: B, (kernels, channels, *kernel).
        objective: summed over the images, under the kernels of their time.
        count: images.
    """

    overlaps: Array
    images: Array
    objective: float
    count: int

    @classmethod
    def of(cls, coding: Coding, alpha: float) -> Statistics:
        """Those of a batch's codes."""
        kernels, lags = len(coding.kernels), coding.atoms.lags
        overlaps = np.zeros((kernels, kernels, *lags), coding.images.dtype)
        coding.atoms.overlaps(overlaps)
        left = np.empty_like(coding.kernels)
        coding.atoms.correlate(left)
        wide = overlaps.astype(np.float64)
        explained = spread(wide, coding.kernels.astype(np.float64), coding.frame.geometry.stride)
        return cls(wide, left.astype(np.float64) + explained, coding.objective(alpha), len(coding.images))

    def add(self, other: Statistics, keep: float = 1.0) -> Statistics:
        """`keep` times these and the others."""
        return Statistics(
            keep * self.overlaps + other.overlaps,
            keep * self.images + other.images,
            keep * self.objective + other.objective,
            self.count + other.count,
        )


def spread(overlaps: Array, kernels: Array, stride: Sizes) -> Array:
    """sum over j of A_kj (*) d_j, for all k: (kernels, channels, *kernel)."""
    result = np.zeros((len(overlaps), *kernels.shape[1:]), np.float64)
    for lag, to, source in _meetings(kernels.shape[2:], stride):
        at: Any = (slice(None), slice(None), *lag)
        result[to] += np.einsum("kj,j...->k...", overlaps[at], kernels[source])
    return result


def improve(statistics: Statistics, kernels: Array, stride: Sizes) -> None:
    """Bring every kernel, in place, to a lower sum while the others stay; several times. Norms stay at most 1."""
    size = kernels[0].size
    columns = np.stack([_shifted(kernel, stride) for kernel in kernels])  # [j, lag, channel and tap]
    rows = statistics.overlaps.reshape(len(kernels), -1)
    for _ in range(ROUNDS):
        for k in range(len(kernels)):
            own = statistics.overlaps[k, k]
            energy = float(own[tuple(n // 2 for n in own.shape)])
            if energy == 0:
                continue
            slope = statistics.images[k] - (rows[k] @ columns.reshape(-1, size)).reshape(kernels[k].shape)
            change = projected(kernels[k] + slope / energy) - kernels[k]
            curve = float(np.vdot(change, own.ravel() @ _shifted(change, stride)))
            if curve <= 0:
                continue
            kernels[k] += min(1.0, max(0.0, float(np.vdot(slope, change)) / curve)) * change  # the line's lowest point
            columns[k] = _shifted(kernels[k], stride)


def _shifted(kernel: Array, stride: Sizes) -> Array:
    """The kernel moved by every lag and cut to where it was: [lag, channel and tap]."""
    channels = len(kernel)
    flat = np.concatenate([kernel.reshape(channels, -1), np.zeros((channels, 1))], axis=1)
    moved = flat[:, _sources(kernel.shape[1:], stride)]
    return np.ascontiguousarray(moved.swapaxes(0, 1)).reshape(moved.shape[1], -1)


@lru_cache(maxsize=8)
def _sources(kernel: Sizes, stride: Sizes) -> Array:
    """[lag, tap]: the tap t - stride*lag that comes to lie at tap t, along the kernel; its size where none does."""
    taps = np.arange(np.prod(kernel)).reshape(1, *kernel)
    every = []
    for _, to, source in _meetings(kernel, stride):
        found = np.full((1, *kernel), taps.size)
        found[to[1:]] = taps[source[1:]]
        every.append(found.ravel())
    return np.stack(every)


def _meetings(kernel: Sizes, stride: Sizes) -> Iterator[tuple[Sizes, tuple[slice, ...], tuple[slice, ...]]]:
    """Each lag, the taps t to which it moves something, and the taps t - stride*lag from where."""
    reach = [(k - 1) // s for k, s in zip(kernel, stride, strict=True)]
    for lag in product(*(range(2 * r + 1) for r in reach)):
        steps = [s * (u - r) for u, r, s in zip(lag, reach, stride, strict=True)]
        to = tuple(slice(max(step, 0), k + min(step, 0)) for step, k in zip(steps, kernel, strict=True))
        source = tuple(slice(max(-step, 0), k - max(step, 0)) for step, k in zip(steps, kernel, strict=True))
        yield lag, (slice(None), slice(None), *to), (slice(None), slice(None), *source)
