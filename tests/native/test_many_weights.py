"""Channels-first layers of many weights and several taps, whose panels hold some of the channels at a time."""

from __future__ import annotations

import pytest
from native.exercise import exercise_layers

from tconv import native

LAYERS = [
    ((3, 257, 16, 17), 132, 4, 2, 1, 1),  # channels and images that parts and clusters do not divide
    ((1, 300, 24, 25), 200, 3, 1, 1, 1),
    ((2, 512, 11, 17), 130, 3, 2, 1, 1),
    ((2, 700, 60), 260, 3, 1, 1, 1),
]


@pytest.mark.parametrize("name", [name for name in native.backends() if name != "reference"])  # which has no panels
def test_sums_wait_for_further_channels(name: str) -> None:
    exercise_layers(LAYERS, name)
