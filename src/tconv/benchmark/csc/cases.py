"""The problems: pictures that ship with scikit-image, and kernels for them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import numpy as np

from tconv.arrays import Array


@dataclass(frozen=True)
class Case:
    """One problem.

    Attributes:
        name: of the case.
        what: "code" (codes under given kernels) or "learn" (kernels, too).
        images: how many.
        size: pixels per side.
        kernels, kernel: how many, and pixels per side; for one axis, see `ndim`.
        alpha: the penalty.
        ndim: axes: pictures have two, signals one.
        raw: whether the picture is coded as it is, under random kernels, as in a first sketch; else its smooth part is
            taken off, and the kernels were learned.
    """

    name: str
    what: str
    images: int
    size: int
    kernels: int
    kernel: int
    alpha: float = 0.05
    ndim: int = 2
    raw: bool = False


CASES = (
    Case("astronaut 256, 32 of 8x8, as it is", "code", 1, 256, 32, 8, raw=True),
    Case("astronaut 256, 32 of 8x8", "code", 1, 256, 32, 8),
    Case("astronaut 512, 64 of 11x11", "code", 1, 512, 64, 11),
    Case("signals 10 x 5000, 8 of 64", "code", 10, 5000, 8, 64, ndim=1),
    Case("learn from 20 of 128, 32 of 8x8", "learn", 20, 128, 32, 8),
)


def problem(case: Case) -> tuple[Array, Array]:
    """Images (images, 1, *size) and kernels (kernels, 1, *kernel) of norm 1, float32; the kernels to begin with, if
    learned."""
    if case.ndim == 1:
        return _signals(case)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((case.kernels, 1, case.kernel, case.kernel))
    if case.what == "learn":
        return _smoothless(_crops(case.images, case.size)), _normal(noise)
    image = _astronaut(case.size)[None, None]
    return (image, _normal(noise)) if case.raw else (_smoothless(image), _learned(case))


def _normal(kernels: Array) -> Array:
    norms = np.sqrt(np.square(kernels).sum(axis=tuple(range(1, kernels.ndim)), keepdims=True))
    normal: Array = (kernels / norms).astype(np.float32)
    return normal


def _smoothless(images: Array) -> Array:
    from tconv.decomposition import split

    return np.ascontiguousarray(split(images)[0])


def _astronaut(size: int) -> Array:
    whole = _grey("astronaut")
    resize = import_module("skimage.transform").resize
    return np.asarray(whole if size == len(whole) else resize(whole, (size, size), anti_aliasing=True), np.float32)


def _grey(name: str) -> Array:
    """A picture of scikit-image, (height, width), from 0 to 1."""
    pixels = getattr(import_module("skimage.data"), name)()
    return np.asarray(import_module("skimage.color").rgb2gray(pixels) if pixels.ndim == 3 else pixels / 255)


def _crops(count: int, size: int) -> Array:
    """Parts of several pictures, in the order of a fixed seed."""
    pictures = [_grey(name) for name in ("camera", "moon", "coins", "brick", "coffee", "chelsea", "rocket")]
    rng = np.random.default_rng(1)
    crops = []
    for n in range(count):
        picture = pictures[n % len(pictures)]
        row, column = (int(rng.integers(side - size + 1)) for side in picture.shape)
        crops.append(picture[row : row + size, column : column + size])
    return np.stack(crops)[:, None].astype(np.float32)


def _learned(case: Case) -> Array:
    """Kernels from other pictures than the one that is coded."""
    from tconv.decomposition import ConvDictionaryLearning

    learner = ConvDictionaryLearning(case.kernels, case.kernel, case.alpha, max_iter=15, tol=0.0, random_state=0)
    return _normal(learner.fit(_smoothless(_crops(6, 96))).components_)


def _signals(case: Case) -> tuple[Array, Array]:
    """Decaying oscillations at random times, with noise."""
    rng = np.random.default_rng(0)
    time = np.arange(case.kernel)
    pitch, fade = rng.uniform(0.05, 0.6, (case.kernels, 1)), rng.uniform(6, 20, (case.kernels, 1))
    kernels = _normal((np.sin(2 * np.pi * pitch * time) * np.exp(-time / fade))[:, None])
    codes = (rng.random((case.images, case.kernels, case.size - case.kernel + 1)) < 0.002) * rng.uniform(0.5, 2, ())
    signals = np.stack([sum(np.convolve(z, d[0]) for z, d in zip(one, kernels, strict=True)) for one in codes])
    noisy = signals + 0.05 * rng.standard_normal(signals.shape)
    return noisy[:, None].astype(np.float32), kernels
