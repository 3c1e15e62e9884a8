"""The way that the core takes for a layer is a decision: a change of it is seen, and all of them are met."""

from __future__ import annotations

import pytest
from native.ways import BACKENDS, EXPECTED, plans

from tconv import native


@pytest.mark.parametrize("backend", [name for name in native.backends() if name in BACKENDS])
def test_ways_and_memory_are_as_decided(backend: str) -> None:
    """After a change that is meant to choose otherwise: `python tests/native/ways.py`, and read the difference."""
    expected = [line for line in EXPECTED.read_text().splitlines() if line.startswith(f"{backend}:")]
    assert list(plans(backend)) == expected


def test_the_layers_meet_every_way() -> None:
    ways = {line.rpartition(": ")[2].partition(",")[0] for line in EXPECTED.read_text().splitlines()}
    assert ways == {"pixels", "cells", "col2im", "depthwise", "winograd_4x4", "winograd_6x6"}
