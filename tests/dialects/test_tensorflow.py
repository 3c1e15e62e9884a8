"""Keras's layers on TensorFlow, and TensorFlow's operators, by value. Opt-in; fails where TensorFlow is missing."""

from itertools import product

import numpy as np
import pytest
from dialects.oracle import GRID, SAMPLES_2D, SAMPLES_3D, SIZES, arrays, scatter

from tconv.dialects import from_channels_last, from_keras, to_channels_last, to_keras, weight_to_keras

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


@pytest.fixture(scope="module")
def keras(tf):
    import keras

    assert keras.backend.backend() == "tensorflow"
    return keras


def build(keras, arguments, weight, data_format="channels_last"):
    """The layer with these arguments and this weight (in tconv's layout)."""
    ndim = len(arguments["kernel_size"])
    made = getattr(keras.layers, f"Conv{ndim}DTranspose")(
        weight.shape[1], **arguments, use_bias=False, data_format=data_format
    )
    made.build((None, *[None] * ndim, weight.shape[0]) if data_format == "channels_last" else (None, weight.shape[0]))
    made.set_weights([weight_to_keras(weight)])
    return made


def agrees(keras, arguments, size):
    geometry = from_keras(**arguments)
    x, weight = arrays(geometry, size)
    expected = scatter(geometry, x, weight)
    for spelling in (arguments, to_keras(geometry)):
        y = build(keras, spelling, weight)(to_channels_last(x))
        np.testing.assert_allclose(from_channels_last(y.numpy()), expected, err_msg=f"{geometry} {spelling}")


def runs(arguments):
    """False for the settings that TensorFlow refuses: "same", even extents and output_padding 0."""
    extra = arguments["output_padding"]
    if arguments["padding"] == "valid" or extra is None:
        return True
    sizes = zip(arguments["kernel_size"], arguments["dilation_rate"], extra, strict=True)
    return all((dilation * (kernel - 1) + 1) % 2 + op > 0 for kernel, dilation, op in sizes)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [case for case in GRID if case[1] == 1 or case[2] == 1])
def test_one_axis(keras, kernel, stride, dilation, padding):
    arguments = {"kernel_size": (kernel,), "strides": (stride,), "dilation_rate": (dilation,), "padding": padding}
    for op, size in product([None, *range(stride)], SIZES):
        case = arguments | {"output_padding": None if op is None else (op,)}
        if runs(case):
            agrees(keras, case, (size,))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("output_padding", ["none", "largest"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), SAMPLES_2D + SAMPLES_3D)
def test_more_axes(keras, kernel, stride, dilation, padding, output_padding):
    if max(stride) > 1 and max(dilation) > 1:
        dilation = (1,) * len(kernel)
    case = {
        "kernel_size": kernel,
        "strides": stride,
        "dilation_rate": dilation,
        "padding": padding,
        "output_padding": None if output_padding == "none" else tuple(s - 1 for s in stride),
    }
    if runs(case):
        agrees(keras, case, (4, 5, 3)[: len(kernel)])


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("kernel", "stride"), [(k, s) for k, s, d in GRID if s > 1 and d == 2])
def test_stride_and_dilation_together(keras, kernel, stride, padding):
    """The operator computes what the layers refuse."""
    for op, size in product([None, *range(stride)], SIZES):
        geometry = from_keras(kernel, stride, padding, op, 2)
        x, weight = arrays(geometry, (size,))
        options = {"strides": stride, "padding": padding, "output_padding": op, "dilation_rate": 2}
        y = keras.ops.conv_transpose(to_channels_last(x), weight_to_keras(weight), **options)
        np.testing.assert_allclose(from_channels_last(y.numpy()), scatter(geometry, x, weight), err_msg=str(options))


def test_layers_refuse_stride_and_dilation_together(keras):
    with pytest.raises(ValueError, match="not supported in conjunction"):
        keras.layers.Conv1DTranspose(1, 3, strides=2, dilation_rate=2)


def test_same_with_an_even_kernel_and_no_output_padding(keras, tf):
    """Keras defines stride*(in-1) cells; TensorFlow refuses to compute them."""
    geometry = from_keras((2,), (2,), "same", 0)
    assert geometry.output_size(4) == (6,)
    x, weight = arrays(geometry, (4,))
    with pytest.raises(tf.errors.OpError):
        build(keras, to_keras(geometry), weight)(to_channels_last(x))


@pytest.mark.parametrize("ndim", [1, 2])
def test_channels_first(keras, ndim):
    geometry = from_keras(3, 2, "same", ndim=ndim)
    x, weight = arrays(geometry, (4, 5)[:ndim])
    y = build(keras, to_keras(geometry), weight, "channels_first")(x)
    np.testing.assert_allclose(y.numpy(), scatter(geometry, x, weight))


def test_groups_of_conv2d_transpose(tf):
    """Keras's layers have no groups; TensorFlow's operator takes them from the kernel, (*kernel, out/groups, in)."""
    geometry = from_keras((3, 2), (2, 1), "same")
    x, weight = arrays(geometry, (4, 5), groups=2)
    shape = (2, *geometry.output_size((4, 5)), 6)
    y = tf.nn.conv2d_transpose(to_channels_last(x), weight_to_keras(weight), shape, (2, 1), "SAME")
    np.testing.assert_allclose(from_channels_last(y.numpy()), scatter(geometry, x, weight, groups=2))
