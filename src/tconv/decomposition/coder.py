"""`ConvSparseCoder`: the sparse codes of images under given kernels, by scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any
from warnings import warn

import numpy as np

from tconv import errors
from tconv.arrays import Array, as_array
from tconv.decomposition import batch
from tconv.decomposition.coding import Coding
from tconv.decomposition.descent import Outcome, Tell, descend
from tconv.decomposition.estimator import Estimator
from tconv.decomposition.fista import fista
from tconv.decomposition.frame import frame, largest_size
from tconv.decomposition.powers import shrink_by_power
from tconv.decomposition.progress import shown
from tconv.geometry import Sizes
from tconv.geometry.arguments import Ints, at_least_one, integer, per_axis
from tconv.layer import prepare

SOLVERS: dict[str, Callable[[Coding, float, float, int, Tell | None], Outcome]] = {"descent": descend, "fista": fista}


class ConvSparseCoder(Estimator):
    """Codes z whose transposed convolution with the kernels d is near the image s, few of them other than zero.

        minimise  1/2 * sum(w * (sum over k of d_k * z_k - s)^2) + alpha * sum(|z|^p)

    `*` is the transposed convolution with the given stride, cropped as `border` says, and w the mask. For p = 1 the
    problem is convex, and the result is within `tol` of the optimum, as the duality gap proves; kernels are usually of
    norm 1. Nothing is subtracted from the images: remove their mean or their smooth part first (`split`), as kernels
    that are small explain these badly.

    Args:
        kernels: (n_kernels, channels, *kernel), in one to three or more dimensions.
        alpha: the penalty, above 0.
        stride: pixels between neighbouring places of a kernel; an int, or one per axis.
        positive: whether codes must not be negative.
        border: "cropped" (every pixel is reached by equally many atoms, which may reach beyond the image) or "inside"
            (no atom does).
        p: the power of the penalty, above 0 and at most 1. Below 1 the result is a local minimum, found by splitting
            the problem in two with a weight that rises (`powers`).
        solver: "descent" (coordinates, see `descent`) or "fista" (proximal gradients, see `fista`); for p = 1.
        tol: the duality gap at which it ends, relative to the objective.
        max_iter: sweeps or steps at most.
        verbose: whether a bar shows the progress, on a terminal.

    Attributes:
        objective_: what was reached in the last transform, over all images.
        dual_gap_: how far that is from the optimum at most; NaN for p < 1.
        n_iter_: sweeps (descent) or steps (fista), the most of any group of images of one size.
        converged_: whether it ended because the gap was small, or no progress was left in the dtype's precision.
        interrupted_: whether Ctrl-C ended it; the codes are then the best so far.
        size_: of the images, per axis; of the last ones of a list.

    Sources: Zeiler, Krishnan, Taylor and Fergus, "Deconvolutional networks" (2010); Wohlberg, "Efficient algorithms for
    convolutional sparse representations" (2016).

    >>> import numpy as np
    >>> kernels = np.array([[[1.0, 0.0]], [[0.6, 0.8]]])
    >>> coder = ConvSparseCoder(kernels, alpha=0.1)
    >>> codes = coder.transform(np.array([[[0.0, 3.0, 4.0, 0.0]]]))
    >>> print(codes.shape, np.abs(codes[0, 1]).argmax(), coder.inverse_transform(codes).round(2))
    (1, 2, 5) 2 [[[0.   2.94 3.92 0.  ]]]
    """

    def __init__(
        self,
        kernels: Any,
        alpha: float = 0.05,
        *,
        stride: Ints = 1,
        positive: bool = False,
        border: str = "cropped",
        p: float = 1.0,
        solver: str = "descent",
        tol: float = 1e-3,
        max_iter: int = 1000,
        verbose: bool = False,
    ) -> None:
        self.kernels = kernels
        self.alpha = alpha
        self.stride = stride
        self.positive = positive
        self.border = border
        self.p = p
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, mask: Any = None) -> ConvSparseCoder:
        """Judge parameters and images; there is nothing to learn.

        Raises:
            RankError, ChannelError, InputSizeError, DtypeError, KernelError, StrideError, TconvError: as the names say.
        """
        kernels = self._judged()
        groups = batch.images(X, kernels.ndim - 2, kernels.shape[1], mask is not None)
        batch.masks(mask, groups, isinstance(X, list | tuple))
        for group in groups:
            self._frame(group.shape[2:], kernels.shape[2:])
        return self

    def transform(self, X: Any, mask: Any = None, codes: Any = None) -> Any:
        """The codes of images.

        Args:
            X: (images, channels, *size), or a list of (channels, *size). It is computed in float32 or float64 as it is;
                integers in float64.
            mask: True or 1 for what is known, False or 0 for what is missing, or weights between; broadcast to X, or a
                list. What is missing may hold anything.
            codes: to begin with, such as those of the last frame of a film; default all zero.

        Returns:
            (images, n_kernels, *places), or a list of (n_kernels, *places).

        Raises:
            As `fit`; RankError: codes of another shape.
        """
        kernels, listed = self._judged(), isinstance(X, list | tuple)
        groups = batch.images(X, kernels.ndim - 2, kernels.shape[1], mask is not None)
        weights = batch.masks(mask, groups, listed)
        begin = list(codes) if listed and codes is not None else [codes] * len(groups)
        outcomes, results, codings = [], [], []
        with shown("codes", self.verbose, self.tol) as tell:
            for group, weight, some in zip(groups, weights, begin, strict=True):
                coding = self._coding(group, weight, kernels)
                if some is not None:
                    coding.load(_codes(np.asarray(some)[None] if listed else some, coding))
                outcomes.append(self._solve(coding, tell))
                results.append(coding.codes())
                codings.append(coding)
                if outcomes[-1].interrupted:
                    break
        for group in groups[len(results) :]:  # not reached before Ctrl-C
            results.append(np.zeros_like(self._coding(group, None, kernels).codes()))
        self._record(outcomes, groups[-1].shape[2:])
        warn_of_silence(codings, self.alpha, self.interrupted_)
        return [one[0] for one in results] if listed else results[0]

    def inverse_transform(self, Z: Any, size: Ints | None = None) -> Any:
        """The images that codes stand for: their transposed convolution with the kernels.

        Args:
            Z: what `transform` returns.
            size: of the images, per axis. Default: that of the last transform if it fits, else the largest that has so
                many places, which a stride leaves open.

        Raises:
            RankError, ChannelError, InputSizeError: as their names say.
        """
        kernels = self._judged()
        if isinstance(Z, list | tuple):
            return [self._image(np.asarray(one)[None], size, kernels)[0] for one in Z]
        return self._image(as_array("Z", Z), size, kernels)

    def _image(self, codes: Array, size: Ints | None, kernels: Array) -> Array:
        axes = kernels.ndim - 2
        if codes.ndim != axes + 2 or codes.shape[1] != len(kernels):
            raise errors.RankError(
                f"Z has shape {codes.shape}; codes are (images, {len(kernels)}, *places) with {axes} axes of places"
            )
        places, kernel = codes.shape[2:], kernels.shape[2:]
        last: Sizes | None = getattr(self, "size_", None)
        if size is not None:
            wanted = per_axis("size", size, axes)
        elif last is not None and self._frame(last, kernel).places == places:
            wanted = last
        else:
            wanted = largest_size(places, kernel, self.stride, self.border)
        where = self._frame(wanted, kernel)
        if where.places != places:
            raise errors.InputSizeError(
                f"codes with {places} places do not make an image of {wanted}, which has {where.places}; leave size out"
            )
        dtype = batch.computed_in(codes.dtype)
        return prepare(kernels.astype(dtype), geometry=where.geometry)(np.ascontiguousarray(codes, dtype))

    def _judged(self) -> Array:
        """The kernels, after all parameters have been looked at."""
        kernels = batch.kernels(self.kernels)
        check_penalty(self.alpha, self.p, self.tol, self.max_iter)
        batch.flag("positive", self.positive)
        if self.solver not in SOLVERS:
            raise errors.TconvError(f"solver {self.solver!r} is unknown; choose {' or '.join(map(repr, SOLVERS))}")
        return kernels

    def _frame(self, size: Sizes, kernel: Sizes) -> Any:
        return frame(size, kernel, self.stride, self.border)

    def _coding(self, images: Array, weights: Array | None, kernels: Array) -> Coding:
        where = self._frame(images.shape[2:], kernels.shape[2:])
        return Coding(images, weights, where, kernels.astype(images.dtype), bool(self.positive))

    def _solve(self, coding: Coding, tell: Tell | None) -> Outcome:
        if self.p == 1:
            return SOLVERS[self.solver](coding, self.alpha, self.tol, self.max_iter, tell)
        return shrink_by_power(coding, self.alpha, self.p, self.tol, self.max_iter, tell)

    def _record(self, outcomes: list[Outcome], size: Sizes) -> None:
        self.objective_ = sum(outcome.objective for outcome in outcomes)
        self.dual_gap_ = sum(outcome.dual_gap for outcome in outcomes)
        self.n_iter_ = max(outcome.n_iter for outcome in outcomes)
        self.converged_ = all(outcome.converged for outcome in outcomes)
        self.interrupted_ = any(outcome.interrupted for outcome in outcomes)
        self.size_ = size


def check_penalty(alpha: Any, p: Any, tol: Any, max_iter: Any) -> None:
    """Refuse what no solver can work with.

    Raises:
        TconvError, ArgumentTypeError: as the message says.
    """
    if batch.number("alpha", alpha, above=False) == 0:
        raise errors.TconvError(
            "alpha 0 leaves nothing that makes codes sparse; give a penalty above 0, such as 0.05 for images "
            "from 0 to 1"
        )
    if not 0 < batch.number("p", p) <= 1:
        raise errors.TconvError(f"p {p} must be above 0 and at most 1; 1 is the convex penalty")
    batch.number("tol", tol, above=False)
    at_least_one("max_iter", integer("max_iter", max_iter), errors.TconvError)


def warn_of_silence(codings: Sequence[Coding], alpha: float, interrupted: bool) -> None:
    """Say so if the penalty is so large that all codes are zero."""
    if interrupted or any(coding.atoms.count(False) for coding in codings):
        return
    peak = max(coding.screen(inf) for coding in codings)
    warn(
        f"alpha {alpha:g} is not below {peak:.3g}, the largest response of any kernel, so that all codes are zero; "
        f"choose a smaller one",
        stacklevel=3,
    )


def _codes(value: Any, coding: Coding) -> Array:
    codes = as_array("codes", value)
    wanted = (len(coding.images), len(coding.kernels), *coding.frame.places)
    if codes.shape != wanted:
        raise errors.RankError(
            f"codes have shape {codes.shape}, the images have codes of {wanted}; begin with such, or none"
        )
    if not np.isfinite(codes).all():
        raise errors.TconvError("codes hold NaN or Inf; begin with finite ones, or with none")
    return codes
