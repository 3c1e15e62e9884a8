"""Channels-first layers of many weights: short vectors take the cells, or panels of some of the channels at a time."""

from __future__ import annotations

import numpy as np
import pytest
from native.exercise import exercise_layers, lanes

import tconv
from tconv import native
from tconv.geometry import Geometry

LAYERS = [
    ((3, 257, 16, 17), 132, 4, 2, 1, 1),  # channels and images that parts and clusters do not divide
    ((1, 300, 24, 25), 200, 3, 1, 1, 1),
    ((2, 512, 11, 17), 130, 3, 2, 1, 1),
    ((2, 700, 60), 260, 3, 1, 1, 1),
    ((1, 700, 1600), 250, 3, 1, 0, 750),  # inputs of a cell lie too far apart to be brought together
    ((1, 2000, 9, 40), 7, 6, 2, 2, 1),  # too few outputs for a vector
]


@pytest.mark.parametrize("name", [name for name in native.backends() if name != "reference"])  # which has no panels
def test_sums_wait_for_further_channels(name: str) -> None:
    exercise_layers(LAYERS, name)


def test_short_vectors_take_the_cells() -> None:
    """They have small tiles of pixels, for each of which all weights are fetched."""

    def way(inputs: int, outputs: int, kernel: int, stride: int, size: tuple[int, ...], dilation: int = 1) -> str:
        weight = np.zeros((inputs, outputs, *(kernel for _ in size)), np.float32)
        layer = tconv.prepare(weight, geometry=Geometry(weight.shape[2:], stride, dilation))
        return layer.plan((1, inputs, *size)).way

    heavy = "pixels" if lanes() == 16 else "cells"
    assert way(1024, 512, 2, 2, (32, 32)) == heavy  # sums of 1,024 products
    assert way(320, 320, 2, 2, (7, 7, 5)) == heavy  # 245 pixels
    assert way(512, 256, 2, 2, (32, 32)) == "pixels"  # weights of 2 MB
    assert way(512, 512, 2, 2, (32, 32)) == "pixels"  # sums of 512 products
    assert way(700, 250, 3, 1, (1600,), 750) == "pixels"  # a cell's inputs span more than are brought together
    assert way(2000, 3, 6, 2, (9, 40)) == "pixels"  # no vector is filled
