"""`DeconvolutionalNetwork`: layers of kernels above one another, each learned without labels to rebuild the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from tconv import errors, native
from tconv.arrays import Array
from tconv.decomposition import batch
from tconv.decomposition.dictionary import projected
from tconv.decomposition.estimator import Estimator, fitted
from tconv.decomposition.pooling import Pooling
from tconv.decomposition.stack import Level, from_pixels, levels, to_pixels, to_top
from tconv.geometry import Sizes
from tconv.geometry.arguments import Ints, at_least_one, integer, is_sequence, per_axis
from tconv.native import _core

POWER = 12  # steps of the power iteration
SAFETY = 1.1  # times what it finds


class DeconvolutionalNetwork(Estimator):
    """Adaptive deconvolutional networks: codes of a layer rebuild the image through all layers below.

        minimise over z_l and, while learning, d_l    1/2 * ||R_l z_l - s||^2 + alpha_l * sum(|z_l|)

    R_l leads from the codes of layer l to the pixels: kernels of the layer, unpooling by the switches of the layer
    below, its kernels, and so on. Layers are learned one after the other. Codes take proximal steps, each followed by
    max pooling over maps and places and by unpooling, so that they are what their maxima and switches can say; the
    switches are part of what is inferred. With `pool=1` and `pool_maps=1` nothing is pooled, and the layers are those
    of 2010, but held to the pixels.

    Args:
        n_kernels: of each layer, the lowest first.
        kernel_size: of each layer or of all: an int for every axis.
        alpha: the penalty of each layer or of all.
        pool: places per axis of a pooled block.
        pool_maps: maps of a pooled block.
        steps: proximal steps of an inference.
        max_iter: passes over the images while a layer is learned.
        random_state: a seed, or a numpy.random.Generator.

    Attributes:
        components_: a list with (kernels, channels, *kernel) of each layer.
        objectives_: a list with the sum over the images after each pass, of each layer.
        switches_: of the last transform, of each layer.
        interrupted_: whether Ctrl-C ended the learning; what was learned until then is kept.

    Source: Zeiler, Krishnan, Taylor and Fergus, "Deconvolutional networks" (2010); Zeiler, Taylor and Fergus, "Adaptive
    deconvolutional networks for mid and high level feature learning" (2011).
    """

    def __init__(
        self,
        n_kernels: tuple[int, ...] = (16, 32),
        kernel_size: Ints = 7,
        alpha: float | tuple[float, ...] = 0.05,
        *,
        pool: int = 2,
        pool_maps: int = 2,
        steps: int = 10,
        max_iter: int = 10,
        random_state: Any = None,
    ) -> None:
        self.n_kernels = n_kernels
        self.kernel_size = kernel_size
        self.alpha = alpha
        self.pool = pool
        self.pool_maps = pool_maps
        self.steps = steps
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> DeconvolutionalNetwork:
        """Learn from images (images, channels, *size).

        Raises:
            RankError, InputSizeError, DtypeError, LengthError, TconvError: as the names say.
        """
        (images,) = batch.images(np.asarray(X))
        counts, sizes, penalties, pooling = self._judged(images.ndim - 2)
        rng = batch.generator(self.random_state)
        self.components_: list[Array] = []
        self.objectives_: list[list[float]] = []
        self.interrupted_ = False
        stack: list[Level] = []
        shape = images.shape[1:]
        try:
            for count, size, alpha in zip(counts, sizes, penalties, strict=True):
                noise = rng.standard_normal((count, shape[0], *size))
                kernels = np.stack([one / np.linalg.norm(one) for one in noise]).astype(images.dtype)
                stack = levels(images.shape[2:], [*self.components_, kernels], pooling)
                self._infer_below(stack, images, penalties)
                self.components_.append(kernels)
                self.objectives_.append([])
                self._learn(stack, images, alpha)
                shape = (-(-count // self.pool_maps), *stack[-1].pooled_size)
        except KeyboardInterrupt:
            self.interrupted_ = True
        self._stack = stack
        return self

    def transform(self, X: Any) -> Array:
        """The pooled codes of the uppermost layer, (images, maps, *size)."""
        return self.layers(X)[-1]

    def layers(self, X: Any) -> list[Array]:
        """The pooled codes of every layer, the lowest first."""
        (images,) = batch.images(np.asarray(X))
        _, _, penalties, pooling = self._judged(images.ndim - 2)
        kernels = [own.astype(images.dtype) for own in fitted(self, "components_")]
        if images.shape[1] != kernels[0].shape[1]:
            raise errors.ChannelError(
                f"X has {images.shape[1]} channels, the kernels have {kernels[0].shape[1]}; give images and "
                f"kernels as many"
            )
        self._stack = levels(images.shape[2:], kernels, pooling)
        pooled = self._infer_below(self._stack, images, penalties, all_layers=True)
        self.switches_ = [level.switches for level in self._stack]
        return pooled

    def inverse_transform(self, Z: Any, layer: int = -1) -> Array:
        """The pixels that pooled codes of a layer stand for, under the switches of the last transform.

        Args:
            Z: (images, maps, *size), from `transform` or `layers`; codes of chosen maps alone show what these see.
            layer: which layer's they are.

        Raises:
            RankError: other codes than the last transform's.
        """
        stack: list[Level] = fitted(self, "_stack")
        level = stack[layer]
        codes = np.asarray(Z, level.kernels.dtype)
        wanted = None if level.switches is None else level.switches.shape
        if codes.shape != wanted:
            raise errors.RankError(
                f"Z has shape {codes.shape}, the switches of layer {layer} have {wanted}; transform the same "
                f"images first"
            )
        return to_pixels(stack[: stack.index(level) + 1], level.unpooled(codes))

    def _judged(self, ndim: int) -> tuple[list[int], list[Sizes], list[float], Pooling]:
        if not is_sequence(self.n_kernels) or not len(self.n_kernels):
            raise errors.LengthError(f"n_kernels {self.n_kernels!r} must have one entry per layer, such as (16, 32)")
        depth = len(self.n_kernels)
        counts = [integer("n_kernels", count) for count in self.n_kernels]
        for name, values in (("n_kernels", counts), ("pool", [self.pool]), ("pool_maps", [self.pool_maps]),
                             ("steps", [self.steps]), ("max_iter", [self.max_iter])):  # fmt: skip
            for value in values:
                at_least_one(name, integer(name, value), errors.TconvError)
        sizes = [(size,) * ndim for size in per_axis("kernel_size", self.kernel_size, depth)]
        for size in sizes:
            at_least_one("kernel_size", size[0], errors.KernelError)
        penalties = list(self.alpha) if isinstance(self.alpha, list | tuple) else [self.alpha] * depth
        if len(penalties) != depth:
            raise errors.LengthError(
                f"alpha has {len(penalties)} entries for {depth} layers; give one, or one per layer"
            )
        return counts, sizes, [batch.number("alpha", alpha) for alpha in penalties], Pooling(self.pool_maps, self.pool)

    def _infer_below(
        self, stack: list[Level], images: Array, penalties: list[float], all_layers: bool = False
    ) -> list[Array]:
        """Codes and switches of every layer but the last, or of all: pooled codes."""
        pooled = []
        for depth in range(1, len(stack) + all_layers):
            z = self._infer(stack[:depth], images, penalties[depth - 1], None)
            maxima, stack[depth - 1].switches = stack[depth - 1].pooling.pooled(z)
            pooled.append(maxima)
        return pooled

    def _infer(self, stack: list[Level], images: Array, alpha: float, z: Array | None) -> Array:
        """Codes of the last of these layers, after some proximal steps."""
        top = stack[-1]
        if z is None:
            z = np.zeros((len(images), len(top.kernels), *top.frame.places), images.dtype)
        pace = 1 / (SAFETY * _steepness(stack, z.shape, images.dtype) or 1.0)
        for _ in range(self.steps):
            moved = z + pace * from_pixels(stack, images - to_pixels(stack, z))
            z = np.sign(moved) * np.maximum(np.abs(moved) - pace * alpha, 0)
            maxima, top.switches = top.pooling.pooled(z)
            z = top.unpooled(maxima)
        return z

    def _learn(self, stack: list[Level], images: Array, alpha: float) -> None:
        """The kernels of the last of these layers."""
        top, z = stack[-1], None
        for _ in range(self.max_iter):
            z = self._infer(stack, images, alpha, z)
            rest = images - to_pixels(stack, z)
            slope = _correlated(top, z, to_top(stack[:-1], rest))
            _improve(stack, z, rest, slope)
            rest = images - to_pixels(stack, z)
            self.components_[-1] = top.kernels
            self.objectives_[-1].append(
                float(np.sum(rest * rest, dtype=np.float64)) / 2 + alpha * float(np.abs(z).sum(dtype=np.float64))
            )


def _steepness(stack: list[Level], shape: tuple[int, ...], dtype: np.dtype[Any]) -> float:
    """The largest eigenvalue of R^T R, by power iteration."""
    z = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    largest = 0.0
    for _ in range(POWER):
        norm = float(np.linalg.norm(z.ravel()))
        if norm == 0:
            return 0.0
        z = from_pixels(stack, to_pixels(stack, z / norm))
        largest = float(np.linalg.norm(z.ravel()))
    return largest


def _correlated(top: Level, z: Array, below: Array) -> Array:
    """sum over images and places of z times what lies under it: minus the gradient for the kernels."""
    make = _core.CodesF32 if z.dtype == np.float32 else _core.CodesF64
    where = top.frame
    codes = make(
        len(below),
        below.shape[1],
        len(top.kernels),
        where.geometry.kernel,
        where.geometry.stride,
        where.places,
        native.active(),
    )
    codes.read(np.ascontiguousarray(z))
    codes.residual[(slice(None), slice(None), *where.window)] = below
    sums = np.empty_like(top.kernels)
    codes.correlate(sums)
    return sums


def _improve(stack: list[Level], z: Array, rest: Array, slope: Array) -> None:
    """A projected step along the slope, as long as the line's lowest point allows."""
    top = stack[-1]
    kernels = top.kernels
    norm = float(np.linalg.norm(slope.ravel()))
    if norm == 0:
        return
    towards = np.stack([projected(one) for one in kernels + slope / norm * np.sqrt(len(kernels))]) - kernels
    top.use(np.ascontiguousarray(towards))
    effect = to_pixels(stack, z)
    squares = float(np.vdot(effect, effect))
    part = min(max(float(np.vdot(effect, rest)) / squares, 0.0), 1.0) if squares else 0.0
    top.use(np.ascontiguousarray(kernels + part * towards))
