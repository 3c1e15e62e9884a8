"""`MiniBatchConvDictionaryLearning`: kernels from many or large images, a few at a time, in one process or in many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.decomposition import batch
from tconv.decomposition.coding import Coding, Standing
from tconv.decomposition.descent import descend
from tconv.decomposition.frame import frame
from tconv.decomposition.learning import Learner
from tconv.decomposition.progress import shown
from tconv.decomposition.statistics import Statistics, improve
from tconv.geometry import Sizes
from tconv.geometry.arguments import Ints, at_least_one, integer, is_sequence, per_axis

# What codes one image: (images, weights, kernels, settings) of a batch of one.
Job = tuple[Array, Array | None, Array, dict[str, Any]]
Each = Callable[[list[Job]], list[Statistics]]


class MiniBatchConvDictionaryLearning(Learner):
    """The kernels of `ConvDictionaryLearning`, learned from a stream of images in bounded memory.

    Each image of a batch is coded; what the kernels have to know of the codes is added to sums of fixed size, in which
    older batches count less and less, and the kernels are improved for these sums. The images of a batch may be coded
    by the workers of a Dask cluster: what comes back is added up in the order of the images, so that the kernels are
    the same as in one process.

    Args:
        n_kernels, kernel_size, alpha, stride, positive, border, init, random_state, verbose: see
            `ConvDictionaryLearning`. With "patches", these are of the first batch.
        batch_size: images that are coded under the same kernels.
        window: sides of a random window to which each larger image is cut, each time that it comes; None: whole images.
        max_iter: passes over the images; one if they come from an iterator, which cannot be passed twice.
        forget: how fast batches grow old: those before the t-th count (1 - 1/t)^forget times as much after it.
        tol: the duality gap of the codes, relative to the objective.
        client: a distributed.Client whose workers code the images, or None.

    Attributes:
        components_: (n_kernels, channels, *kernel).
        objectives_: of each batch, per image, under the kernels that it found.
        n_iter_, n_steps_: passes, batches.
        interrupted_: whether Ctrl-C ended it; what was learned until then is kept.

    Sources: Mairal, Bach, Ponce and Sapiro, "Online learning for matrix factorization and sparse coding" (2010); Liu,
    Garcia-Cardona, Wohlberg and Yin, "First- and second-order methods for online convolutional dictionary learning"
    (2018).
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
        batch_size: int = 4,
        window: Ints | None = None,
        max_iter: int = 1,
        forget: float = 10.0,
        tol: float = 1e-2,
        init: Any = "patches",
        random_state: Any = None,
        client: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_kernels = n_kernels
        self.kernel_size = kernel_size
        self.alpha = alpha
        self.stride = stride
        self.positive = positive
        self.border = border
        self.batch_size = batch_size
        self.window = window
        self.max_iter = max_iter
        self.forget = forget
        self.tol = tol
        self.init = init
        self.random_state = random_state
        self.client = client
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, mask: Any = None) -> MiniBatchConvDictionaryLearning:
        """Learn from images: (images, channels, *size), a list of (channels, *size), or an iterable of such.

        Args:
            X: what an iterable yields may be of any size; it is read once and never held but for a batch.
            mask: as in `transform`; not with an iterable.

        Raises:
            As `ConvDictionaryLearning.fit`.
        """
        self._judged()
        self._forget_all()
        try:
            for _ in range(self.max_iter if is_sequence(X) else 1):
                steps = self.n_steps_
                with shown("kernels", self.verbose, self.tol) as tell:
                    for some in _batches(X, mask, self.batch_size):
                        self._learn(*some)
                        if tell:
                            tell(self.n_steps_, Standing(self.objectives_[-1], 0.0, 0.0))
                if self.n_steps_ == steps:
                    raise errors.TconvError("X has no images; give at least one")
                self.n_iter_ += 1
        except KeyboardInterrupt:
            if not hasattr(self, "components_"):
                raise
            self.interrupted_ = True
        return self

    def partial_fit(self, X: Any, y: Any = None, mask: Any = None) -> MiniBatchConvDictionaryLearning:
        """Learn from one batch more; the first one begins.

        Raises:
            As `ConvDictionaryLearning.fit`.
        """
        self._judged()
        if not hasattr(self, "components_"):
            self._forget_all()
        groups = batch.images(X, masked=mask is not None)
        weights = batch.masks(mask, groups, isinstance(X, list | tuple))
        self._learn(*_single(groups, weights))
        return self

    def _judged(self) -> None:
        super()._judged()
        at_least_one("batch_size", integer("batch_size", self.batch_size), errors.TconvError)
        batch.number("forget", self.forget, above=False)

    def _forget_all(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        self.objectives_: list[float] = []
        self.n_iter_, self.n_steps_, self.interrupted_ = 0, 0, False
        self._rng = batch.generator(self.random_state)
        self._sums: Statistics | None = None

    def _learn(self, images: list[Array], weights: list[Array | None]) -> None:
        """Code these images under the kernels as they are, then improve the kernels."""
        kernel = self._kernel(images[0].ndim - 2)
        if not hasattr(self, "components_"):
            self._kernels = self._first(images, weights, kernel)
        wanted = self._kernels.shape[1:]
        jobs = []
        for image, some in zip(images, weights, strict=True):
            if image.ndim != len(wanted) + 1 or image.shape[1] != wanted[0]:
                raise errors.ChannelError(
                    f"an image has shape {image.shape[1:]}, the kernels are {wanted}; images must agree in "
                    f"channels and axes"
                )
            cut: Any = (..., *self._cut(image.shape[2:]))
            jobs.append(
                (image[cut], None if some is None else some[cut], self._kernels.astype(image.dtype), self._settings())
            )
        each = on_cluster(self.client) if self.client is not None else here
        found = each(jobs)
        fresh = found[0]
        for one in found[1:]:
            fresh = fresh.add(one)
        self.n_steps_ += 1
        keep = (1 - 1 / self.n_steps_) ** self.forget
        self._sums = fresh if self._sums is None else self._sums.add(fresh, keep)
        improve(self._sums, self._kernels, per_axis("stride", self.stride, len(kernel)))
        self.components_ = self._kernels.astype(images[0].dtype)
        self.objectives_.append(fresh.objective / fresh.count)

    def _settings(self) -> dict[str, Any]:
        return {
            "alpha": self.alpha,
            "stride": self.stride,
            "positive": bool(self.positive),
            "border": self.border,
            "tol": self.tol,
        }

    def _cut(self, size: Sizes) -> tuple[slice, ...]:
        """A window of an image, at random."""
        if self.window is None:
            return (slice(None),) * len(size)
        window = per_axis("window", self.window, len(size))
        corner = [int(self._rng.integers(max(n - w, 0) + 1)) for n, w in zip(size, window, strict=True)]
        return tuple(slice(c, c + w) for c, w in zip(corner, window, strict=True))


def here(jobs: list[Job]) -> list[Statistics]:
    """Code the images in this process."""
    return [coded(*job) for job in jobs]


def on_cluster(client: Any) -> Each:
    """Code the images on the workers of a distributed.Client; results in the order of the images."""

    def each(jobs: list[Job]) -> list[Statistics]:
        found: list[Statistics] = client.gather(client.map(_apart, jobs, pure=False))
        return found

    return each


def coded(images: Array, weights: Array | None, kernels: Array, settings: dict[str, Any]) -> Statistics:
    """The statistics of some images' codes."""
    where = frame(images.shape[2:], kernels.shape[2:], settings["stride"], settings["border"])
    coding = Coding(np.ascontiguousarray(images), weights, where, kernels, settings["positive"])
    outcome = descend(coding, settings["alpha"], settings["tol"], 1000)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return Statistics.of(coding, settings["alpha"])


def _apart(job: Job) -> Statistics:
    return coded(*job)


def _batches(X: Any, mask: Any, size: int) -> Iterator[tuple[list[Array], list[Array | None]]]:
    """Some images at a time, each as a batch of one, with their weights."""
    if isinstance(X, list | tuple) or hasattr(X, "shape"):
        groups = batch.images(X, masked=mask is not None)
        images, weights = _single(groups, batch.masks(mask, groups, isinstance(X, list | tuple)))
        for begin in range(0, len(images), size):
            yield images[begin : begin + size], weights[begin : begin + size]
        return
    if mask is not None:
        raise errors.TconvError("masks need images in an array or a list; an iterable's cannot be matched with them")
    if not isinstance(X, Iterable):
        raise errors.ArgumentTypeError(f"X is {type(X).__name__}; give an array, a list or an iterable of images")
    stream = iter(X)
    while some := list(islice(stream, size)):
        groups = batch.images(some)
        yield groups, [None] * len(groups)


def _single(groups: list[Array], weights: list[Array | None]) -> tuple[list[Array], list[Array | None]]:
    images = [group[n : n + 1] for group in groups for n in range(len(group))]
    masks = [
        None if some is None else some[n : n + 1]
        for group, some in zip(groups, weights, strict=True)
        for n in range(len(group))
    ]
    return images, masks
