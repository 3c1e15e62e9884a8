"""Few outputs: inputs where they lie, or in panels where shifts are distances on one axis or on several; joins."""

from __future__ import annotations

from typing import Any

import pytest
from native.exercise import exercise_layers

from tconv import native

LAYERS: list[tuple[Any, ...]] = [
    ((1, 5, 60, 250), 1, 9, 2, 4, 1),
    ((1, 19, 71, 230), 2, 3, 1, 1, 1),
    ((2, 3, 33, 401), 1, (5, 2), (1, 3), (2, 0), 1),
    ((3, 40, 30, 31), 3, 4, 2, 1, 1),
    ((1, 130, 64, 50), 2, 5, 1, 2, 1),
    ((1, 9, 18, 20, 22), 1, 3, 2, 1, 1),
    ((1, 7, 21, 9, 130), 2, (3, 1, 4), (2, 1, 2), (1, 0, 1), 1),
    ((1, 6, 5000), 1, 5, 2, 2, 1),
    ((2, 6, 5003), 1, 2, 1, 0, 1),  # these two are read where they lie
    ((3, 9, 40, 50), 1, 2, 2, 0, 1),
    ((1, 10, 40, 50), 16, 3, 2, 1, 1),  # channels-last, outputs of a pixel that fill a vector, or half of one
    ((2, 6, 30, 41), 16, 3, 1, 1, 1),
    ((1, 9, 40, 50), 8, 5, 2, 2, 1),
    ((1, 4, 70, 300), 1, 3, 1, 2, 2),  # taps of a row have sums of their own
    ((2, 5, 40, 41), 2, (2, 4), 1, 0, (1, 3)),
    ((1, 3, 12, 13, 30), 1, 3, (1, 2, 2), 1, 1),
    ((1, 3, 50, 50), 1, (2, 8), (3, 2), 0, 1),  # as the rows between hold the bias, they do not have here
]


@pytest.mark.parametrize("name", native.backends())
def test_few_outputs_of_wide_rows_and_of_images(name: str) -> None:
    exercise_layers(LAYERS, name)
