"""Flax: by value against the jax.lax.conv_transpose that it calls, and what differs from everybody else."""

import re
from itertools import product

import jax
import numpy as np
import pytest
from dialects.oracle import GRID, SAMPLES_2D, SAMPLES_3D, SIZES, arrays, every_crop, scatter

from tconv import errors
from tconv.dialects import (
    from_channels_last,
    from_flax,
    to_channels_last,
    to_flax,
    weight_from_flax,
    weight_from_keras,
    weight_to_flax,
)
from tconv.geometry import Geometry


def conv_transpose(x, kernel, arguments, transpose_kernel):
    y = jax.lax.conv_transpose(
        to_channels_last(x),
        kernel,
        arguments["strides"],
        arguments["padding"],
        rhs_dilation=arguments["kernel_dilation"],
        transpose_kernel=transpose_kernel,
    )
    return from_channels_last(np.asarray(y))


def agrees(arguments, size, transpose_kernel=False):
    geometry = from_flax(**arguments)
    x, weight = arrays(geometry, size)
    y = conv_transpose(x, weight_to_flax(weight, transpose_kernel), arguments, transpose_kernel)
    np.testing.assert_array_equal(y, scatter(geometry, x, weight), str(geometry))


def layer(kernel, stride, dilation, padding):
    return {"kernel_size": kernel, "strides": stride, "padding": padding, "kernel_dilation": dilation}


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), GRID)
def test_named_padding(kernel, stride, dilation, padding):
    for size in SIZES:
        agrees(layer((kernel,), (stride,), (dilation,), padding), (size,))


@pytest.mark.parametrize(("kernel", "stride", "dilation"), GRID[::3])
def test_pairs(kernel, stride, dilation):
    """Also negative ones, and more than the kernel is wide: JAX knows no limit."""
    for pair in [(0, 0), (5, 4), (1, 9)] + [(4, -1)] * (stride > 1):
        agrees(layer((kernel,), (stride,), (dilation,), [pair]), (5 + dilation * kernel,))


@pytest.mark.parametrize("transpose_kernel", [False, True])
@pytest.mark.parametrize("padding", ["SAME", "VALID", "pairs"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), SAMPLES_2D + SAMPLES_3D)
def test_more_axes(kernel, stride, dilation, padding, transpose_kernel):
    pairs = ((1, 2), (3, 0), (2, 1))[: len(kernel)] if padding == "pairs" else padding
    agrees(layer(kernel, stride, dilation, pairs), (4, 5, 3)[: len(kernel)], transpose_kernel)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), GRID)
def test_everything_can_be_written_and_reads_back(kernel, stride, dilation):
    for geometry in every_crop(kernel, stride, dilation):
        assert from_flax(**to_flax(geometry)) == geometry


def test_what_is_written_computes_the_same():
    for crop in product((-1, 0, 2), repeat=2):
        geometry = Geometry((3, 2), stride=(2, 3), dilation=(1, 2), crop=(crop, crop[::-1]))
        x, weight = arrays(geometry, (3, 4))
        y = conv_transpose(x, weight_to_flax(weight), to_flax(geometry), transpose_kernel=False)
        np.testing.assert_array_equal(y, scatter(geometry, x, weight), str(geometry))


def test_consistent_padding_is_the_crop():
    geometry = Geometry(3, stride=2, dilation=2, crop=(2, 1))
    x, weight = arrays(geometry, (4,))
    kernel = weight_to_flax(weight)
    options = {"rhs_dilation": (2,), "use_consistent_padding": True}
    y = jax.lax.conv_transpose(to_channels_last(x), kernel, (2,), ((2, 1),), **options)
    np.testing.assert_array_equal(from_channels_last(np.asarray(y)), scatter(geometry, x, weight))


def test_spellings():
    assert from_flax(4) == from_flax((4,), None, "SAME", None) == Geometry(4, crop=(1, 2))
    assert from_flax((4, 4), 2, 2) == from_flax((4, 4), 2, (2, (2, 2))) == Geometry((4, 4), stride=2, crop=(1, 1))
    assert from_flax((4, 4), 2, (2, 3)) == Geometry((4, 4), stride=2, crop=((1, 1), (0, 0)))


def test_layouts_are_views():
    kernel = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    weight = weight_from_flax(kernel)
    assert weight.shape == (4, 5, 2, 3)
    assert weight[3, 1, 0, 2] == kernel[1, 0, 3, 1]
    assert np.shares_memory(weight, kernel)
    np.testing.assert_array_equal(weight_to_flax(weight), kernel)
    np.testing.assert_array_equal(weight_from_flax(kernel, transpose_kernel=True), weight_from_keras(kernel))
    np.testing.assert_array_equal(weight_to_flax(weight_from_flax(kernel, True), True), kernel)


@pytest.mark.parametrize(
    ("padding", "law", "message"),
    [
        (
            "same",
            errors.PaddingError,
            "padding 'same' is unknown; JAX has 'SAME' and 'VALID' in capitals, and one (lo, hi) pair per axis",
        ),
        (
            "CIRCULAR",
            errors.DialectError,
            "padding 'CIRCULAR' wraps what sticks out at one end around to the other, which no crop does; convert the "
            "layer with padding 'VALID' and wrap its result",
        ),
        (
            [(0, 1), (1, 0), (0, 0)],
            errors.LengthError,
            "padding has 3 pairs, ((0, 1), (1, 0), (0, 0)), for 2 spatial axes; give 1 or 2",
        ),
    ],
)
def test_wrong_padding(padding, law, message):
    with pytest.raises(law, match=f"^{re.escape(message)}$"):
        from_flax((3, 3), padding=padding)


def test_four_axes():
    message = "JAX's conv_transpose has 1 to 3 spatial axes by default, not 4; compute it with tconv"
    with pytest.raises(errors.DialectError, match=f"^{re.escape(message)}$"):
        to_flax(Geometry((1, 1, 1, 1)))


@pytest.mark.parametrize(
    ("function", "name", "layout"),
    [
        (weight_from_flax, "kernel", "(*kernel, in_channels, out_channels)"),
        (weight_to_flax, "weight", "(in_channels, out_channels, *kernel)"),
    ],
)
def test_too_few_dimensions(function, name, layout):
    message = f"{name} has shape (2, 3); it must be {layout}, 3 dimensions or more"
    with pytest.raises(errors.RankError, match=f"^{re.escape(message)}$"):
        function(np.zeros((2, 3)))
