"""The fixed kernels are PyTorch's interpolation, and every kernel can be centred."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tconv
from tconv import errors, kernels

MODES = [
    (kernels.nearest, 1, "nearest"),
    (kernels.nearest, 2, "nearest"),
    (kernels.nearest, 3, "nearest"),
    (kernels.bilinear, 1, "linear"),
    (kernels.bilinear, 2, "bilinear"),
    (kernels.bilinear, 3, "trilinear"),
    (kernels.bicubic, 2, "bicubic"),
]
PRECISIONS = [(np.float32, 1e-6), (np.float64, 1e-12)]
SCALES = range(1, 6)


def interpolate(x: np.ndarray, scale: Any, mode: str) -> np.ndarray:
    corners = {} if mode == "nearest" else {"align_corners": False}
    return torch.nn.functional.interpolate(torch.from_numpy(x), scale_factor=scale, mode=mode, **corners).numpy()


def upsample(x: np.ndarray, weight: np.ndarray, scale: Any, replicated: Any = 0) -> np.ndarray:
    geometry = kernels.upsampling(weight.shape[2:], scale, replicated)
    return tconv.prepare(weight, geometry=geometry, groups=len(weight))(x)


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kernel, ndim, mode", MODES)
def test_is_interpolation(kernel: Any, ndim: int, mode: str, scale: int, dtype: Any, tolerance: float) -> None:
    x = np.random.default_rng(scale).uniform(-0.5, 0.5, (2, 3, *(7, 6, 5)[:ndim])).astype(dtype)
    weight = kernel(scale, ndim, channels=3, dtype=dtype)
    expected = interpolate(x, scale, mode)
    reach = kernels.radius(weight.shape[2:], scale)
    extended = np.pad(x, [(0, 0), (0, 0), *((r, r) for r in reach)], mode="edge")
    np.testing.assert_allclose(upsample(extended, weight, scale, reach), expected, rtol=0, atol=tolerance)

    bare = upsample(x, weight, scale)
    assert bare.shape == expected.shape
    inside = (..., *(slice(r * scale, n * scale - r * scale) for r, n in zip(reach, x.shape[2:], strict=True)))
    np.testing.assert_allclose(bare[inside], expected[inside], rtol=0, atol=tolerance)


def test_scales_may_differ() -> None:
    x = np.random.default_rng(0).random((1, 1, 6, 5))
    weight = kernels.bilinear((2, 3), dtype=np.float64)
    assert weight.shape == (1, 1, 4, 5)
    reach = kernels.radius((4, 5), (2, 3))
    extended = np.pad(x, [(0, 0), (0, 0), *((r, r) for r in reach)], mode="edge")
    np.testing.assert_allclose(
        upsample(extended, weight, (2, 3), reach), interpolate(x, (2, 3), "bilinear"), atol=1e-12
    )


@pytest.mark.parametrize("kernel", [kernels.nearest, kernels.bilinear, kernels.bicubic])
@pytest.mark.parametrize("scale", SCALES)
def test_every_phase_sums_to_one(kernel: Any, scale: int) -> None:
    weight = kernel(scale, ndim=1, dtype=np.float64)[0, 0]
    for phase in range(scale):
        assert weight[phase::scale].sum() == pytest.approx(1, abs=1e-14)


def test_beyond_the_border_there_are_zeros() -> None:
    y = upsample(np.ones((1, 3), np.float32), kernels.bilinear(2, ndim=1), 2)
    assert y.tolist() == [[0.75, 1, 1, 1, 1, 0.75]]


def test_dtypes() -> None:
    assert kernels.nearest(2, dtype=np.int16).dtype == np.int16
    assert kernels.bilinear(2, dtype="complex64").dtype == np.complex64
    assert kernels.bicubic(2, dtype=ml_dtypes.bfloat16).dtype == ml_dtypes.bfloat16
    assert kernels.bilinear(2, channels=4).shape == (4, 1, 4, 4)


@given(kernel=st.integers(1, 30), scale=st.integers(1, 12), replicated=st.integers(0, 4), n=st.integers(9, 20))
def test_any_kernel_is_centred(kernel: int, scale: int, replicated: int, n: int) -> None:
    geometry = kernels.upsampling(kernel, scale, replicated)
    assert geometry.output_size(n) == ((n - 2 * replicated) * scale,)
    ((lo, hi),) = geometry.crop
    assert hi - lo == (kernel - scale) % 2


@given(kernel=st.integers(1, 30), scale=st.integers(1, 12))
def test_radius_is_what_the_output_reads(kernel: int, scale: int) -> None:
    n = 8
    (reach,) = kernels.radius(kernel, scale)
    beyond = 40
    (axis,) = kernels.upsampling(kernel, scale, beyond).axes
    read = {i - beyond for o in range(n * scale) for i, _ in axis.sources(o, n + 2 * beyond)}
    assert reach == max(-min(read, default=0), max(read, default=0) - (n - 1), 0)


def test_a_kernel_smaller_than_the_scale_leaves_holes() -> None:
    geometry = kernels.upsampling((1, 1), 2)
    assert geometry.output_size((3, 4)) == (6, 8)
    assert geometry.coverage((3, 4)).hole_count == 48 - 12


MESSAGES = [
    (lambda: kernels.nearest(0), errors.StrideError, "scale 0 must be at least 1"),
    (lambda: kernels.bilinear((2, -1)), errors.StrideError, "scale -1 must be at least 1"),
    (
        lambda: kernels.bicubic(1.5),
        errors.ArgumentTypeError,
        "scale must be an integer, not 1.5 (float); sizes are counted in whole cells",
    ),
    (
        lambda: kernels.nearest((2, 2, 2)),
        errors.LengthError,
        "scale has 3 entries, (2, 2, 2), for 2 spatial axes; give 1 or 2",
    ),
    (lambda: kernels.nearest(2, ndim=0), errors.LengthError, "ndim 0 must be at least 1"),
    (lambda: kernels.nearest(2, channels=0), errors.ChannelError, "channels 0 must be at least 1"),
    (
        lambda: kernels.bilinear(2, dtype=np.int32),
        errors.DtypeError,
        "dtype int32 cannot hold this kernel's values; use a floating-point dtype",
    ),
    (lambda: kernels.nearest(2, dtype="colour"), errors.DtypeError, "dtype 'colour' is not a NumPy dtype"),
    (
        lambda: kernels.upsampling((4, 4), 2, replicated=-1),
        errors.PaddingError,
        "replicated (-1, -1) must not be negative",
    ),
]


@pytest.mark.parametrize("call, error, message", MESSAGES, ids=[message for *_, message in MESSAGES])
def test_messages(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == message


def test_laws_of_the_geometry() -> None:
    with pytest.raises(errors.KernelError):
        kernels.upsampling(0, 2)
    with pytest.raises(errors.StrideError):
        kernels.radius(4, 0)
    with pytest.raises(errors.LengthError):
        kernels.upsampling((4, 4), (2, 2, 2))
