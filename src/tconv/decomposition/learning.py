"""`ConvDictionaryLearning`: kernels learned with the codes of images, by scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array, as_array
from tconv.decomposition import batch
from tconv.decomposition.coder import ConvSparseCoder, check_penalty, warn_of_silence
from tconv.decomposition.coding import Coding, Standing
from tconv.decomposition.descent import AGAIN, NEAR, Outcome, Tell, approach
from tconv.decomposition.dictionary import improve, projected
from tconv.decomposition.estimator import Estimator, fitted
from tconv.decomposition.frame import frame
from tconv.decomposition.progress import shown
from tconv.geometry import Sizes
from tconv.geometry.arguments import Ints, at_least_one, integer, is_sequence, per_axis

SWEEPS = 2  # over the atoms, between two rounds of the kernels
ROUNDS = 2  # of the kernels, between two looks at all responses


class Learner(Estimator):
    """What both ways of learning have in common: parameters, kernels to begin with, and codes of the learned ones."""

    n_kernels: int
    kernel_size: Ints
    alpha: float
    stride: Ints
    positive: bool
    border: str
    tol: float
    max_iter: int
    init: Any
    random_state: Any
    verbose: bool

    def transform(self, X: Any, mask: Any = None, codes: Any = None) -> Any:
        """The codes of images under the learned kernels: see `ConvSparseCoder.transform`."""
        coder = self.coder()
        result = coder.transform(X, mask, codes)
        self.size_ = coder.size_
        return result

    def inverse_transform(self, Z: Any, size: Ints | None = None) -> Any:
        """The images that codes stand for: see `ConvSparseCoder.inverse_transform`."""
        coder = self.coder()
        if hasattr(self, "size_"):
            coder.size_ = self.size_
        return coder.inverse_transform(Z, size)

    def coder(self) -> ConvSparseCoder:
        """A coder with the learned kernels.

        Raises:
            TconvError: there has been no `fit`.
        """
        return ConvSparseCoder(
            fitted(self, "components_"),
            self.alpha,
            stride=self.stride,
            positive=self.positive,
            border=self.border,
            verbose=self.verbose,
        )

    def _judged(self) -> None:
        at_least_one("n_kernels", integer("n_kernels", self.n_kernels), errors.TconvError)
        check_penalty(self.alpha, 1.0, self.tol, self.max_iter)
        batch.flag("positive", self.positive)

    def _kernel(self, ndim: int) -> Sizes:
        """The kernel's size for images of so many axes."""
        if is_sequence(self.kernel_size) and len(self.kernel_size) not in (1, ndim):
            raise errors.RankError(
                f"kernel_size {self.kernel_size} has {len(self.kernel_size)} axes, the images have {ndim}; give "
                f"one size per axis"
            )
        sizes = per_axis("kernel_size", self.kernel_size, ndim)
        for size in sizes:
            at_least_one("kernel_size", size, errors.KernelError)
        return sizes

    def _first(self, groups: Sequence[Array], weights: Sequence[Array | None], kernel: Sizes) -> Array:
        """Kernels to begin with, of norm 1."""
        shape = (self.n_kernels, groups[0].shape[1], *kernel)
        rng = batch.generator(self.random_state)
        if isinstance(self.init, str):
            if self.init not in ("patches", "random"):
                raise errors.TconvError(
                    f"init {self.init!r} is unknown; choose 'patches', 'random' or an array of kernels"
                )
            noise = rng.standard_normal(shape)
            if self.init == "patches":
                noise = _patches(groups, weights, shape, rng, noise)
            flat = noise.reshape(self.n_kernels, -1)
            first: Array = (flat / np.linalg.norm(flat, axis=1, keepdims=True)).reshape(shape)
            return first
        given = batch.kernels(as_array("init", self.init)).astype(np.float64)
        if given.shape != shape:
            raise errors.RankError(f"init has shape {given.shape}; these parameters and images need {shape}")
        return np.stack([projected(one) for one in given])


class ConvDictionaryLearning(Learner):
    """Kernels d, of norm at most 1, and codes z with which images are rebuilt from few atoms.

        minimise over d and z  1/2 * sum(w * (sum over k of d_k * z_k - s)^2) + alpha * sum(|z|)

    Codes and kernels are improved in turns, each from where it was left, so that the objective never rises. Everything
    is kept in memory: for many or large images there is `MiniBatchConvDictionaryLearning`. Remove the images' mean or
    their smooth part first (`split`), or kernels are spent on it.

    Args:
        n_kernels: how many.
        kernel_size: an int, or one per axis.
        alpha, stride, positive, border: see `ConvSparseCoder`.
        max_iter: turns at most.
        tol: it ends when a turn lowers the objective by less than this part of it.
        init: "patches" (of the images, at random), "random", or kernels to begin with.
        random_state: a seed, or a numpy.random.Generator.
        verbose: whether a bar shows the progress, on a terminal.

    Attributes:
        components_: (n_kernels, channels, *kernel).
        objective_, objectives_: at the end, and after each turn.
        n_iter_: turns.
        converged_, interrupted_: whether `tol` ended it, or Ctrl-C; what was learned until then is kept.

    Source: Zeiler, Krishnan, Taylor and Fergus, "Deconvolutional networks" (2010); Garcia-Cardona and Wohlberg,
    "Convolutional dictionary learning: a comparative review" (2018).
    """

    def __init__(
        self,
        n_kernels: int = 32,
        kernel_size: Ints = 8,
        alpha: float = 0.05,
        *,
        stride: Ints = 1,
        positive: bool = False,
        border: str = "cropped",
        max_iter: int = 100,
        tol: float = 1e-3,
        init: Any = "patches",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_kernels = n_kernels
        self.kernel_size = kernel_size
        self.alpha = alpha
        self.stride = stride
        self.positive = positive
        self.border = border
        self.max_iter = max_iter
        self.tol = tol
        self.init = init
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, mask: Any = None) -> ConvDictionaryLearning:
        """Learn from images, (images, channels, *size) or a list of (channels, *size); masks as in `transform`.

        Raises:
            RankError, ChannelError, InputSizeError, DtypeError, KernelError, StrideError, TconvError: as the names say.
        """
        self._judged()
        groups = batch.images(X, masked=mask is not None)
        _alike(groups)
        weights = batch.masks(mask, groups, isinstance(X, list | tuple))
        kernel = self._kernel(groups[0].ndim - 2)
        kernels = self._first(groups, weights, kernel)
        codings = [
            Coding(group, some, frame(group.shape[2:], kernel, self.stride, self.border), kernels, bool(self.positive))
            for group, some in zip(groups, weights, strict=True)
        ]
        with shown("kernels", self.verbose, self.tol) as tell:
            outcome = learn(codings, kernels, self.alpha, self.tol, self.max_iter, tell)
        self.components_ = kernels.astype(groups[0].dtype)
        self.objective_, self.objectives_ = outcome.objective, outcome.objectives
        self.n_iter_, self.converged_, self.interrupted_ = outcome.n_iter, outcome.converged, outcome.interrupted
        self.size_ = groups[-1].shape[2:]
        warn_of_silence(codings, self.alpha, self.interrupted_)
        return self


def learn(
    codings: Sequence[Coding], kernels: Array, alpha: float, tol: float, max_iter: int, tell: Tell | None = None
) -> Outcome:
    """Improve codes and kernels (in place) in turns."""
    outcome = Outcome()
    steepness = np.zeros(len(kernels))
    try:
        for coding in codings:
            approach(coding, alpha)
            coding.renew()
        while True:
            before = outcome.objective
            outcome.objective = sum(coding.objective(alpha) for coding in codings)
            outcome.objectives.append(outcome.objective)
            if tell:
                tell(outcome.n_iter, Standing(outcome.objective, 2 * outcome.objective - before, 0.0))
            outcome.converged = before - outcome.objective <= tol * outcome.objective
            if outcome.converged or outcome.n_iter >= max_iter:
                return outcome
            outcome.n_iter += 1
            _turn(codings, kernels, steepness, alpha)
    except KeyboardInterrupt:
        outcome.interrupted = True
        for coding in codings:
            coding.use(kernels)
        outcome.objective = sum(coding.objective(alpha) for coding in codings)
    return outcome


def _turn(codings: Sequence[Coding], kernels: Array, steepness: Array, alpha: float) -> None:
    for coding in codings:
        coding.screen(alpha * NEAR)
    for _ in range(ROUNDS):
        for coding in codings:
            for _ in range(SWEEPS):
                coding.atoms.descend(alpha, coding.positive, AGAIN)
        improve(codings, kernels, steepness)
        for coding in codings:
            coding.use(kernels)


def _alike(groups: Sequence[Array]) -> None:
    """Refuse images that no kernels fit together."""
    for n, group in enumerate(groups):
        if group.ndim != groups[0].ndim or group.shape[1] != groups[0].shape[1]:
            raise errors.ChannelError(
                f"X[{n}] has shape {group.shape[1:]}, X[0] has {groups[0].shape[1:]}; images must agree in "
                f"channels and axes"
            )


def _patches(
    groups: Sequence[Array],
    weights: Sequence[Array | None],
    shape: tuple[int, ...],
    rng: np.random.Generator,
    noise: Array,
) -> Array:
    """Patches of the images at random, without their mean; noise where a patch is flat or does not fit."""
    kernel = shape[2:]
    counts = np.array([len(group) for group in groups])
    result = 1e-3 * noise
    for k in range(shape[0]):
        which = rng.choice(len(groups), p=counts / counts.sum())
        image = int(rng.integers(counts[which]))
        size = groups[which].shape[2:]
        corner = [int(rng.integers(max(n - t, 0) + 1)) for n, t in zip(size, kernel, strict=True)]
        cut: Any = (image, slice(None), *(slice(c, c + t) for c, t in zip(corner, kernel, strict=True)))
        patch = groups[which][cut].astype(np.float64)
        some = weights[which]
        if some is not None:
            patch = np.where(some[cut] > 0, patch, 0.0)
        patch -= patch.mean()
        norm = np.linalg.norm(patch)
        if norm > 0:
            place: Any = (k, slice(None), *(slice(n) for n in patch.shape[1:]))
            result[place] += patch / norm
    return result
