"""Sparse codes by accelerated proximal gradient steps on all atoms at once, on the engine alone.

y = z + momentum * (z - z_before);  z_next = soft(y + D^T(w * (s - D y)) / L, alpha / L)

D y follows from D z and D z_before, so a step takes one transposed convolution and one of its adjoint; all that happens
to the codes is one pass over three arrays. When the objective would rise, the step is taken back and the momentum
begins anew, so that it never does.

Sources: Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems" (2009);
O'Donoghue and Candes, "Adaptive restart for accelerated gradient schemes" (2015).
"""

from __future__ import annotations

import numpy as np

from tconv import native
from tconv.arrays import Array
from tconv.decomposition.coding import Coding, Standing
from tconv.decomposition.descent import Outcome, Patience, Tell, rounding
from tconv.decomposition.responses import Responses
from tconv.layer import prepare
from tconv.native import _core

LOOK = 10  # steps between two looks at the duality gap
POWER = 30  # steps of the power iteration
SAFETY = 1.02  # by which its result, a lower bound, is enlarged; backtracking does the rest
STEEPER = 1.5  # times, where a plain step made the objective rise


class Steps:
    """The operators of one problem and the arrays of its steps.

    Attributes:
        z: the codes.
        rest: weights * (s - D z).
    """

    def __init__(self, coding: Coding) -> None:
        frame, dtype = coding.frame, coding.images.dtype
        self._coding = coding
        self._synthesis = prepare(coding.kernels, geometry=frame.geometry)
        self._responses = Responses(coding.kernels, frame.geometry.stride)
        self._canvas = np.zeros((*coding.images.shape[:2], *frame.canvas), dtype)
        self._window = (slice(None), slice(None), *frame.window)
        self._weights = coding.atoms.weights[self._window]
        self._weighted = coding.weighted
        self.z = coding.codes()
        self._older = self.z.copy()
        self._gradient = np.empty_like(self.z)
        self.rest = self.left(self.z)
        self._rest_older = self.rest
        self._proximal = _core.proximal_f32 if dtype == np.float32 else _core.proximal_f64

    def steepness(self) -> float:
        """The largest eigenvalue of D^T W D, from below, by power iteration."""
        z = np.random.default_rng(0).standard_normal(self.z.shape, np.float64).astype(self.z.dtype)
        largest = 0.0
        for _ in range(POWER):
            z /= np.linalg.norm(z.ravel())
            z = self.curve(z)
            before, largest = largest, float(np.linalg.norm(z.ravel()))
            if largest - before <= 1e-3 * largest:
                break
        return largest * SAFETY

    def step(self, pace: float, alpha: float, momentum: float) -> float:
        """Take a step; the objective. It can be taken back once."""
        self._respond(self.rest + momentum * (self.rest - self._rest_older))
        norm, _ = self._proximal(
            self._older, self.z, self._gradient, pace, alpha * pace, momentum, self._coding.positive, native.active()
        )
        self.z, self._older = self._older, self.z
        self._rest_older, self.rest = self.rest, self.left(self.z)
        return self._coding.squares(self.rest) / 2 + alpha * norm

    def take_back(self) -> None:
        """Be where the last step began, without momentum."""
        self.z, self._older = self._older, self.z
        self.rest = self._rest_older

    def standing(self, alpha: float, bound: float) -> Standing:
        """Objective and gap of the codes as they are."""
        responses = self._respond(self.rest)
        peak = float(responses.max() if self._coding.positive else np.abs(responses).max())
        return self._coding.standing_of(self.rest, float(np.abs(self.z).sum(dtype=np.float64)), alpha, peak, bound)

    def curve(self, z: Array) -> Array:
        """D^T W D z."""
        return self._respond(self._weights * self._synthesis(z)).copy()

    def pull(self, z: Array) -> Array:
        """D^T W (s - D z)."""
        return self._respond(self.left(z)).copy()

    def left(self, z: Array) -> Array:
        """W (s - D z)."""
        return self._weighted - self._weights * self._synthesis(z)

    def _respond(self, rest: Array) -> Array:
        self._canvas[self._window] = rest
        return self._responses(self._canvas, self._gradient)


def fista(coding: Coding, alpha: float, tol: float, max_iter: int, tell: Tell | None = None) -> Outcome:
    """Bring the codes to within a duality gap of tol * objective; arguments and result as `descent.descend`."""
    outcome = Outcome()
    steps = Steps(coding)
    try:
        _run(steps, coding, alpha, tol, max_iter, outcome, tell)
    except KeyboardInterrupt:
        outcome.interrupted = True
    coding.load(steps.z)
    if outcome.interrupted:
        outcome.objective = coding.objective(alpha)
    return outcome


def _run(
    steps: Steps, coding: Coding, alpha: float, tol: float, max_iter: int, outcome: Outcome, tell: Tell | None
) -> None:
    pace = 1 / (steps.steepness() or 1.0)
    bound, t, momentum, objective = 0.0, 1.0, 0.0, coding.objective(alpha)
    outcome.objectives.append(objective)
    patience = Patience()
    while True:
        if outcome.n_iter % LOOK == 0 or outcome.n_iter >= max_iter:
            standing = steps.standing(alpha, bound)
            bound, rests = standing.bound, outcome.objective - objective <= rounding(coding, objective)
            outcome.objective, outcome.dual_gap = standing.objective, standing.gap
            if tell:
                tell(outcome.n_iter, standing)
            outcome.converged = standing.gap <= tol * standing.objective or patience.ends(standing.gap, rests)
            if outcome.converged or outcome.n_iter >= max_iter:
                return
        outcome.n_iter += 1
        found = steps.step(pace, alpha, momentum)
        if found <= objective + rounding(coding, objective):
            outcome.objectives.append(found)
            objective = found
            following = (1 + (1 + 4 * t * t) ** 0.5) / 2
            t, momentum = following, (t - 1) / following
            continue
        steps.take_back()
        if momentum == 0:  # a plain step rises where it is too long
            pace /= STEEPER
        t, momentum = 1.0, 0.0
