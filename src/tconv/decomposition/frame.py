"""Where atoms may lie: how many places a kernel has for an image, and which part of their canvas the image is.

The codes of an image have one number per kernel and place; their transposed convolution fills a canvas. "cropped": the
image is cut out of the canvas so that each of its pixels is reached by as many atoms as if it had no border; atoms
reach beyond. "inside": the image is the canvas, and no atom reaches beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tconv import errors
from tconv.geometry import Forward, Geometry, Sizes
from tconv.geometry.arguments import Ints, per_axis

BORDERS = ("cropped", "inside")


@dataclass(frozen=True)
class Frame:
    """An image of one size on the canvas of its atoms.

    Attributes:
        geometry: of the transposed convolution from codes to image, crop included.
        size: of the image, per axis.
        places: that a kernel has, per axis.
        canvas: its size, per axis.
    """

    geometry: Geometry
    size: Sizes
    places: Sizes
    canvas: Sizes

    @property
    def window(self) -> tuple[slice, ...]:
        """The image's part of the canvas."""
        lows = [low for low, _ in self.geometry.crop]
        return tuple(slice(low, low + n) for low, n in zip(lows, self.size, strict=True))


def frame(size: Sizes, kernel: Sizes, stride: Ints = 1, border: str = "cropped") -> Frame:
    """The frame of images of this size.

    Raises:
        StrideError, KernelError, InputSizeError, LengthError: as their names say.
        TconvError: an unknown border.

    >>> frame((10,), (4,), 2).places, frame((10,), (4,), 2, "inside").places
    ((6,), (4,))
    """
    if border not in BORDERS:
        raise errors.TconvError(f"border {border!r} is unknown; choose 'cropped' or 'inside'")
    strides = per_axis("stride", stride, len(kernel))
    whole = Geometry(kernel, strides)
    if any(k < s for k, s in zip(kernel, strides, strict=True)):
        raise errors.KernelError(
            f"kernels of {kernel} with stride {strides} leave pixels that no atom reaches; choose a stride of at "
            f"most the kernel's size"
        )
    if border == "inside":
        return _inside(size, whole)
    wide = Geometry(kernel, strides, crop=[(k - s, k - 1) for k, s in zip(kernel, strides, strict=True)])
    places = Forward(wide).output_size(size)
    canvas = whole.full_size(places)
    crop = [(low, full - low - n) for (low, _), full, n in zip(wide.crop, canvas, size, strict=True)]
    return Frame(Geometry(kernel, strides, crop=crop), size, places, canvas)


def largest_size(places: Sizes, kernel: Sizes, stride: Ints = 1, border: str = "cropped") -> Sizes:
    """The largest image with so many places."""
    strides = per_axis("stride", stride, len(kernel))
    whole = Geometry(kernel, strides)
    if border == "inside":
        return whole.full_size(places)
    sides = [(k - s, k - s) for k, s in zip(kernel, strides, strict=True)]
    return Geometry(kernel, strides, crop=sides).output_size(places)


def _inside(size: Sizes, whole: Geometry) -> Frame:
    if any(n < k for n, k in zip(size, whole.kernel, strict=True)):
        raise errors.InputSizeError(
            f"images of {size} are smaller than the kernels of {whole.kernel}; use larger images, or border='cropped'"
        )
    places = Forward(whole).output_size(size)
    canvas = whole.full_size(places)
    if canvas != size:
        raise errors.InputSizeError(
            f"with border='inside' and stride {whole.stride}, kernels of {whole.kernel} fill {canvas} of an image of "
            f"{size}; crop the images to that, or use border='cropped'"
        )
    return Frame(whole, size, places, canvas)
