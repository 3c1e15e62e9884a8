"""Paired augmentation: one affine map for image and mask, and changes of light for the image alone.

All randomness of a crop comes from the seed, the epoch and the crop's place in it: it does not matter who makes it,
when, or after which others, so that a training that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.data.legend import IGNORED

Read = Callable[[slice, slice], Tensor]
FLIPS = ("none", "horizontal", "both")


@dataclass(frozen=True)
class Augmentation:
    """How crops differ from the images.

    Attributes:
        size: pixels per side of a crop.
        zoom: scales between 1/(1 + zoom) and 1 + zoom.
        turn: degrees, to both sides.
        flip: "none"; "horizontal"; or "both", with quarter turns. Only where mirrored images are as likely as others:
            a mirrored digit is none.
        light: contrast changes by up to this part, brightness by up to as many standard deviations.
        noise: standard deviation of noise, in those of the image.

    Raises:
        TconvError: an unknown flip, a size below 1, a negative number.
    """

    size: int = 256
    zoom: float = 0.15
    turn: float = 8.0
    flip: str = "none"
    light: float = 0.2
    noise: float = 0.05

    def __post_init__(self) -> None:
        if self.flip not in FLIPS:
            raise errors.TconvError(f"flip {self.flip!r} is unknown; choose one of {', '.join(FLIPS)}")
        if self.size < 1 or min(self.zoom, self.turn, self.light, self.noise) < 0:
            raise errors.TconvError("size must be at least 1; zoom, turn, light and noise must not be negative")

    def plain(self) -> Augmentation:
        """The same crops and mirror images, changed in no other way."""
        return replace(self, zoom=0.0, turn=0.0, light=0.0, noise=0.0)

    def __call__(self, image: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A random crop.

        Args:
            image: (channels, height, width), float32, normalised.
            mask: (height, width), uint8 class indices.
            rng: where the randomness comes from.

        Returns:
            (channels, size, size) float32 and (size, size) int64, IGNORED beyond the image.
        """
        return self.crop(lambda rows, columns: image[:, rows, columns], mask.numpy(), rng)

    def crop(self, read: Read, mask: Array, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """The same of an image of which only the part that is seen is asked for, as it may be large.

        Args:
            read: the normalised pixels of a window, (rows, columns) -> (channels, height, width).
            mask: (height, width), uint8 class indices.
            rng: where the randomness comes from.
        """
        size = np.array([mask.shape[1], mask.shape[0]])
        places = self._places(size, rng)
        index = np.rint(places - 0.5).astype(np.int64)
        inside = ((index >= 0) & (index < size)).all(axis=2)
        classes = np.full(inside.shape, IGNORED, np.int64)
        classes[inside] = mask[index[inside][:, 1], index[inside][:, 0]]
        mirrored = size - np.abs(np.abs(places) % (2 * size) - size)  # at the image's borders
        low = np.floor(mirrored.min(axis=(0, 1)) - 0.5).astype(np.int64).clip(0, size - 1)
        high = np.ceil(mirrored.max(axis=(0, 1)) + 0.5).astype(np.int64).clip(low + 1, size)
        window = read(slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
        grid = torch.from_numpy(((mirrored - low) / (high - low) * 2 - 1).astype(np.float32))
        crop = F.grid_sample(window[None], grid[None], "bilinear", "border", align_corners=False)[0]
        contrast, brightness = 1 + self.light * rng.uniform(-1, 1), self.light * rng.uniform(-1, 1)
        crop = crop * contrast + brightness
        if self.noise:
            noise = rng.standard_normal(tuple(crop.shape), np.float32)
            crop = crop + self.noise * rng.uniform() * torch.from_numpy(noise)
        return crop.to(torch.float32), torch.from_numpy(classes)

    def _places(self, size: Array, rng: np.random.Generator) -> Array:
        """Where in the image, (x, y) from 0 to `size` = (width, height), the pixels of the crop have their middles:
        (size, size, 2)."""
        zoom = (1 + self.zoom) ** rng.uniform(-1, 1)
        angle = np.deg2rad(self.turn * rng.uniform(-1, 1))
        mirror = np.array([1.0, 1.0])
        if self.flip != "none":
            mirror[0] = rng.choice((-1, 1))
        if self.flip == "both":
            angle += np.pi / 2 * rng.integers(4)
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * mirror / zoom
        room = np.maximum(size - self.size / zoom, 0) / 2
        centre = size / 2 + room * rng.uniform(-1, 1, 2)
        steps = np.arange(self.size) - (self.size - 1) / 2
        offsets = np.stack(np.meshgrid(steps, steps, indexing="xy"), axis=-1)
        places: Array = offsets @ turned.T + centre
        return places


def generator(seed: int, epoch: int, number: int) -> np.random.Generator:
    """The randomness of one image in one epoch."""
    return np.random.default_rng([seed, epoch, number])
