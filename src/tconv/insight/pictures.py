"""Images of any kind and size, one after the other: files, arrays, tensors; as the model wants them, and as they look.

An image of many pixels is given in parts that overlap, so that memory stays bounded; which activation belongs to which
part is decided by where its middle lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from tconv import errors
from tconv.arrays import Array
from tconv.geometry import Sizes
from tconv.names import shown

PART, OVERLAP = 1536, 512  # pixels per side of a part, and how many of them it shares with the next; multiples of 512
BROKEN = (errors.TconvError, OSError)

Prepare: TypeAlias = Callable[[Array], Any]


@dataclass(frozen=True)
class Reading:
    """How pixels become what a model reads.

    Attributes:
        channels: that the model takes, or None for as many as there are.
        mean, std: per channel, of pixels in [0, 1].
        prepare: instead of all that: (height, width, channels) as in the file -> (channels, height, width).
    """

    channels: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    prepare: Prepare | None = None

    def __call__(self, pixels: Array, name: str) -> Tensor:
        """(1, channels, height, width).

        Raises:
            DtypeError, ImageFileError: neither floats nor 8 or 16 bits, or so many channels do not fit the model.
        """
        from tconv.segmentation.data.pixels import fit_channels, unit

        if self.prepare is not None:
            return torch.as_tensor(self.prepare(pixels))[None]
        if pixels.dtype.kind != "f" and pixels.dtype.name not in ("uint8", "uint16"):
            raise errors.DtypeError(f"{name} has dtype {pixels.dtype}; give uint8, uint16 or floats")
        if self.channels is not None and pixels.ndim == 3:
            pixels = fit_channels(pixels, self.channels, Path(name))
        values = unit(pixels)
        if self.mean is not None:
            values = values - np.array(self.mean, np.float32)
        if self.std is not None:
            values = values / np.array(self.std, np.float32)
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 0)))[None]


@dataclass(frozen=True, eq=False)
class Picture:
    """An image, or a part of a large one.

    Attributes:
        number: of the image, from 0.
        name: of its file, or "image 3".
        tensor: what the model reads, (1, channels, *size).
        pixels: how it looks, (*size, channels), as in the file or the tensor.
        offset: where the part begins in the image, per axis.
        own: per axis, the pixels of the part whose activations are its own and not a neighbour's.
    """

    number: int
    name: str
    tensor: Tensor
    pixels: Array
    offset: Sizes
    own: tuple[tuple[int, int], ...]


@dataclass
class Pictures:
    """The images that were asked for, read one at a time; those that cannot be read are problems, and the rest is done.

    Attributes:
        images: a file, a folder or a glob; or a sequence or an iterable of files, arrays (height, width[, channels]),
            tensors (channels, *size) or batches of them, or of tuples that begin with one of these.
        reading: for files and arrays; tensors are taken as they are.
        axes: spatial axes of an image.
        count: images, where it is known beforehand.
        problems: what could not be read, and why, in the order of the images.
        rereads: whether an image can be had a second time.
    """

    images: Any
    reading: Reading
    axes: int = 2
    count: int | None = field(init=False, default=None)
    problems: dict[int, str] = field(init=False, default_factory=dict)
    rereads: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        if isinstance(self.images, str | Path):
            from tconv.segmentation.predict.files import find_images

            self.images = find_images(str(self.images))
        elif isinstance(self.images, np.ndarray | Tensor):
            self.images = list(self.images) if self.images.ndim > self.axes + 1 else [self.images]
        elif not isinstance(self.images, Iterable):
            raise errors.ArgumentTypeError(
                f"images must be a file, a folder, a glob, or images one after the other, not "
                f"{type(self.images).__name__}"
            )
        images: Any = self.images
        self.rereads = isinstance(self.images, Sequence) and not any(map(self._is_batch, self.images))
        if self.rereads:
            self.count = len(images)
            if not self.count:
                raise errors.TconvError("there are no images; give at least one")

    def __iter__(self) -> Iterator[Picture]:
        """All parts of all images."""
        number = -1
        for number, (name, image) in enumerate(self._named()):
            yield from self._parts(number, name, image)
        if number < 0:
            raise errors.TconvError("there are no images; give at least one")

    def again(self, number: int) -> Iterator[Picture]:
        """The parts of an image that was read before; where `rereads`."""
        image = self.images[number]
        yield from self._parts(number, _name(image, number), image)

    def _named(self) -> Iterator[tuple[str, Any]]:
        number = 0
        for image in self.images:
            for each in _itself(image) if self._is_batch(image) else (image,):
                yield _name(each, number), each
                number += 1

    def _is_batch(self, image: Any) -> bool:
        """Whether it is several images in one tensor."""
        found = _itself(image)
        return isinstance(found, Tensor) and found.dim() == self.axes + 2 and len(found) != 1

    def _parts(self, number: int, name: str, image: Any) -> Iterator[Picture]:
        try:
            tensor, pixels = self._read(number, name, image)
        except BROKEN as error:
            self.problems[number] = str(error)
            return
        cuts = [parts_of(n) for n in tensor.shape[2:]]
        for chosen in product(*cuts):
            where = tuple(slice(cut[0], cut[1]) for cut in chosen)
            yield Picture(
                number, name, tensor[(slice(None), slice(None), *where)], pixels[where], tuple(c[0] for c in chosen),
                tuple((c[2], c[3]) for c in chosen),
            )  # fmt: skip

    def _read(self, number: int, name: str, image: Any) -> tuple[Tensor, Array]:
        from tconv.segmentation.data.pixels import read_image

        image = _itself(image)
        if isinstance(image, Tensor):
            tensor = image if image.dim() == self.axes + 2 else image[None]
            pixels = tensor[0].detach().to("cpu", torch.float32).movedim(0, -1).numpy()
        elif isinstance(image, str | Path | np.ndarray):
            pixels = image if isinstance(image, np.ndarray) else read_image(image)
            pixels = pixels[..., None] if pixels.ndim == self.axes else pixels
            tensor = self.reading(pixels, name)
            if tuple(tensor.shape[2:]) != pixels.shape[:-1]:  # prepare has resized or cut it
                pixels = tensor[0].detach().movedim(0, -1).numpy()
        else:
            raise errors.ArgumentTypeError(
                f"{name} is of type {type(image).__name__}; give a file, an array or a tensor"
            )
        if tensor.dim() != self.axes + 2 or tensor.numel() == 0:
            shape = ("channels", "height", "width") if self.axes == 2 else ("channels", f"*{self.axes} sizes")
            raise errors.RankError(f"{name} has shape {tuple(tensor.shape[1:])}; it must be ({', '.join(shape)})")
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            bad = int((~tensor.isfinite()).sum())
            raise errors.TconvError(f"{name} has {bad} values that are NaN or infinite; replace them")
        return tensor, pixels


def _itself(image: Any) -> Any:
    """The image of a sample that has more to it, such as a label."""
    return image[0] if isinstance(image, tuple | list) and len(image) else image


def _name(image: Any, number: int) -> str:
    first = _itself(image)
    return shown(first) if isinstance(first, str | Path) else f"image {number}"


def parts_of(size: int) -> list[tuple[int, int, int, int]]:
    """(start, stop, first, last + 1) of the parts of an axis: what is read, and what of it belongs to the part itself.

    >>> parts_of(100), parts_of(2000)
    ([(0, 100, 0, 100)], [(0, 1536, 0, 1280), (1024, 2000, 256, 976)])
    """
    if size <= PART:
        return [(0, size, 0, size)]
    starts = list(range(0, size - OVERLAP, PART - OVERLAP))
    borders = [0, *(start + OVERLAP // 2 for start in starts[1:]), size]
    return [
        (start, min(start + PART, size), first - start, last - start)
        for start, (first, last) in zip(starts, pairwise(borders), strict=True)
    ]
