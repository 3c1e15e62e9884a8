"""Codes under a penalty alpha * sum(|z|^p) with p < 1, which is nearer to counting atoms than the sum of magnitudes is.

The problem is not convex. It is split in two, for z and for x near it, with a weight b that rises from step to step:

    minimise  1/2 * sum(w * (D z - s)^2) + b/2 * sum((z - x)^2) + alpha * sum(|x|^p)

For fixed x the best z solves linear equations (conjugate gradients); for fixed z each x is the solution of a problem in
one number, exact here for every p. At the end x alone is brought down by plain proximal steps, in which the objective
itself does not rise.

Sources: Zeiler, Krishnan, Taylor and Fergus, "Deconvolutional networks" (2010), for the splitting and its continuation;
Krishnan and Fergus, "Fast image deconvolution using hyper-Laplacian priors" (2009), for p < 1.
"""

from __future__ import annotations

from math import nan

import numpy as np

from tconv.arrays import Array
from tconv.decomposition.coding import Coding, Standing
from tconv.decomposition.descent import Outcome, Tell, rounding
from tconv.decomposition.fista import Steps

FIRST, FACTOR, LAST = 0.01, 2.0, 4.0  # of the weight b, relative to the steepness of the problem
EQUATIONS = 6  # steps of conjugate gradients for each weight
NEWTON = 8  # steps, from above, after which a root is exact to rounding


def proximal(v: Array, penalty: float, p: float, positive: bool = False) -> Array:
    """The x that minimises (x - v)^2 / 2 + penalty * |x|^p, for each number of `v`; 0 < p < 1.

    >>> proximal(np.array([-3.0, 1.0, 2.0]), 1.0, 0.5).round(4).tolist()
    [-2.6955, 0.0, 1.6054]
    """
    jump = (2 * penalty * (1 - p)) ** (1 / (2 - p))
    lowest = jump + penalty * p * jump ** (p - 1)  # below it, 0 is better than the other minimum
    far = v > lowest if positive else np.abs(v) > lowest
    size = np.abs(v[far]).astype(np.float64)
    x = size.copy()
    for _ in range(NEWTON):
        x -= (x - size + penalty * p * x ** (p - 1)) / (1 + penalty * p * (p - 1) * x ** (p - 2))
    result = np.zeros_like(v)
    result[far] = np.copysign(x, v[far])
    return result


def shrink_by_power(
    coding: Coding, alpha: float, p: float, tol: float, max_iter: int, tell: Tell | None = None
) -> Outcome:
    """A local minimum; arguments and result as `descent.descend`, but the relative change of the objective is held to
    tol."""
    outcome = Outcome(dual_gap=nan)
    steps = Steps(coding)
    steep = steps.steepness() or 1.0
    best = steps.z.copy()
    try:
        best = _continued(steps, coding, alpha, p, steep)
        outcome.objective = _objective(coding, steps, best, alpha, p)
        outcome.objectives.append(outcome.objective)
        while outcome.n_iter < max_iter and not outcome.converged:
            outcome.n_iter += 1
            after = proximal(best + steps.pull(best) / steep, alpha / steep, p, coding.positive)
            found = _objective(coding, steps, after, alpha, p)
            if found > outcome.objective:
                outcome.converged = found - outcome.objective <= 10 * rounding(coding, outcome.objective)
                steep *= FACTOR
                continue
            outcome.converged = outcome.objective - found <= tol / 10 * found
            best, outcome.objective = after, found
            outcome.objectives.append(found)
            if tell:
                tell(outcome.n_iter, Standing(found, 0.0, 0.0))
    except KeyboardInterrupt:
        outcome.interrupted = True
        outcome.objective = _objective(coding, steps, best, alpha, p)
    coding.load(best)
    return outcome


def _continued(steps: Steps, coding: Coding, alpha: float, p: float, steep: float) -> Array:
    """x after the weights have risen to the last."""
    z, weight = steps.z, FIRST * steep
    while True:
        x = proximal(z, alpha / weight, p, coding.positive)
        if weight >= LAST * steep:
            return x
        z = _nearest(steps, z, x, weight)
        weight *= FACTOR


def _nearest(steps: Steps, z: Array, x: Array, weight: float) -> Array:
    """The z near the image and near x: some conjugate gradients on (D^T W D + weight) z = D^T W s + weight * x."""
    residual = steps.pull(z) + weight * (x - z)
    direction, z = residual.copy(), z.copy()
    squares = float(np.vdot(residual, residual))
    for _ in range(EQUATIONS):
        if squares == 0:
            break
        image = steps.curve(direction) + weight * direction
        pace = squares / float(np.vdot(direction, image))
        z += pace * direction
        residual -= pace * image
        before, squares = squares, float(np.vdot(residual, residual))
        direction *= squares / before
        direction += residual
    return z


def _objective(coding: Coding, steps: Steps, z: Array, alpha: float, p: float) -> float:
    values = np.abs(z[z != 0]).astype(np.float64)
    return coding.squares(steps.left(z)) / 2 + alpha * float(np.sum(values**p))
