"""Cell-like blobs under a microscope that is not perfect: uneven light, noise, blur; three classes with exact masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tconv.arrays import Array

CLASSES = ("background", "cell", "nucleus")
BUMPS = (2, 3, 4, 5)  # waves around a blob's outline


def make(count: int, size: int, seed: int, part: str) -> Iterator[tuple[Array, Array]]:
    """`count` samples: image (size, size, 1) uint8 and mask (size, size) uint8."""
    for n in range(count):
        rng = np.random.default_rng([seed, ("train", "test", "shifted").index(part), n])
        yield _field(size, rng, part == "shifted")


def _field(size: int, rng: np.random.Generator, shifted: bool) -> tuple[Array, Array]:
    from scipy.ndimage import gaussian_filter

    image, mask = np.full((size, size), rng.uniform(25, 70)), np.zeros((size, size), np.uint8)
    for _ in range(rng.poisson(size * size / 1500) + 2):
        radius = rng.uniform(7, 14) if not shifted else rng.uniform(5, 18)
        centre = rng.uniform(0, size, 2)
        distance, outline = blob(size, centre, radius, rng)
        cell = (distance < outline) & (mask == 0)
        nucleus = cell & (blob(size, centre + rng.uniform(-0.2, 0.2, 2) * radius, 0.45 * radius, rng, 0.05)[0]
                          < 0.45 * radius)  # fmt: skip
        dome = np.sqrt(np.clip(1 - (distance / outline) ** 2, 0, 1))
        image[cell] += (rng.uniform(35, 70) * (0.45 + 0.55 * dome))[cell]
        image[nucleus] += rng.uniform(25, 55) * rng.choice((1, -0.8))
        mask[cell], mask[nucleus] = 1, 2
    y, x = np.mgrid[:size, :size] / size - 0.5
    direction = rng.uniform(0, 2 * np.pi)
    image *= 1 + rng.uniform(0.2, 0.5) * (np.cos(direction) * x + np.sin(direction) * y)
    image = gaussian_filter(image, rng.uniform(0.5, 0.9 if not shifted else 1.4))
    image = rng.poisson(np.clip(image, 0, None) / 2) * 2 + rng.normal(0, 3, image.shape)  # photons, then the sensor
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)[..., None], mask


def blob(size: int, centre: Array, radius: float, rng: np.random.Generator, rough: float = 0.12) -> tuple[Array, Array]:
    """For every pixel of a square: its distance from `centre`, and the blob's radius in its direction."""
    y, x = np.mgrid[:size, :size] - centre[:, None, None]
    angle = np.arctan2(y, x)
    waves = sum(rng.normal(0, rough / bumps) * np.cos(bumps * angle + rng.uniform(0, 2 * np.pi)) for bumps in BUMPS)
    return np.hypot(y, x), radius * (1 + waves)
