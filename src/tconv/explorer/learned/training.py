"""What a kernel makes of a small photograph, and the kernel that gradient descent finds on another one.

The squared error is a quadratic function of the kernel, so that any number of steps can be computed at once: after t
steps the kernel is best + (I - A'A / steepest)^t (untrained - best), where A w is what the layer makes of the small
photograph with kernel w.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tconv import kernels
from tconv.arrays import Array
from tconv.explorer.learned.photos import photograph
from tconv.geometry import Geometry
from tconv.layer import prepare

STEPS = (0, *(4**n for n in range(9)))  # 0, 1, 4, ... 65536
FIXED: dict[str, Callable[..., Array]] = {
    "nearest": kernels.nearest,
    "bilinear": kernels.bilinear,
    "bicubic": kernels.bicubic,
}
FLAT = 8  # cells per side of the grey image


class Tried(NamedTuple):
    """One kernel and what it makes of the photograph.

    Attributes:
        name: nearest, bilinear, bicubic, untrained or trained.
        kernel: (k, k).
        back: the photograph, as large as it was.
        psnr: peak signal-to-noise ratio in dB, away from the borders, where the kernel sees zeros.
        gains: (stride, stride), what plain grey is multiplied by at each phase; unequal ones are a checkerboard.
        grey: a piece of what it makes of plain grey, 0.5.
    """

    name: str
    kernel: Array
    back: Array
    psnr: float
    gains: Array
    grey: Array

    @property
    def spread(self) -> float:
        """How far the phases of plain grey lie apart, as a share of it."""
        return float(self.gains.max() - self.gains.min())


@dataclass(frozen=True)
class Experiment:
    """A photograph made smaller by `stride` and brought back; kernels of k by k taps are trained on another one."""

    k: int
    stride: int

    @property
    def edge(self) -> int:
        """Pixels at the borders that are not judged: those where bicubic, the widest, would see zeros."""
        return 3 * self.stride

    def geometry(self, k: int) -> Geometry:
        """The layer of a kernel with k taps: `stride` times as large, with as little output_padding as possible."""
        surplus = k - self.stride
        return Geometry.from_torch(k, self.stride, -(-surplus // 2), surplus % 2, ndim=2)

    def small(self, name: str) -> Array:
        """The photograph made smaller by the convolution that bilinear upsampling transposes; edges are repeated."""
        line = kernels.bilinear(self.stride, ndim=1, dtype=np.float64)[0, 0] / self.stride
        wide = np.pad(photograph(name), (len(line) - self.stride) // 2, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(wide, (len(line), len(line)))
        small: Array = np.einsum("ijkl,k,l->ij", windows[:: self.stride, :: self.stride], line, line)
        return small

    def enlarged(self, small: Array, w: Array) -> Array:
        """What the layer makes of a small image: the transposed convolution with kernel w."""
        large: Array = prepare(w[None, None], geometry=self.geometry(len(w)))(small[None])[0]
        return large

    def inside(self, image: Array) -> Array:
        """The pixels that are judged."""
        judged: Array = image[..., self.edge : -self.edge, self.edge : -self.edge]
        return judged

    @cached_property
    def course(self) -> tuple[Array, ...]:
        """The kernel after each of `STEPS` steps on the cat, (k, k)."""
        units = np.eye(self.k**2).reshape(1, -1, self.k, self.k)
        layer = prepare(units, geometry=self.geometry(self.k))
        a = self.inside(layer(self.small("cat")[None])).reshape(self.k**2, -1).T
        normal, right = a.T @ a, a.T @ self.inside(photograph("cat")).ravel()
        best = np.linalg.solve(normal, right)
        away = untrained(self.k).ravel() - best
        step = np.eye(self.k**2) - normal / abs(normal).sum(1).max()  # no eigenvalue exceeds the sum of a row
        powers = (np.linalg.matrix_power(step, n) for n in STEPS)
        return tuple((best + power @ away).reshape(self.k, self.k) for power in powers)

    @cached_property
    def fixed(self) -> tuple[Tried, ...]:
        """Nearest, bilinear, bicubic."""
        return tuple(self.tried(name, make(self.stride, dtype=np.float64)[0, 0]) for name, make in FIXED.items())

    def learned(self, position: int) -> Tried:
        """The kernel after `STEPS[position]` steps."""
        return self.tried("trained" if STEPS[position] else "untrained", self.course[position])

    def tried(self, name: str, w: Array) -> Tried:
        """What w makes of the portrait, and of plain grey."""
        image, s = photograph("portrait"), self.stride
        back = self.enlarged(self.small("portrait"), w)
        error = np.mean(self.inside(image - back) ** 2)
        gains = np.array([[w[r::s, c::s].sum() for c in range(s)] for r in range(s)])
        grey = self.enlarged(np.full((FLAT, FLAT), 0.5), w)
        middle = slice((FLAT // 2 - 2) * s, (FLAT // 2 + 2) * s)
        return Tried(name, w, back, float(10 * np.log10(1 / error)), gains, grey[middle, middle])


def untrained(k: int) -> Array:
    """A kernel that nobody has trained: evenly spread within PyTorch's bound for its size, 1/k; always the same.

    The numbers are those of the page, of an xorshift generator with 32 bits (Marsaglia, Journal of Statistical
    Software 8(14), 2003).
    """
    state, numbers = 2463534242, []
    for _ in range(k * k):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        numbers.append((state / 2**32 * 2 - 1) / k)
    return np.reshape(numbers, (k, k))
