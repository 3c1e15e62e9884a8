"""Real handwritten digits of scikit-learn on real textures of scikit-image, with exact masks: 11 classes.

Colours of digit and ground are drawn from the same distribution, so that a pixel's colour says next to nothing about
its class: a network has to see the shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from tconv.arrays import Array

CLASSES = ("background", *(f"digit {n}" for n in range(10)))
TEXTURES = {"train": ("brick", "grass", "gravel"), "shifted": ("coffee", "rocket", "moon")}
CELL = 32  # pixels of the grid that digits stand on
LEVEL = 0.4  # of the pen's pressure, where a stroke ends
PRESENT = 0.75  # of the grid's cells hold a digit
CONTRAST = 60.0  # least distance of the digit's mean colour from the ground's, of 441


def make(count: int, size: int, seed: int, part: str) -> Iterator[tuple[Array, Array]]:
    """`count` samples: image (size, size, 3) uint8 and mask (size, size) uint8 of 0 and, for digit d, 1 + d."""
    shapes, labels = handwriting(part == "train")
    grounds = textures(part)
    for n in range(count):
        rng = np.random.default_rng([seed, ("train", "test", "shifted").index(part), n])
        yield _compose(size, shapes, labels, grounds, rng, part == "shifted")


@cache
def handwriting(training: bool) -> tuple[Array, Array]:
    """Digits as (n, 8, 8) of 0 to 1, and which they are; every fifth is kept for testing."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    kept = (np.arange(len(digits.target)) % 5 != 0) == training
    return digits.images[kept] / 16, digits.target[kept]


@cache
def textures(part: str) -> tuple[Array, ...]:
    """Grey photographs, values of 0 to 1; the held-out part sees the lower third of the training ones."""
    from skimage import data

    names = TEXTURES["shifted" if part == "shifted" else "train"]
    grey = [photo.mean(axis=2) if photo.ndim == 3 else photo for photo in (getattr(data, name)() for name in names)]
    third = [len(photo) * 2 // 3 for photo in grey]
    parts = {"train": lambda p, t: p[:t], "test": lambda p, t: p[t:], "shifted": lambda p, t: p}
    return tuple(parts[part](photo, t) / 255 for photo, t in zip(grey, third, strict=True))


def _compose(
    size: int, shapes: Array, labels: Array, grounds: tuple[Array, ...], rng: np.random.Generator, shifted: bool
) -> tuple[Array, Array]:
    ground = _patch(grounds[rng.integers(len(grounds))], size, rng)
    colour = rng.uniform(50, 205, 3)
    image = colour + (ground - ground.mean())[..., None] * rng.uniform(60, 140 if not shifted else 180)
    mask = np.zeros((size, size), np.uint8)
    cells = size // CELL
    rest = size - cells * CELL
    for row, column in np.ndindex(cells, cells):
        if rng.uniform() > PRESENT:
            continue
        number = rng.integers(len(labels))
        shape = enlarged(shapes[number], int(rng.integers(22, 31) if not shifted else rng.integers(17, 32)))
        height, width = shape.shape
        top = row * CELL + rng.integers(CELL - height + 1 + rest * (row == cells - 1))
        left = column * CELL + rng.integers(CELL - width + 1 + rest * (column == cells - 1))
        at = slice(top, top + height), slice(left, left + width)
        cover = np.clip((shape - LEVEL) * 3 + 0.5, 0, 1)[..., None]  # half covered where the mask ends
        ink = _ink(image[at].mean(axis=(0, 1)), rng) + rng.normal(0, 6, (height, width, 1))
        image[at] = image[at] * (1 - cover) + ink * cover
        mask[at][shape > LEVEL] = 1 + labels[number]
    if shifted:
        image *= np.linspace(rng.uniform(0.7, 1), rng.uniform(1, 1.3), size)[:, None, None]
    image += rng.normal(0, rng.uniform(2, 8), image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), mask


def enlarged(shape: Array, height: int) -> Array:
    """An 8 x 8 digit, trimmed, `height` pixels high, smoothly interpolated."""
    from scipy.ndimage import zoom

    columns = np.flatnonzero(shape.max(axis=0) > 0.2)
    trimmed = np.pad(shape[:, columns[0] : columns[-1] + 1], 1)
    large: Array = zoom(trimmed, height / len(trimmed), order=3, mode="grid-constant", grid_mode=True)
    return large[:, :CELL]


def _patch(texture: Array, size: int, rng: np.random.Generator) -> Array:
    """A random square, mirrored at the edges where the texture is smaller."""
    short = [max(0, size - n) for n in texture.shape]
    texture = np.pad(texture, [(0, n) for n in short], mode="reflect")
    top, left = (rng.integers(n - size + 1) for n in texture.shape)
    return texture[top : top + size, left : left + size]


def _ink(ground: Array, rng: np.random.Generator) -> Array:
    """A colour that differs from the ground's."""
    while True:
        colour: Array = rng.uniform(20, 235, 3)
        if np.linalg.norm(colour - ground) > CONTRAST:
            return colour
