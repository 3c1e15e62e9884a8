"""An image as a smooth part and the rest. Small kernels explain edges and textures well, and slow changes badly.

The smooth part l of an image s minimises sum((l - s)^2) + strength * sum of the squares of l's differences between
neighbours (Tikhonov). With the image continued by its mirror image at the borders this is a division in the domain of
the discrete cosine transform, here by NumPy's Fourier transform of the image and its mirror image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tconv.arrays import Array
from tconv.decomposition import batch


def split(X: Any, strength: float = 5.0) -> tuple[Any, Any]:
    """(rest, smooth part) of images; their sum is the images, up to rounding.

    Args:
        X: (images, channels, *size), or a list of (channels, *size); each channel is split by itself.
        strength: the larger, the smoother; 0: the smooth part is the image.

    Raises:
        RankError, DtypeError, InputSizeError, TconvError: as in `ConvSparseCoder.fit`; a negative strength.

    >>> rest, smooth = split(np.ones((1, 1, 4, 4)))
    >>> float(abs(rest).max()) < 1e-12
    True
    """
    batch.number("strength", strength, above=False)
    pairs = [_split(images, strength) for images in batch.images(X)]
    if isinstance(X, list | tuple):
        return [rest[0] for rest, _ in pairs], [smooth[0] for _, smooth in pairs]
    return pairs[0]


def _split(images: Array, strength: float) -> tuple[Array, Array]:
    axes = tuple(range(2, images.ndim))
    spectrum = images.astype(np.float64)
    factor = np.ones((1,) * images.ndim)
    for axis in axes:
        n = images.shape[axis]
        spectrum = _cosine(spectrum, axis)
        shape = [1] * images.ndim
        shape[axis] = n
        factor = factor + strength * (2 - 2 * np.cos(np.pi * np.arange(n) / n)).reshape(shape)
    spectrum /= factor
    for axis in axes:
        spectrum = _cosine_back(spectrum, axis)
    smooth = spectrum.astype(images.dtype)
    return images - smooth, smooth


def _cosine(values: Array, axis: int) -> Array:
    """The cosine transform (DCT-II) along an axis, not normalised."""
    n = values.shape[axis]
    mirrored = np.concatenate([values, np.flip(values, axis)], axis)
    spectrum = np.moveaxis(np.fft.rfft(mirrored, axis=axis), axis, -1)[..., :n]
    turned: Array = (spectrum * np.exp(-0.5j * np.pi * np.arange(n) / n)).real
    return np.moveaxis(turned, -1, axis)


def _cosine_back(values: Array, axis: int) -> Array:
    """The inverse of `_cosine`."""
    n = values.shape[axis]
    turned = np.moveaxis(values, axis, -1) * np.exp(0.5j * np.pi * np.arange(n) / n)
    spectrum = np.concatenate([turned, np.zeros_like(turned[..., :1])], -1)
    mirrored: Array = np.fft.irfft(spectrum, 2 * n, axis=-1)[..., :n]
    return np.moveaxis(mirrored, -1, axis)
