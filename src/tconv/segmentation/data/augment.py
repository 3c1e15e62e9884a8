"""Paired augmentation: one affine map for image and mask, and changes of light for the image alone.

All randomness of a crop comes from the seed, the epoch and the crop's place in it: it does not matter who makes it,
when, or after which others, so that a training that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.data.masks import IGNORED

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

    def __call__(self, image: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A random crop.

        Args:
            image: (channels, height, width), float32, normalised.
            mask: (height, width), uint8 class indices.
            rng: where the randomness comes from.

        Returns:
            (channels, size, size) float32 and (size, size) int64, IGNORED beyond the image.
        """
        grid = self._grid(mask.shape[0], mask.shape[1], rng)
        crop = F.grid_sample(image[None], grid, "bilinear", "reflection", align_corners=False)[0]
        shifted = mask[None, None].float() + 1  # so that the zeros beyond the image are told from class 0
        classes = F.grid_sample(shifted, grid, "nearest", "zeros", align_corners=False)[0, 0].round().long() - 1
        classes[classes < 0] = IGNORED
        contrast, brightness = 1 + self.light * rng.uniform(-1, 1), self.light * rng.uniform(-1, 1)
        crop = crop * contrast + brightness
        if self.noise:
            noise = rng.standard_normal(tuple(crop.shape), np.float32)
            crop = crop + self.noise * rng.uniform() * torch.from_numpy(noise)
        return crop.to(torch.float32), classes

    def _grid(self, height: int, width: int, rng: np.random.Generator) -> Tensor:
        """Where in the image, from -1 to 1 on each axis, the pixels of the crop lie: (1, size, size, 2), x first."""
        zoom = (1 + self.zoom) ** rng.uniform(-1, 1)
        angle = np.deg2rad(self.turn * rng.uniform(-1, 1))
        mirror = np.array([1.0, 1.0])
        if self.flip != "none":
            mirror[0] = rng.choice((-1, 1))
        if self.flip == "both":
            angle += np.pi / 2 * rng.integers(4)
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * mirror / zoom
        room = np.maximum(np.array([width, height]) - self.size / zoom, 0) / 2
        centre = np.array([width, height]) / 2 + room * rng.uniform(-1, 1, 2)
        steps = np.arange(self.size) - (self.size - 1) / 2
        offsets = np.stack(np.meshgrid(steps, steps, indexing="xy"), axis=-1)
        places: Array = (offsets @ turned.T + centre) / (width, height) * 2 - 1
        return torch.from_numpy(places.astype(np.float32))[None]


def generator(seed: int, epoch: int, number: int) -> np.random.Generator:
    """The randomness of one image in one epoch."""
    return np.random.default_rng([seed, epoch, number])
