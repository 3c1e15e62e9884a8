"""Learn an upsampling kernel from photographs, and see what it is worth on one that it has never seen.

A photograph is halved by a strided convolution and brought back by transposed convolutions with different kernels. The
result depends linearly on the kernel, y = A w, so that the best kernel is a least-squares problem. Its operator is
never written out: A w is a transposed convolution, and the adjoint A^T g correlates the outputs with the inputs,

    (A^T g)[k] = sum over i of  x[i] * g[stride*i + dilation*k - crop_lo]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy.sparse.linalg import LinearOperator, lsmr

from tconv import kernels
from tconv.arrays import Array
from tconv.forms.contract import at
from tconv.forms.convolution import convolve
from tconv.geometry import Geometry
from tconv.images.upsample import KERNELS, Upsampler
from tconv.layer import prepare

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins")
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
KERNEL_SIZE = 10
TILE = 128  # low-resolution pixels per side of a training example


@dataclass(frozen=True)
class Experiment:
    """What came out.

    Attributes:
        original: the test photograph, (height, width, 3) uint8.
        small: the same at half the size.
        results: by kernel name, the photograph brought back, shape and dtype of `original`.
        learned: the kernel (k, k), float32.
        training: names of the photographs that it was learned from; the test photograph is not among them.
    """

    original: Array
    small: Array
    results: Mapping[str, Array]
    learned: Array
    training: tuple[str, ...]

    @property
    def psnr(self) -> dict[str, float]:
        """By kernel name, in dB."""
        return {name: psnr(self.original, result) for name, result in self.results.items()}


def run(test: str = PHOTOGRAPHS[0], photographs: Sequence[str] = PHOTOGRAPHS) -> Experiment:
    """Learn from all `photographs` but `test`, and try on `test`.

    The names are those of `skimage.data` for pictures that ship with scikit-image; nothing is downloaded.
    """
    training = tuple(name for name in photographs if name != test)
    learned = learn([luminance(photograph(name)) for name in training])
    original = photograph(test)
    small = halve(original)
    by_name: dict[str, str | Array] = {name: name for name in KERNELS} | {"learned": learned}
    results = {name: Upsampler(kernel, 2, original.shape[2])(small) for name, kernel in by_name.items()}
    return Experiment(original, small, results, learned, training)


def photograph(name: str) -> Array:
    """A photograph of `skimage.data`, (height, width, channels) uint8, trimmed to even sizes."""
    from skimage import data

    pixels: Array = getattr(data, name)()
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]


def luminance(image: Array) -> Array:
    """(height, width, 1) of the image's dtype; grey stays as it is."""
    return image if image.shape[2] == 1 else np.rint(image @ LUMA).astype(image.dtype)[..., None]


def halve(image: Array) -> Array:
    """Half as many pixels per side, (height, width, channels) uint8 with even sizes; edges are repeated.

    This is the forward convolution that bilinear upsampling is the transpose of: the kernel [1, 3, 3, 1]/8 on each axis
    removes most of what the coarser grid cannot hold.
    """
    weight = kernels.bilinear(2, dtype=np.float64)[None] / 4
    geometry = kernels.upsampling(weight.shape[3:], 2)
    padded = np.pad(image.astype(np.float64), (*geometry.crop, (0, 0)), mode="edge")
    size = (image.shape[0] // 2, image.shape[1] // 2)
    small = convolve(np.moveaxis(padded, -1, 0)[:, None, None], weight, geometry.stride, geometry.dilation, size)
    return np.moveaxis(np.rint(small[:, 0, 0]).astype(image.dtype), 0, -1)


def learn(images: Sequence[Array], size: int = KERNEL_SIZE) -> Array:
    """The kernel (size, size), float32, that brings halved `images` back with the least squared error.

    Args:
        images: (height, width, 1) each, uint8, even sizes; one at least with TILE + size halved pixels per side.
        size: taps per axis.
    """
    reach = kernels.radius((size, size), 2)
    pairs = [pair for image in images for pair in _tiles(image[..., 0] / 255, halve(image)[..., 0] / 255, reach[0])]
    x, y = (np.stack(arrays)[:, None] for arrays in zip(*pairs, strict=True))
    operator = kernel_operator(kernels.upsampling((size, size), 2, replicated=reach), x)
    solution = lsmr(operator, y.ravel(), atol=1e-6, btol=1e-6, maxiter=200)
    return np.asarray(solution[0], np.float32).reshape(size, size)


def kernel_operator(geometry: Geometry, x: Array) -> LinearOperator:
    """The transposed convolution of fixed images as a linear function of the kernel.

    Args:
        geometry: of the layer, 2-D.
        x: (batch, 1, *in_size), float32 or float64.

    Returns:
        The operator from the kernel (flat, prod(kernel)) to the outputs (flat, from (batch, 1, *out_size)).
    """
    in_size = x.shape[2:]
    shape = (len(x), 1, *geometry.output_size(in_size))

    def outputs(w: Array) -> Array:
        return prepare(w.reshape(1, 1, *geometry.kernel).astype(x.dtype), geometry=geometry)(x).ravel()

    def correlations(g: Array) -> Array:
        g = g.reshape(shape)
        w = np.empty(geometry.kernel, x.dtype)
        for k in np.ndindex(geometry.kernel):
            i, o = geometry.meeting(k, in_size)
            w[k] = np.einsum("ncij,ncij->", x[at(i)], g[at(o)])
        return w.ravel()

    return LinearOperator((prod(shape), prod(geometry.kernel)), matvec=outputs, rmatvec=correlations, dtype=x.dtype)


def psnr(original: Array, other: Array) -> float:
    """Peak signal-to-noise ratio of 8-bit images in dB, over all pixels and channels."""
    return float(10 * np.log10(255**2 / np.mean((original.astype(float) - other) ** 2)))


def _tiles(large: Array, small: Array, reach: int) -> list[tuple[Array, Array]]:
    """Low-resolution tiles with `reach` pixels around, and what they should become; borders are left out."""
    starts = [range(reach, n - TILE - reach + 1, TILE) for n in small.shape]
    return [
        (
            small[i - reach : i + TILE + reach, j - reach : j + TILE + reach],
            large[2 * i : 2 * (i + TILE), 2 * j : 2 * (j + TILE)],
        )
        for i in starts[0]
        for j in starts[1]
    ]
