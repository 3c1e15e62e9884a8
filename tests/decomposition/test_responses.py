"""The adjoint of the synthesis, in 1-D to 3-D, for channels and strides: <D z, r> = <z, D^T r>, and plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from decomposition.problems import kernels, matrix

import tconv
from tconv.decomposition.frame import frame
from tconv.decomposition.responses import Responses

CASES = [
    ((5, 1, 4), (17,), 1),
    ((3, 2, 5), (23,), 3),
    ((4, 1, 3, 4), (9, 11), 1),
    ((3, 2, 4, 4), (10, 13), 2),
    ((2, 3, 5, 3), (12, 9), (3, 2)),
    ((2, 1, 3, 3, 3), (6, 5, 7), 1),
    ((2, 2, 4, 3, 2), (6, 7, 5), 2),
]


@pytest.mark.parametrize("border", ["cropped", "inside"])
@pytest.mark.parametrize(("shape", "size", "stride"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adjoint(shape: tuple[int, ...], size: tuple[int, ...], stride: Any, border: str, dtype: Any) -> None:
    d = kernels(*shape, dtype=dtype)
    strides = (stride,) * len(size) if isinstance(stride, int) else stride
    if border == "inside":
        size = tuple(s * 3 + k for s, k in zip(strides, shape[2:], strict=True))
    where = frame(size, shape[2:], stride, border)
    rng = np.random.default_rng(1)
    z = rng.standard_normal((2, shape[0], *where.places)).astype(dtype)
    r = rng.standard_normal((2, shape[1], *size)).astype(dtype)
    canvas = np.zeros((2, shape[1], *where.canvas), dtype)
    canvas[(slice(None), slice(None), *where.window)] = r
    up = Responses(d, strides)(canvas, np.empty_like(z))
    down = tconv.prepare(d, geometry=where.geometry)(z)
    tight = 1e-5 if dtype == np.float32 else 1e-13
    assert abs(np.vdot(down, r) - np.vdot(z, up)) <= tight * np.linalg.norm(z) * np.linalg.norm(up)
    a = matrix(d, size, where.places, strides, tuple(low for low, _ in where.geometry.crop))
    assert np.allclose(down.reshape(2, -1), z.reshape(2, -1) @ a.T, atol=10 * tight)
    assert np.allclose(up.reshape(2, -1), r.reshape(2, -1) @ a, atol=10 * tight)
