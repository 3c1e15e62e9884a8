"""PyTorch: by value against torch.nn.functional, and what PyTorch has no words for."""

import re
from itertools import product

import numpy as np
import pytest
import torch
from dialects.oracle import GRID, SAMPLES_2D, SAMPLES_3D, SIZES, arrays, every_crop, scatter

from tconv import errors
from tconv.dialects import from_torch, to_torch
from tconv.geometry import Geometry


def conv_transpose(x, weight, kernel_size, **arguments):
    function = getattr(torch.nn.functional, f"conv_transpose{x.ndim - 2}d")
    return function(torch.from_numpy(x), torch.from_numpy(weight), **arguments).numpy()


def agrees(arguments, size, groups=1):
    geometry = from_torch(**arguments)
    x, weight = arrays(geometry, size, groups)
    expected = scatter(geometry, x, weight, groups)
    if expected.size:  # an empty result PyTorch returns with several threads, and refuses with one
        np.testing.assert_array_equal(conv_transpose(x, weight, **arguments, groups=groups), expected, str(geometry))
    assert to_torch(geometry) == arguments


@pytest.mark.parametrize(("kernel", "stride", "dilation"), GRID)
def test_one_axis(kernel, stride, dilation):
    for padding, output_padding, size in product(range(3), range(max(stride, dilation)), SIZES):
        arguments = {"kernel_size": (kernel,), "stride": (stride,), "dilation": (dilation,)}
        agrees(arguments | {"padding": (padding,), "output_padding": (output_padding,)}, (size,))


@pytest.mark.parametrize(("kernel", "stride", "dilation"), SAMPLES_2D + SAMPLES_3D)
@pytest.mark.parametrize("groups", [1, 2])
def test_more_axes(kernel, stride, dilation, groups):
    padding, output_padding = (1, 0, 2)[: len(kernel)], tuple(s - 1 for s in stride)
    arguments = {"kernel_size": kernel, "stride": stride, "dilation": dilation}
    agrees(arguments | {"padding": padding, "output_padding": output_padding}, (4, 5, 3)[: len(kernel)], groups)


def test_arguments_are_those_of_geometry():
    assert from_torch(3, 2, 1, 1, 1, 2) == Geometry((3, 3), stride=2, crop=(1, 0))
    assert from_torch(4, 2, "same") == Geometry(4, stride=2, crop=(1, 1))


@pytest.mark.parametrize(("kernel", "stride", "dilation"), GRID)
def test_what_can_be_written_reads_back(kernel, stride, dilation):
    for geometry in every_crop(kernel, stride, dilation):
        ((lo, hi),) = geometry.crop
        if lo >= 0 and 0 <= lo - hi < max(stride, dilation):
            assert from_torch(**to_torch(geometry)) == geometry
        else:
            with pytest.raises(errors.DialectError):
                to_torch(geometry)


def test_the_keywords_are_those_of_the_module():
    geometry = Geometry((3, 2), stride=(2, 1), crop=((1, 0), (0, 0)))
    x, weight = arrays(geometry, (4, 5))
    module = torch.nn.ConvTranspose2d(2, 3, **to_torch(geometry), bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight))
        np.testing.assert_array_equal(module(torch.from_numpy(x)).numpy(), scatter(geometry, x, weight))


REFUSED = [
    (
        Geometry(3, stride=2, crop=(-1, 2)),
        "axis 0: crop (-1, 2) needs padding -1, and PyTorch's padding cannot be negative; run the layer with padding "
        "0, output_padding 0 and no bias, then torch.nn.functional.pad(y, (1, -2)), which cuts where it is negative, "
        "then add the bias",
    ),
    (
        Geometry((3, 3), stride=2, crop=((1, 1), (2, 0))),
        "axis 1: crop (2, 0) needs padding 2 and output_padding 2, and PyTorch's output_padding must be at least 0 and "
        "smaller than max(stride 2, dilation 1); run the layer with padding 0, output_padding 0 and no bias, then "
        "torch.nn.functional.pad(y, (-2, 0, -1, -1)), which cuts where it is negative, then add the bias",
    ),
    (
        Geometry(3, stride=2, crop=(0, 1)),
        "axis 0: crop (0, 1) needs padding 0 and output_padding -1, and PyTorch's output_padding must be at least 0 "
        "and smaller than max(stride 2, dilation 1); run the layer with padding 0, output_padding 0 and no bias, then "
        "torch.nn.functional.pad(y, (0, -1)), which cuts where it is negative, then add the bias",
    ),
]


@pytest.mark.parametrize(("geometry", "message"), REFUSED)
def test_refusal_and_its_way_out(geometry, message):
    with pytest.raises(errors.DialectError, match=f"^{re.escape(message)}$"):
        to_torch(geometry)
    x, weight = arrays(geometry, (4,) * geometry.ndim)
    y = conv_transpose(x, weight, None, stride=geometry.stride, dilation=geometry.dilation)
    pads = tuple(int(n) for n in re.search(r"pad\(y, \((.*?)\)\)", message)[1].split(","))
    y = torch.nn.functional.pad(torch.from_numpy(y), pads).numpy()
    np.testing.assert_array_equal(y, scatter(geometry, x, weight))


def test_four_axes():
    message = "PyTorch has conv_transpose1d, 2d and 3d, none for 4 spatial axes; compute it with tconv"
    with pytest.raises(errors.DialectError, match=f"^{re.escape(message)}$"):
        to_torch(Geometry((1, 1, 1, 1)))
