"""ONNX: by value against ONNX Runtime, and what ConvTranspose has no words for."""

import re
from itertools import product

import numpy as np
import onnx
import onnx.reference
import onnx.shape_inference
import onnxruntime
import pytest
from dialects.oracle import GRID, SAMPLES_2D, SAMPLES_3D, SIZES, arrays, every_crop, scatter

from tconv import errors
from tconv.dialects import from_onnx, to_onnx
from tconv.geometry import Geometry

FLOAT = onnx.TensorProto.FLOAT


def model(x, weight, pad=None, **attributes):
    """ConvTranspose, and after it Pad, whose pads are on the spatial axes."""
    constants = [onnx.numpy_helper.from_array(weight, "W")]
    nodes = [onnx.helper.make_node("ConvTranspose", ["X", "W"], ["Y" if pad is None else "Z"], **attributes)]
    if pad is not None:
        axes = np.arange(2, x.ndim)
        constants += [onnx.numpy_helper.from_array(np.array(pad), "pads"), onnx.numpy_helper.from_array(axes, "axes")]
        nodes.append(onnx.helper.make_node("Pad", ["Z", "pads", "", "axes"], ["Y"]))
    graph = onnx.helper.make_graph(
        nodes,
        "one_layer",
        [onnx.helper.make_tensor_value_info("X", FLOAT, x.shape)],
        [onnx.helper.make_tensor_value_info("Y", FLOAT, None)],
        constants,
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 22)], ir_version=10)


def run(x, weight, pad=None, **attributes):
    proto = model(x, weight, pad, **attributes).SerializeToString()
    session = onnxruntime.InferenceSession(proto, providers=["CPUExecutionProvider"])
    return session.run(None, {"X": x})[0]


def agrees(kernel, size, groups=1, **attributes):
    """tconv's answer is ONNX Runtime's, and the explicit pads that it is resolved to give the same."""
    geometry = from_onnx(kernel, size, **attributes)
    x, weight = arrays(geometry, size, groups)
    expected = scatter(geometry, x, weight, groups)
    np.testing.assert_array_equal(run(x, weight, **attributes, group=groups), expected, f"{geometry} {attributes}")
    resolved = to_onnx(geometry)
    assert from_onnx(**resolved) == geometry
    np.testing.assert_array_equal(run(x, weight, **resolved, group=groups), expected, f"{geometry} {resolved}")


@pytest.mark.parametrize(("kernel", "stride", "dilation"), GRID)
def test_pads(kernel, stride, dilation):
    pads = [(0, 0), (1, 1), (0, 1), (2, 0)]
    for each, op, size in product(pads, range(stride), SIZES):
        agrees([kernel], (size,), strides=[stride], dilations=[dilation], pads=each, output_padding=[op])


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), GRID)
def test_auto_pad(auto_pad, kernel, stride, dilation):
    for op, size in product(range(stride), SIZES):
        agrees([kernel], (size,), auto_pad=auto_pad, strides=[stride], dilations=[dilation], output_padding=[op])


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), GRID[::2])
def test_output_shape(auto_pad, kernel, stride, dilation):
    attributes = {"strides": [stride], "dilations": [dilation], "auto_pad": auto_pad}
    for size, op in product(SIZES, range(min(stride, 2))):
        full = stride * (size - 1) + dilation * (kernel - 1) + 1
        for out in range(max(1, full - 4), full + stride):
            agrees([kernel], (size,), output_shape=[out], output_padding=[op], **attributes)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), SAMPLES_2D + SAMPLES_3D)
@pytest.mark.parametrize("groups", [1, 2])
def test_more_axes(kernel, stride, dilation, groups):
    ndim = len(kernel)
    attributes = {"strides": stride, "dilations": dilation}
    size = (4, 5, 3)[:ndim]
    agrees(kernel, size, groups, pads=(1, 0, 2)[:ndim] + (0, 1, 1)[:ndim], **attributes)
    agrees(kernel, size, groups, output_padding=[s - 1 for s in stride], **attributes)
    agrees(kernel, size, groups, output_shape=[4 * s for s in stride], **attributes)


def test_same_with_an_extent_below_the_stride():
    """Nothing is cut and nothing appended; onnx's shape inference agrees with the runtime that this is the size."""
    for kernel, stride in [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]:
        geometry = from_onnx([kernel], strides=[stride], auto_pad="SAME_UPPER")
        assert geometry == Geometry(kernel, stride)
        proto = model(*arrays(geometry, (5,)), strides=[stride], auto_pad="SAME_UPPER")
        proto = onnx.shape_inference.infer_shapes(proto)
        assert proto.graph.output[0].type.tensor_type.shape.dim[2].dim_value == geometry.output_size(5)[0]


def test_reference_evaluator():
    for auto_pad, kernel in product(["SAME_UPPER", "SAME_LOWER"], range(2, 6)):
        geometry = from_onnx([kernel], strides=[2], auto_pad=auto_pad)
        x, weight = arrays(geometry, (5,))
        proto = model(x, weight, strides=[2], auto_pad=auto_pad)
        (y,) = onnx.reference.ReferenceEvaluator(proto).run(None, {"X": x})
        np.testing.assert_array_equal(y, scatter(geometry, x, weight))


@pytest.mark.parametrize(("kernel", "stride", "dilation"), GRID)
def test_what_can_be_written_reads_back(kernel, stride, dilation):
    for geometry in every_crop(kernel, stride, dilation):
        ((lo, hi),) = geometry.crop
        if lo >= 0 and -hi < max(stride, dilation):
            assert from_onnx(**to_onnx(geometry)) == geometry
        else:
            with pytest.raises(errors.DialectError):
                to_onnx(geometry)


def test_attributes_of_a_stored_node():
    stored = {"kernel_shape": [3], "strides": [2], "auto_pad": "SAME_LOWER"}
    node = onnx.helper.make_node("ConvTranspose", ["X", "W"], ["Y"], **stored)
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert isinstance(attributes["auto_pad"], bytes)
    assert from_onnx(**attributes) == Geometry(3, stride=2, crop=(1, 0))


def test_output_shape_sets_pads_aside():
    assert from_onnx([3], 5, strides=[2], output_shape=[10], pads=[5, 5]) == Geometry(3, stride=2, crop=(1, 0))


def test_stride_below_output_padding_below_dilation():
    """Legal by the operator's text; ONNX Runtime alone refuses it."""
    assert from_onnx([3], dilations=[2], output_padding=[1]) == Geometry(3, dilation=2, crop=(0, -1))


REFUSED = [
    (
        Geometry(3, stride=2, crop=(-1, 2)),
        "axis 0: crop (-1, 2) needs pads -1 at the beginning, and ONNX's pads cannot be negative; use a ConvTranspose "
        "without pads and B, then a Pad with pads [1, -2] on axes [2], which cuts where it is negative, then an Add of "
        "the bias",
        [1, -2],
    ),
    (
        Geometry((3, 2), stride=2, crop=((1, 0), (2, -3))),
        "axis 1: crop (2, -3) needs output_padding 3, and ONNX's output_padding must be smaller than max(stride 2, "
        "dilation 1); use a ConvTranspose without pads and B, then a Pad with pads [-1, -2, 0, 3] on axes [2, 3], "
        "which cuts where it is negative, then an Add of the bias",
        [-1, -2, 0, 3],
    ),
]


@pytest.mark.parametrize(("geometry", "message", "pads"), REFUSED)
def test_refusal_and_its_way_out(geometry, message, pads):
    with pytest.raises(errors.DialectError, match=f"^{re.escape(message)}$"):
        to_onnx(geometry)
    x, weight = arrays(geometry, (4,) * geometry.ndim)
    y = run(x, weight, pads, strides=geometry.stride, dilations=geometry.dilation)
    np.testing.assert_array_equal(y, scatter(geometry, x, weight))


@pytest.mark.parametrize(
    ("attributes", "law", "message"),
    [
        (
            {"auto_pad": "SAME"},
            errors.PaddingError,
            "auto_pad 'SAME' is unknown; ONNX has NOTSET, VALID, SAME_UPPER, SAME_LOWER",
        ),
        (
            {"auto_pad": b"VALID", "pads": [1, 1]},
            errors.PaddingError,
            "auto_pad 'VALID' and pads [1, 1] contradict each other, ONNX allows one of them; drop the other",
        ),
        (
            {"pads": [1, -1]},
            errors.PaddingError,
            "pads [1, -1] must not be negative; cells are added by output_padding",
        ),
        (
            {"pads": [1]},
            errors.LengthError,
            "pads [1] must have 2 entries for 1 spatial axes: all beginnings, then all ends",
        ),
        (
            {"pads": 1},
            errors.LengthError,
            "pads 1 must have 2 entries for 1 spatial axes: all beginnings, then all ends",
        ),
        (
            {"output_padding": [2], "strides": [2]},
            errors.OutputPaddingError,
            "axis 0: output_padding 2 must be at least 0 and smaller than max(stride 2, dilation 1); it only chooses "
            "among the sizes that one stride leaves open",
        ),
        (
            {"output_shape": [6]},
            errors.InputSizeError,
            "output_shape (6,) needs in_size: it cuts what stride*(in_size-1) + dilation*(kernel-1) + 1 has too many, "
            "which depends on the input; give its spatial sizes",
        ),
        (
            {"output_shape": [9], "in_size": 3, "strides": [2]},
            errors.OutputSizeError,
            "axis 0: output_shape 9 must be from 1 to 8: the 7 cells without pads, and fewer than max(stride 2, "
            "dilation 1) more",
        ),
        (
            {"output_shape": [0], "in_size": 3},
            errors.OutputSizeError,
            "axis 0: output_shape 0 must be from 1 to 5: the 5 cells without pads, and fewer than max(stride 1, "
            "dilation 1) more",
        ),
    ],
)
def test_wrong_attributes(attributes, law, message):
    with pytest.raises(law, match=f"^{re.escape(message)}$"):
        from_onnx([3], **attributes)
