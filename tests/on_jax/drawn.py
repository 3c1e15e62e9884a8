"""Calls of `jax.lax.conv_transpose`, drawn at random and small."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

LAYOUTS = {
    1: [None, ("NHC", "HIO", "NHC"), ("NCH", "OIH", "NCH"), ("NHC", "HIO", "NCH"), ("HNC", "IHO", "CNH")],
    2: [None, ("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("NHWC", "OIHW", "NCHW"), ("WHCN", "IWHO", "NWHC")],
    3: [None, ("NHWDC", "HWDIO", "NHWDC"), ("NCHWD", "OIHWD", "NCHWD"), ("NWDHC", "HWDOI", "NHWDC")],
}


def seeds(first: int, end: int, fast: int) -> list[Any]:
    """Seeds to draw from, of which the first `fast` belong to the fast tests: XLA compiles anew for each."""
    return [seed if seed < first + fast else pytest.param(seed, marks=pytest.mark.slow) for seed in range(first, end)]


def call(seed: int, dtype: Any = "float32") -> tuple[Any, Any, dict[str, Any]]:
    """lhs, rhs and the other arguments of one call."""
    rng = np.random.default_rng(seed)
    ndim = int(rng.integers(1, 4))
    sizes = rng.integers(2, [40, 12, 6][ndim - 1], ndim)
    kernel = rng.integers(1, [9, 6, 4][ndim - 1], ndim)
    strides, dilation = rng.integers(1, 4, ndim), rng.integers(1, 3, ndim)
    kept = "lhs", "rhs"
    batch, channels, outputs = (int(n) for n in rng.integers(1, [3, 6, 10]))
    layout = LAYOUTS[ndim][rng.integers(len(LAYOUTS[ndim]))]
    transposed = bool(rng.integers(2))
    padding: Any = ["SAME", "VALID", None][rng.integers(3)]
    if padding is None:
        extent = dilation * (kernel - 1)
        padding = [(int(e - rng.integers(-1, 2)), int(e - rng.integers(-1, 1))) for e in extent]
    named = layout or LAYOUTS[ndim][1]
    assert named is not None
    spatial = [letter for letter in named[0] if letter not in "NC"]
    spatial.sort(key="HWD".index)
    of_lhs = dict(zip(["N", "C", *spatial], [batch, channels, *sizes], strict=True))
    first, second = (outputs, channels) if not transposed else (channels, outputs)
    of_rhs = dict(zip(["O", "I", *spatial], [first, second, *kernel], strict=True))
    arrays = {
        "lhs": rng.standard_normal([of_lhs[letter] for letter in named[0]]),
        "rhs": rng.standard_normal([of_rhs[letter] for letter in named[1]]),
    }
    lhs, rhs = (jnp.asarray(arrays[name]).astype(dtype) for name in kept)
    return (
        lhs,
        rhs,
        {
            "strides": tuple(map(int, strides)),
            "padding": padding,
            "rhs_dilation": tuple(map(int, dilation)),
            "dimension_numbers": layout,
            "transpose_kernel": transposed,
        },
    )
