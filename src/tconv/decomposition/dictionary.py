"""Better kernels for given codes: one kernel after the other, each by a projected step of the best length.

With the codes fixed the objective is a quadratic of the kernels, and its slope for kernel k, the correlation of its
codes with the residual, needs a product for each tap of each atom that is not zero. A step goes towards the projection
of the kernel less slope/steepness onto the ball of norm 1; how steep it is there, the slope after the step tells, so
that a step that went too far is shortened to the best point on its line. So the objective never rises, kernels that are
rarely used move as fast as the others, and what one kernel explains the next one finds explained.

Source: Mairal, Bach, Ponce and Sapiro, "Online learning for matrix factorization and sparse coding" (2010), for block
coordinate descent over the atoms of a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tconv.arrays import Array
from tconv.decomposition.coding import Coding

ROOM = 1.1  # times the steepness that was found: neighbouring directions may be steeper


def improve(codings: Sequence[Coding], kernels: Array, steepness: Array) -> float:
    """Bring every kernel nearer to its best, once.

    Args:
        codings: whose residuals belong to `kernels`; these follow.
        kernels: (kernels, channels, *kernel), changed in place; norms at most 1.
        steepness: (kernels,), what is known of it, changed in place; 0 where nothing is.

    Returns:
        How much less the objective became.
    """
    less = 0.0
    for k in range(len(kernels)):
        energy = sum(coding.atoms.energy(k) for coding in codings)
        if energy == 0:
            continue
        steep = max(float(steepness[k]), energy)
        slope = _slope(codings, k, kernels)
        change = projected(kernels[k] + slope / steep) - kernels[k]
        squares = float(np.vdot(change, change))
        if squares <= 1e-20:
            continue
        _move(codings, k, change)
        promised = float(np.vdot(slope, change))
        left = float(np.vdot(_slope(codings, k, kernels), change))
        curve = promised - left  # the sum of squares of what the change adds to the canvas
        steepness[k] = ROOM * curve / squares
        part = 1.0
        if left < 0 < curve:  # beyond the lowest point of the line
            part = max(promised / curve, 0.0)
            _move(codings, k, (part - 1) * change)
        kernels[k] += part * change
        less += part * promised - part * part * curve / 2
    return less


def projected(kernel: Array) -> Array:
    """The nearest kernel of norm at most 1."""
    norm = float(np.linalg.norm(kernel.ravel()))
    return kernel / norm if norm > 1 else kernel


def _slope(codings: Sequence[Coding], k: int, kernels: Array) -> Array:
    """Minus the gradient for one kernel, in double precision."""
    total = np.zeros(kernels.shape[1:], np.float64)
    for coding in codings:
        sums = np.empty((1, *kernels.shape[1:]), coding.images.dtype)
        coding.atoms.correlate(sums, k)
        total += sums[0]
    return total


def _move(codings: Sequence[Coding], k: int, change: Array) -> None:
    for coding in codings:
        coding.atoms.move(k, np.ascontiguousarray(change, coding.images.dtype))
