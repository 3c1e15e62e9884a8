"""Cloth under raking light: weaves that differ in texture alone, threads a pixel or two wide, and a few small knots.

Weaves have one mean colour, so that a network must see texture; threads are thin, and knots are rare: each is what
segmentation finds hard. Five classes with exact masks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tconv.arrays import Array

CLASSES = ("plain", "twill", "mesh", "thread", "knot")
REGIONS = 5  # of the cloth, at most
KNOTS = 0.9  # per image, on average


def make(count: int, size: int, seed: int, part: str) -> Iterator[tuple[Array, Array]]:
    """`count` samples: image (size, size, 3) uint8 and mask (size, size) uint8."""
    for n in range(count):
        rng = np.random.default_rng([seed, ("train", "test", "shifted").index(part), n])
        yield _cloth(size, rng, part == "shifted")


def _cloth(size: int, rng: np.random.Generator, shifted: bool) -> tuple[Array, Array]:
    from scipy.ndimage import gaussian_filter

    y, x = np.mgrid[:size, :size].astype(np.float64)
    mask = _regions(x, y, size, rng)
    period = rng.uniform(4.5, 7.5) if not shifted else rng.uniform(4, 9)
    weaves = [weave(kind, x, y, period, rng) for kind in range(3)]
    light = np.choose(mask, weaves) * rng.uniform(22, 34)
    light += rng.normal(0, 9, (size, size))
    cloth, other = rng.uniform(90, 160, 3), rng.uniform(-55, 55, 3)
    image = cloth + light[..., None]
    for _ in range(rng.integers(2, 6)):
        line = thread(x, y, size, rng)
        width = rng.uniform(0.6, 1.2)
        cover = np.clip(width + 0.5 - line, 0, 1)[..., None]
        image = image * (1 - cover) + (cloth + other + rng.normal(0, 5, (size, size, 1))) * cover
        mask[line < width] = 3
    for _ in range(rng.poisson(KNOTS)):
        distance = np.hypot(x - rng.uniform(4, size - 4), y - rng.uniform(4, size - 4))
        radius = rng.uniform(2.2, 3.6)
        image += (np.exp(-((distance - radius) ** 2) / 1.2) * 60 - np.exp(-(distance**2) / radius) * 50)[..., None]
        mask[distance < radius + 0.8] = 4
    direction = rng.uniform(0, 2 * np.pi)
    ramp = (np.cos(direction) * x + np.sin(direction) * y) / size
    image *= (1 + rng.uniform(0.1, 0.3 if not shifted else 0.6) * (ramp - ramp.mean()))[..., None]
    image = gaussian_filter(image, (*[rng.uniform(0.3, 0.6 if not shifted else 0.8)] * 2, 0))
    image += rng.normal(0, rng.uniform(2, 6), image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), mask


def _regions(x: Array, y: Array, size: int, rng: np.random.Generator) -> Array:
    """Which weave lies where: the nearest of some centres says."""
    count = rng.integers(2, REGIONS + 1)
    centres, kinds = rng.uniform(0, size, (count, 2)), rng.permutation(np.arange(count) % 3)
    distances = np.hypot(x[..., None] - centres[:, 0], y[..., None] - centres[:, 1])
    found: Array = kinds[distances.argmin(axis=2)].astype(np.uint8)
    return found


def weave(kind: int, x: Array, y: Array, period: float, rng: np.random.Generator) -> Array:
    """The height of a weave, mean 0 and spread 1: 0 plain, a check; 1 twill, slanting ribs; 2 mesh."""
    angle, (shift_x, shift_y) = rng.uniform(-0.3, 0.3), rng.uniform(0, period, 2)
    across = (np.cos(angle) * x - np.sin(angle) * y + shift_x) * 2 * np.pi / period
    along = (np.sin(angle) * x + np.cos(angle) * y + shift_y) * 2 * np.pi / period
    if kind == 0:
        height = np.sin(across) * np.sin(along)
    elif kind == 1:
        height = np.sin((across + along) / np.sqrt(2) * 1.1)
    else:
        height = np.maximum(np.cos(across), np.cos(along))
    found: Array = (height - height.mean()) / height.std()
    return found


def thread(x: Array, y: Array, size: int, rng: np.random.Generator) -> Array:
    """The distance of every pixel from a curve that wanders through the image."""
    place, heading = rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi)
    distance = np.full(x.shape, np.inf)
    for _ in range(int(rng.uniform(0.6, 1.6) * size)):
        distance = np.minimum(distance, (x - place[0]) ** 2 + (y - place[1]) ** 2)
        heading += rng.normal(0, 0.12)
        place = place + np.array([np.cos(heading), np.sin(heading)])
    found: Array = np.sqrt(distance)
    return found
