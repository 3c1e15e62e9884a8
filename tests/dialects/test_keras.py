"""Keras: its paddings and weights by value against JAX's conv_transpose, and what Keras has no words for.

JAX's "SAME" and "VALID" are TensorFlow's, for every stride and dilation. Keras itself, with output_padding, is in
test_tensorflow.py.
"""

import re
from itertools import product

import jax
import numpy as np
import pytest
from dialects.oracle import GRID, SAMPLES_2D, SAMPLES_3D, SIZES, arrays, every_crop, scatter

from tconv import errors
from tconv.dialects import (
    from_channels_last,
    from_keras,
    to_channels_last,
    to_keras,
    weight_from_keras,
    weight_to_keras,
)
from tconv.geometry import Geometry


def conv_transpose(x, kernel, strides, padding, dilation_rate):
    """On Keras's layouts."""
    transposed = {"rhs_dilation": dilation_rate, "transpose_kernel": True}
    return np.asarray(jax.lax.conv_transpose(x, kernel, strides, padding.upper(), **transposed))


def agrees(kernel, strides, dilation_rate, padding, size):
    geometry = from_keras(kernel, strides, padding, None, dilation_rate)
    x, weight = arrays(geometry, size)
    y = conv_transpose(to_channels_last(x), weight_to_keras(weight), strides, padding, dilation_rate)
    np.testing.assert_array_equal(from_channels_last(y), scatter(geometry, x, weight), str(geometry))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), GRID)
def test_one_axis(kernel, stride, dilation, padding):
    for size in SIZES:
        agrees((kernel,), (stride,), (dilation,), padding, (size,))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), SAMPLES_2D + SAMPLES_3D)
def test_more_axes(kernel, stride, dilation, padding):
    agrees(kernel, stride, dilation, padding, (4, 5, 3)[: len(kernel)])


def test_sizes_with_output_padding():
    """Keras's own rule for the size of its output."""
    for kernel, stride, size in product(range(1, 6), range(1, 5), SIZES):
        for op in range(stride):
            valid = from_keras(kernel, stride, "valid", op)
            assert valid.output_size(size) == (stride * (size - 1) + kernel + op,)
            same = from_keras(kernel, stride, "same", op)
            assert same.output_size(size) == (stride * (size - 1) + kernel % 2 + op,)


def test_plain_ints_on_several_axes():
    expected = Geometry((3, 3), stride=2, crop=(0, 1))
    assert from_keras(3, 2, "same", 1, ndim=2) == expected
    assert from_keras(3, 2, "same", (1, 1)) == expected
    assert from_keras(3, (2, 2), "SAME", 1) == expected


@pytest.mark.parametrize(("kernel", "stride", "dilation"), GRID)
def test_what_can_be_written_reads_back(kernel, stride, dilation):
    settings = list(product(["valid", "same"], [None, *range(stride)]))
    possible = {from_keras(kernel, stride, padding, op, dilation) for padding, op in settings}
    for geometry in every_crop(kernel, stride, dilation, reach=8):
        if geometry in possible and (stride == 1 or dilation == 1):
            assert from_keras(**to_keras(geometry)) == geometry
        else:
            with pytest.raises(errors.DialectError):
                to_keras(geometry)


def test_the_default_output_padding_is_preferred():
    for kernel, stride, padding in product(range(1, 6), range(1, 5), ["valid", "same"]):
        assert to_keras(from_keras(kernel, stride, padding))["output_padding"] is None


def test_several_axes_share_one_padding():
    geometry = from_keras((3, 4), (2, 3), "same", (1, 0))
    assert to_keras(geometry) == {
        "kernel_size": (3, 4),
        "strides": (2, 3),
        "padding": "same",
        "output_padding": (1, 0),
        "dilation_rate": (1, 1),
    }
    assert to_keras(from_keras((5, 1), (2, 3)))["padding"] == "valid"


WAY_OUT = (
    "use padding 'valid', output_padding 0 and use_bias=False, cut {} cells off the ends of the result (a negative "
    "number adds zeros), then add the bias"
)
REFUSED = [
    (
        Geometry(3, stride=2, crop=(2, 0)),
        "axis 0: crop (2, 0) is none of Keras's: 'valid' crops (0, -output_padding), 'same' crops 2 - output_padding "
        "cells (1 if it is None), half of them, rounded down, at the low end, where 0 <= output_padding < strides 2; "
        + WAY_OUT.format("((2, 0),)"),
    ),
    (
        Geometry((3, 4), stride=2, crop=((0, 1), (-1, 2))),
        "axis 1: crop (-1, 2) is none of Keras's: 'valid' crops (0, -output_padding), 'same' crops 4 - output_padding "
        "cells (2 if it is None), half of them, rounded down, at the low end, where 0 <= output_padding < strides 2; "
        + WAY_OUT.format("((0, 1), (-1, 2))"),
    ),
    (
        Geometry((4, 3), stride=2, crop=((1, 1), (0, 0))),
        "Keras has one padding for all axes, and output_padding None for all or none: axis 0 needs padding 'same' with "
        "output_padding None, axis 1 needs padding 'valid' with output_padding None or padding 'valid' with "
        "output_padding 0; " + WAY_OUT.format("((1, 1), (0, 0))"),
    ),
]


@pytest.mark.parametrize(("geometry", "message"), REFUSED)
def test_refusal_and_its_way_out(geometry, message):
    with pytest.raises(errors.DialectError, match=f"^{re.escape(message)}$"):
        to_keras(geometry)
    uncut = from_keras(geometry.kernel, geometry.stride, "valid", 0, geometry.dilation)
    assert uncut == Geometry(geometry.kernel, geometry.stride, geometry.dilation)


def test_stride_and_dilation_together():
    geometry = Geometry(3, stride=2, dilation=2, crop=(1, 2))
    message = (
        "Keras's layers refuse strides (2,) together with dilation_rate (2,), one of them must be 1; put zeros between "
        "the taps: kernel_size (5,), dilation_rate 1"
    )
    with pytest.raises(errors.DialectError, match=f"^{re.escape(message)}$"):
        to_keras(geometry)
    x, weight = arrays(geometry, (4,))
    spread = np.zeros((2, 3, 5), np.float32)
    spread[..., ::2] = weight
    expected = scatter(geometry, x, weight)
    np.testing.assert_array_equal(scatter(Geometry(5, stride=2, crop=(1, 2)), x, spread), expected)


def test_four_axes():
    message = "Keras has Conv1DTranspose, 2D and 3D, none for 4 spatial axes; compute it with tconv"
    with pytest.raises(errors.DialectError, match=f"^{re.escape(message)}$"):
        to_keras(Geometry((1, 1, 1, 1)))


@pytest.mark.parametrize(
    ("arguments", "law", "message"),
    [
        (
            {"padding": "causal"},
            errors.PaddingError,
            "padding 'causal' is unknown; Keras has 'valid' and 'same' here",
        ),
        (
            {"strides": 2, "output_padding": 2},
            errors.OutputPaddingError,
            "axis 0: output_padding 2 must be at least 0 and smaller than strides 2",
        ),
        (
            {"strides": (2, 1), "output_padding": (1, -1)},
            errors.OutputPaddingError,
            "axis 1: output_padding -1 must be at least 0 and smaller than strides 1",
        ),
        (
            {"strides": (2, 1), "output_padding": (1, 0, 0)},
            errors.LengthError,
            "stride has 2 entries, (2, 1), for 3 spatial axes; give 1 or 3",
        ),
    ],
)
def test_wrong_arguments(arguments, law, message):
    with pytest.raises(law, match=f"^{re.escape(message)}$"):
        from_keras(3, **arguments)


def test_layouts_are_views():
    kernel = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4)
    weight = weight_from_keras(kernel)
    assert weight.shape == (4, 5, 2, 3)
    assert weight[3, 1, 0, 2] == kernel[0, 2, 1, 3]
    assert np.shares_memory(weight, kernel)
    np.testing.assert_array_equal(weight_to_keras(weight), kernel)
    x = from_channels_last(kernel)
    assert x.shape == (2, 4, 3, 5)
    assert np.shares_memory(x, kernel)
    np.testing.assert_array_equal(to_channels_last(x), kernel)


@pytest.mark.parametrize(
    ("function", "name", "layout"),
    [
        (weight_from_keras, "kernel", "(*kernel_size, filters, in_channels)"),
        (weight_to_keras, "weight", "(in_channels, out_channels, *kernel)"),
        (from_channels_last, "input", "(batch, *size, channels)"),
        (to_channels_last, "input", "(batch, channels, *size)"),
    ],
)
def test_too_few_dimensions(function, name, layout):
    message = f"{name} has shape (2, 3); it must be {layout}, 3 dimensions or more"
    with pytest.raises(errors.RankError, match=f"^{re.escape(message)}$"):
        function(np.zeros((2, 3)))
