"""The smooth part minimises what it says, and both parts together are the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tconv.decomposition import split


@pytest.mark.parametrize("shape", [(2, 1, 9), (1, 3, 8, 11), (1, 1, 5, 4, 7)])
@pytest.mark.parametrize("strength", [0.0, 0.5, 5.0, 1e4])
def test_smooth_part(shape: Any, strength: float) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    rest, smooth = split(x, strength)
    assert np.allclose(rest + smooth, x)
    slope = smooth - x
    for axis in range(2, x.ndim):
        steps = np.diff(smooth, axis=axis)
        nothing = np.zeros_like(np.take(smooth, [0], axis))
        slope += strength * -np.diff(np.concatenate([nothing, steps, nothing], axis), axis=axis)
    assert np.abs(slope).max() < 1e-9


def test_single_precision_stays() -> None:
    rest, smooth = split(np.ones((1, 1, 4, 4), np.float32))
    assert rest.dtype == smooth.dtype == np.float32
