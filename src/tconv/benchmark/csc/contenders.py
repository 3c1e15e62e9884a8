"""What each contender does in its process: so many steps on a problem, and what it has found by then.

A contender is a function of a case, images and kernels that returns (steps to try, run), where run(n) takes n steps and
returns codes (images, kernels, *places), or kernels where these are learned. Options are those of the packages' own
examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from tconv.arrays import Array
from tconv.benchmark.csc.cases import Case

Run = Callable[[int], Array]
Contender = Callable[[Case, Array, Array], tuple[Sequence[int], Run]]

STEPS = (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896)
"""Numbers of steps that are tried, until one is enough."""
TURNS = (3, 6, 12, 25, 50, 100)
"""The same for learning."""
COMMON = {"Verbose": False, "RelStopTol": 0.0, "FastSolve": True, "NoBndryCross": True, "DataType": np.float32}
"""SPORCO's options for codes, whichever of its solvers finds them."""


def tconv_descent(case: Case, images: Array, kernels: Array) -> tuple[Sequence[int], Run]:
    """Coordinate descent on sparse codes; a step is a sweep."""
    return STEPS, lambda n: _coder(case, kernels, "descent", n).transform(images)


def tconv_fista(case: Case, images: Array, kernels: Array) -> tuple[Sequence[int], Run]:
    return STEPS, lambda n: _coder(case, kernels, "fista", n).transform(images)


def _coder(case: Case, kernels: Array, solver: str, steps: int) -> Any:
    from tconv.decomposition import ConvSparseCoder

    return ConvSparseCoder(kernels, case.alpha, border="inside", solver=solver, tol=0.0, max_iter=steps)


def tconv_learning(case: Case, images: Array, kernels: Array) -> tuple[Sequence[int], Run]:
    from tconv.decomposition import ConvDictionaryLearning

    def run(n: int) -> Array:
        learner = ConvDictionaryLearning(
            case.kernels, case.kernel, case.alpha, border="inside", max_iter=n, tol=0.0, init=kernels
        )
        return np.asarray(learner.fit(images).components_)

    return TURNS, run


def sporco_admm(case: Case, images: Array, kernels: Array) -> tuple[Sequence[int], Run]:
    from sporco.admm import cbpdn

    d, s, more = _theirs(case, images, kernels)

    def run(n: int) -> Array:
        options = cbpdn.ConvBPDN.Options({**COMMON, "MaxMainIter": n, "RelaxParam": 1.8, "AutoRho": {"Enabled": True}})
        return _ours(case, cbpdn.ConvBPDN(d, s, case.alpha, options, **more).solve())

    return STEPS, run


def sporco_pgm(case: Case, images: Array, kernels: Array) -> tuple[Sequence[int], Run]:
    from sporco.pgm import cbpdn
    from sporco.pgm.backtrack import BacktrackStandard

    d, s, more = _theirs(case, images, kernels)

    def run(n: int) -> Array:
        options = cbpdn.ConvBPDN.Options({**COMMON, "MaxMainIter": n, "L": 10.0, "Backtrack": BacktrackStandard()})
        return _ours(case, cbpdn.ConvBPDN(d, s, case.alpha, options, **more).solve())

    return STEPS, run


def sporco_learning(case: Case, images: Array, kernels: Array) -> tuple[Sequence[int], Run]:
    from sporco.dictlrn import cbpdndl

    d, s, _ = _theirs(case, images, kernels)

    def run(n: int) -> Array:
        options = cbpdndl.ConvBPDNDictLearn.Options(
            {
                "Verbose": False,
                "MaxMainIter": n,
                "CBPDN": {"rho": 50.0 * case.alpha + 0.5, "NoBndryCross": True, "DataType": np.float32},
                "CCMOD": {"rho": 10.0, "DataType": np.float32},
            },
            dmethod="cns",
        )
        learned = cbpdndl.ConvBPDNDictLearn(d, s, case.alpha, options, dmethod="cns").solve()
        found: Array = np.moveaxis(learned.reshape(case.kernel, case.kernel, case.kernels), -1, 0)[:, None]
        return found

    return TURNS, run


def _theirs(case: Case, images: Array, kernels: Array) -> tuple[Array, Array, dict[str, int]]:
    """SPORCO's layout: (*kernel, kernels) and (*size) or (*size, images)."""
    d, s = np.moveaxis(kernels[:, 0], 0, -1), np.moveaxis(images[:, 0], 0, -1)
    if len(images) == 1:
        return d, s[..., 0], {"dimK": 0, "dimN": case.ndim}
    return d, s, {"dimK": 1, "dimN": case.ndim}


def _ours(case: Case, codes: Array) -> Array:
    """From (*size, 1, images, kernels), without the places at which atoms would wrap around."""
    places = case.size - case.kernel + 1
    whole = codes.reshape(*(case.size,) * case.ndim, case.images, case.kernels)
    inside = whole[(slice(places),) * case.ndim]
    return np.ascontiguousarray(np.moveaxis(inside, (-2, -1), (0, 1)))


def alphacsc_lgcd(case: Case, images: Array, kernels: Array) -> tuple[Sequence[int], Run]:
    """Locally greedy coordinate descent, on signals of one axis; its steps are tolerances, 10^(-n/4)."""
    from alphacsc.update_z_multi import update_z_multi

    def run(n: int) -> Array:
        found = update_z_multi(
            np.asarray(images, np.float64),
            np.concatenate([np.ones((len(kernels), 1)), kernels[:, 0]], axis=1),
            reg=case.alpha,
            solver="lgcd",
            solver_kwargs={"tol": 10 ** (-n / 4), "max_iter": 10**6},
            positive=False,
        )
        return np.asarray(found[0])

    return range(4, 40), run


CODERS: dict[str, Contender] = {
    "tconv": tconv_descent,
    "tconv fista": tconv_fista,
    "sporco admm": sporco_admm,
    "sporco pgm": sporco_pgm,
    "alphacsc lgcd": alphacsc_lgcd,
}
LEARNERS: dict[str, Contender] = {"tconv": tconv_learning, "sporco admm": sporco_learning}


def contenders(case: Case) -> list[str]:
    """Who can take part in a case, installed or not."""
    if case.what == "learn":
        return list(LEARNERS)
    return [name for name in CODERS if case.ndim == 1 or not name.startswith("alphacsc")]


def missing(name: str) -> str | None:
    """The package that a contender lacks here."""
    package = name.split()[0]
    return None if find_spec(package) else package
