"""Small problems, and what they mean, written down without anything of what is tested."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def kernels(*shape: int, seed: int = 0, dtype: Any = np.float64) -> Array:
    """Random kernels of norm 1, (kernels, channels, *kernel)."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    return (noise / np.linalg.norm(noise.reshape(len(noise), -1), axis=1).reshape(-1, *[1] * (len(shape) - 1))).astype(
        dtype
    )


def matrix(
    d: Array, size: tuple[int, ...], places: tuple[int, ...], stride: tuple[int, ...], low: tuple[int, ...]
) -> Array:
    """The synthesis of one image as a matrix: rows are its channels and pixels, columns the kernels and places.

    Tap t of kernel k at place p is at pixel stride*p + t - low.
    """
    channels, kernel = d.shape[1], d.shape[2:]
    result = np.zeros((channels, *size, len(d), *places))
    for place in product(*map(range, places)):
        for tap in product(*map(range, kernel)):
            pixel = tuple(s * p + t - cut for s, p, t, cut in zip(stride, place, tap, low, strict=True))
            if all(0 <= o < n for o, n in zip(pixel, size, strict=True)):
                result[(slice(None), *pixel, slice(None), *place)] += d[(slice(None), slice(None), *tap)].T
    return result.reshape(channels * int(np.prod(size)), -1)


def objective(a: Array, s: Array, z: Array, alpha: float, w: Array | float = 1.0) -> float:
    """1/2 * sum(w * (s - a z)^2) + alpha * sum(|z|), in double precision."""
    rest = s.ravel().astype(np.float64) - a @ z.ravel().astype(np.float64)
    return float((w * rest * rest).sum() / 2 + alpha * np.abs(z.astype(np.float64)).sum())


def optimum(a: Array, s: Array, alpha: float, w: Array | None = None, positive: bool = False) -> tuple[Array, float]:
    """The Lasso's solution by scikit-learn in double precision: (codes, objective)."""
    from sklearn.linear_model import Lasso

    weights = np.ones(s.size) if w is None else w.ravel()
    root = np.sqrt(weights)
    lasso = Lasso(alpha=alpha / s.size, fit_intercept=False, tol=1e-12, max_iter=200_000, positive=positive)
    lasso.fit(root[:, None] * a, root * s.ravel())
    return lasso.coef_, objective(a, s, lasso.coef_, alpha, weights)
