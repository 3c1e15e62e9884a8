"""Pictures with noise or with missing pixels, restored: what few atoms explain is kept, what none explains is noise.

Every kernel that overlaps a missing pixel and its neighbours says something about it, and codes that explain the known
pixels with few atoms continue edges and textures. The smooth part is taken from the known pixels alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tconv.arrays import Array
from tconv.decomposition.coder import ConvSparseCoder
from tconv.decomposition.learning import ConvDictionaryLearning
from tconv.decomposition.smoothing import split

TOL, SWEEPS = 1e-2, 50  # pixels do not change visibly any more


def smooth_from(image: Array, known: Array, strength: float) -> Array:
    """The smooth part of an image of which only some pixels are known.

    Args:
        image: (channels, *size); what is not known may hold anything.
        known: *size.
        strength: of the smoothing, as in `split`.

    Returns:
        (channels, *size): the smoothed known pixels over the smoothed share of known pixels, from fine to coarse where
        nothing near is known.
    """
    weights = known.astype(np.float64)[None, None]
    values = np.where(known, image, 0).astype(np.float64)[None]
    result, share = np.zeros_like(values), np.zeros_like(weights)
    while True:
        above, below = split(values, strength)[1], split(weights, strength)[1]
        new = np.clip(below * 4, 0, 1) * (1 - share)  # certain where a quarter of what lies near is known
        result += new * above / np.maximum(below, 1e-9)
        share += new
        if share.min() > 0.999 or strength > 1e8:
            smooth: Array = (result / np.maximum(share, 1e-9))[0].astype(image.dtype)
            return smooth
        strength *= 8


def inpaint(
    image: Array,
    known: Array,
    kernels: Array | None = None,
    *,
    n_kernels: int = 32,
    kernel_size: int = 8,
    alpha: float = 0.005,
    strength: float = 2.0,
    rounds: int = 3,
    passes: int = 30,
    random_state: Any = None,
    verbose: bool = False,
) -> tuple[Array, Array]:
    """Fill what is not known.

    Args:
        image: (channels, height, width), or any number of axes.
        known: of the image's size, without channels: True where its pixels are known.
        kernels: (kernels, channels, *kernel); None: learned from what is known.
        n_kernels, kernel_size, passes, random_state: of the learning.
        alpha: the penalty.
        strength: of the smoothing that makes the smooth part.
        rounds: how often the smooth part is taken anew, from the image as it was filled before, and the rest coded.

    Returns:
        (the image with its known pixels as they are, the kernels).

    Raises:
        As `ConvDictionaryLearning.fit` and `ConvSparseCoder.transform`.
    """
    smooth = smooth_from(image, known, strength / 4)
    mask = known[None, None]
    filled = np.where(known, image, smooth)
    for turn in range(rounds):
        if turn:
            smooth = split(filled[None], strength)[1][0]
        rest = np.where(known, image - smooth, 0)[None].astype(image.dtype)
        if kernels is None:
            learner = ConvDictionaryLearning(
                n_kernels, kernel_size, 2 * alpha, max_iter=passes, random_state=random_state, verbose=verbose
            )
            kernels = learner.fit(rest, mask=mask).components_
        coder = ConvSparseCoder(kernels, alpha if turn else 2 * alpha, tol=TOL, max_iter=SWEEPS, verbose=verbose)
        rebuilt = smooth + coder.inverse_transform(coder.transform(rest, mask=mask))[0]
        filled = np.where(known, image, rebuilt).astype(image.dtype)
    assert kernels is not None, "at least one round"
    return filled, kernels


def denoise(image: Array, kernels: Array, alpha: float, strength: float = 5.0, verbose: bool = False) -> Array:
    """What few atoms and the smooth part explain of an image (channels, *size); alpha about 1 to 2 times the noise's
    sigma.

    Raises:
        As `ConvSparseCoder.transform`.
    """
    rest, smooth = split(image[None], strength)
    coder = ConvSparseCoder(kernels, alpha, verbose=verbose)
    result: Array = (smooth + coder.inverse_transform(coder.transform(rest)))[0]
    return result
