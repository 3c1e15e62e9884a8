"""Enlarge pictures band by band with one prepared transposed convolution, in memory bounded by the band.

A band of rows comes with the rows above and below that the kernel reaches; beyond the picture, edge rows are repeated.
The crop removes what those rows would give, so that the band's outputs are exactly the whole picture's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from tconv import errors, kernels
from tconv.arrays import Array, as_array
from tconv.geometry import Sizes
from tconv.geometry.arguments import Ints, per_axis
from tconv.images.files import Picture, Reader, check_target, writer
from tconv.layer import Layer, prepare

KERNELS = {"nearest": kernels.nearest, "bilinear": kernels.bilinear, "bicubic": kernels.bicubic}
BAND_BYTES = 2**25  # of float32 output at a time, unless one row of input gives more
LARGEST_SCALE = 64  # a bicubic kernel then has 256 x 256 taps

Report = Callable[[int, int], object]


class Upsampler:
    """A depthwise kernel that enlarges rows of pixels; computes in float32, rounds half to even and clips.

    Alpha is a channel like the others.

    Attributes:
        scale: (rows, columns) of output per input pixel.
        halo: (rows, columns) around a band that its outputs depend on.
    """

    def __init__(self, kernel: str | Array, scale: Ints = 2, channels: int = 3) -> None:
        """Prepare the layer.

        Args:
            kernel: "nearest", "bilinear", "bicubic" or an array: (k, k) or (1, 1, k, k) for every channel, or
                (channels, 1, k, k). To keep the brightness, the taps of each phase sum to 1.
            scale: an int or (rows, columns).
            channels: of the pictures.

        Raises:
            KernelError: an unknown name, or an array of a wrong shape or with values that are not finite numbers, or
                smaller than the scale.
            StrideError, LengthError, ArgumentTypeError: about the scale, which may be 1 to 64.
        """
        self.scale: Sizes = per_axis("scale", scale, 2)
        if max(self.scale) > LARGEST_SCALE:
            raise errors.StrideError(f"scale {self.scale} must be at most {LARGEST_SCALE}; enlarge in several steps")
        self._weight = _depthwise(kernel, self.scale, channels)
        size = self._weight.shape[2:]
        if size[0] < self.scale[0] or size[1] < self.scale[1]:
            raise errors.KernelError(
                f"kernel {size} is smaller than the scale {self.scale}: some pixels would get no value; "
                f"use a kernel of at least {self.scale}"
            )
        self.halo = kernels.radius(size, self.scale)

    @cached_property
    def _layer(self) -> Layer:
        geometry = kernels.upsampling(self._weight.shape[2:], self.scale, replicated=self.halo)
        return prepare(self._weight, geometry=geometry, groups=len(self._weight))

    def band(self, rows: Array) -> Array:
        """Enlarge rows that come with `halo[0]` further ones on both sides.

        Args:
            rows: (n + 2*halo[0], width, channels), uint8 or uint16.

        Returns:
            (n*scale[0], width*scale[1], channels) of the same dtype.
        """
        columns = np.pad(rows, ((0, 0), (self.halo[1],) * 2, (0, 0)), mode="edge").astype(np.float32)
        y = np.moveaxis(self._layer(np.moveaxis(columns, -1, 0)), 0, -1)  # channels-last in memory, in and out
        np.rint(y, out=y)
        np.clip(y, 0, np.iinfo(rows.dtype).max, out=y)
        return y.astype(rows.dtype)

    def __call__(self, image: Array) -> Array:
        """Enlarge a whole picture (height, width, channels), uint8 or uint16."""
        return self.band(np.pad(image, ((self.halo[0],) * 2, (0, 0), (0, 0)), mode="edge"))


def upsample(
    source: str | Path,
    target: str | Path,
    scale: Ints = 2,
    kernel: str | Array = "bicubic",
    on_progress: Report | None = None,
    again: bool = False,
) -> tuple[Picture, Picture]:
    """Enlarge a PNG, JPEG or TIFF file; memory depends on the picture's width, not on its height.

    Channels, bit depth and metadata are kept; the target's suffix chooses the format. The target appears when it is
    complete.

    Args:
        source: file to read.
        target: file to write.
        scale: an int or (rows, columns).
        kernel: as in `Upsampler`.
        on_progress: called after every band with (rows done, rows in all) of the source.
        again: whether a target that is there is replaced; the source never is.

    Returns:
        What was read and what was written.

    Raises:
        OSError, ImageFileError: the source cannot be read or the target not written.
        TconvError: as `Upsampler`.
    """
    reader = Reader(source)
    before = reader.picture
    upsampler = Upsampler(kernel, scale, before.channels)
    height, width = before.height * upsampler.scale[0], before.width * upsampler.scale[1]
    after = Picture(height, width, before.channels, before.dtype)
    check_target(target, after, reader.path, again)
    with writer(target, after, like=reader) as write:
        done = 0
        for band in bands(reader, _rows_per_band(after, upsampler.scale[0]), upsampler.halo[0]):
            write(upsampler.band(band))
            done += len(band) - 2 * upsampler.halo[0]
            if on_progress is not None:
                on_progress(done, before.height)
    return before, after


def bands(reader: Reader, rows: int, halo: int) -> Iterator[Array]:
    """The picture in bands of `rows` rows, each with `halo` more on both sides; beyond the edge, the edge row again."""
    held = reader.read(1).repeat(halo + 1, axis=0)
    for y in range(0, reader.picture.height, rows):
        needed = min(rows, reader.picture.height - y) + 2 * halo
        held = np.concatenate((held, reader.read(needed - len(held))))
        held = np.concatenate((held, held[-1:].repeat(needed - len(held), axis=0)))
        yield held
        held = held[len(held) - 2 * halo :]


def _rows_per_band(after: Picture, scale: int) -> int:
    """Input rows whose outputs fill BAND_BYTES as float32."""
    return max(1, BAND_BYTES // (4 * after.width * after.channels * scale))


def _depthwise(kernel: str | Array, scale: Sizes, channels: int) -> Array:
    """The kernel as float32 weights (channels, 1, k, k)."""
    if isinstance(kernel, str):
        if kernel not in KERNELS:
            known = ", ".join(KERNELS)
            raise errors.KernelError(f"kernel {kernel!r} is unknown; choose one of {known}, or give an array (.npy)")
        return KERNELS[kernel](scale, channels=channels)
    weight: Array = as_array("kernel", kernel)
    if weight.ndim == 2:
        weight = weight[None, None]
    if weight.ndim != 4 or weight.shape[0] not in (1, channels) or weight.shape[1] != 1 or weight.size == 0:
        raise errors.KernelError(
            f"kernel has shape {np.shape(kernel)}; for a picture with {channels} channels it must be (k, k), "
            f"(1, 1, k, k) or ({channels}, 1, k, k)"
        )
    return np.repeat(_finite(weight), channels // len(weight), axis=0)


def _finite(weight: Array) -> Array:
    """The weight in float32; refuses values that no pixel can be computed with."""
    with np.errstate(over="ignore"):  # what is too large for float32 is refused below
        if weight.dtype.kind in "biuf" and np.isfinite(narrow := weight.astype(np.float32)).all():
            return narrow
    raise errors.KernelError(f"kernel (dtype {weight.dtype}) must hold real numbers that are finite in float32")
