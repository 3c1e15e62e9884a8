"""Sparse codes by coordinate descent on the atoms that may count.

A round asks the engine for the responses of all atoms to what is not explained yet, and takes those into the lists that
could become other than zero (they violate the optimality conditions, or nearly so); then every atom of the lists is
given its best value, one after the other, again and again. Rounds end when the duality gap, which the responses tell,
is small. It begins with the largest penalty at which anything is explained and lowers it in steps, as a few strong
atoms soon explain most of an image.

Sources: Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via coordinate descent"
(2010); Massias, Gramfort and Salmon, "Celer: a fast solver for the Lasso with dual extrapolation" (2018), for working
sets and gaps; Moreau, Oudre and Vayatis, "DICOD: distributed convolutional coordinate descent" (2018), for
convolutional codes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from tconv.decomposition.coding import Coding, Standing

LOWER = 0.5  # the penalty of the next step on the way
NEAR = 0.9  # of the penalty: responses above it join the lists
AGAIN = 2  # sweeps over the atoms that are not zero, for one over all of the lists
ROUNDS_ON_THE_WAY = 1  # sweeps of a step on the way
SWEEPS = 10  # at most, between two looks at all responses
LITTLE = 0.01  # of what the first of these sweeps gained: the next ones are not worth while
SMALLER, IDLE = 0.8, 3  # a gap that does not become so much smaller in so many looks, with the objective at rest, stays

Tell = Callable[[int, Standing], None]


@dataclass
class Outcome:
    """How a solver ended.

    Attributes:
        objective, dual_gap: see `Standing`.
        n_iter: sweeps over all atoms of the lists, or steps of FISTA.
        converged: whether the gap, or what became of the objective, was small enough.
        interrupted: whether Ctrl-C ended it; the codes are the best so far.
        objectives: after each round, from the first with the penalty itself on.
    """

    objective: float = inf
    dual_gap: float = inf
    n_iter: int = 0
    converged: bool = False
    interrupted: bool = False
    objectives: list[float] = field(default_factory=list)


def descend(coding: Coding, alpha: float, tol: float, max_iter: int, tell: Tell | None = None) -> Outcome:
    """Bring the codes to within a duality gap of tol * objective, or to where rounding ends it.

    Args:
        coding: with codes to begin with; all zero: the penalty is lowered step by step.
        alpha: the penalty, above 0.
        max_iter: sweeps at most.
        tell: is called with the sweeps so far and the standing, after each round.
    """
    outcome = Outcome()
    try:
        if not coding.atoms.count(False):
            outcome.n_iter = approach(coding, alpha, max_iter)
        _settle(coding, alpha, tol, max_iter, outcome, tell)
    except KeyboardInterrupt:
        outcome.interrupted = True
    coding.renew()  # takes out what many steps have lost by rounding; a bound stays one
    before, outcome.objective = outcome.objective, coding.objective(alpha)
    outcome.dual_gap = max(outcome.dual_gap + outcome.objective - before, 0.0) if before < inf else inf
    return outcome


def approach(coding: Coding, alpha: float, max_iter: int = 1000) -> int:
    """Lower the penalty from where all codes are zero to not far above alpha; how many sweeps it took."""
    level, sweeps = coding.screen(inf) * LOWER, 0
    while level > alpha and sweeps < max_iter:
        coding.screen(level * NEAR)
        for _ in range(ROUNDS_ON_THE_WAY):
            coding.atoms.descend(level, coding.positive, AGAIN)
        sweeps += ROUNDS_ON_THE_WAY
        level *= LOWER
    return sweeps


def _settle(coding: Coding, alpha: float, tol: float, max_iter: int, outcome: Outcome, tell: Tell | None) -> None:
    bound, patience = 0.0, Patience()
    while True:
        standing = coding.standing(alpha, coding.screen(alpha * NEAR), bound)
        bound, before = standing.bound, outcome.objective
        outcome.objective, outcome.dual_gap = standing.objective, standing.gap
        outcome.objectives.append(standing.objective)
        if tell:
            tell(outcome.n_iter, standing)
        rests = before - standing.objective <= rounding(coding, standing.objective)
        outcome.converged = standing.gap <= tol * standing.objective or patience.ends(standing.gap, rests)
        if outcome.converged or outcome.n_iter >= max_iter:
            return
        first = 0.0
        for _ in range(min(SWEEPS, max_iter - outcome.n_iter)):
            less = coding.atoms.descend(alpha, coding.positive, AGAIN)
            outcome.n_iter += 1
            first = max(first, less)
            if less <= LITTLE * first:
                break


class Patience:
    """Whether nothing is gained any more: the gap goes on to shrink when rounding has brought the objective to rest."""

    def __init__(self) -> None:
        self._gap, self._idle = inf, 0

    def ends(self, gap: float, rests: bool) -> bool:
        """Whether this look at the gap, with the objective at rest or not, is the last."""
        self._idle = self._idle + 1 if rests and gap > SMALLER * self._gap else 0
        self._gap = min(self._gap, gap)
        return self._idle >= IDLE


def rounding(coding: Coding, objective: float) -> float:
    """A change of the objective that may be nothing but rounding."""
    return (1e-8 if coding.images.itemsize == 4 else 1e-15) * objective
