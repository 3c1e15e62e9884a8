"""Models as modules: names, shape arithmetic, calls, copies, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto
from onnx.helper import make_node
from onnx_files.making import close, exported, floats, model, node, runtime
from torch import Tensor, nn

from tconv import errors
from tconv.onnx import OnnxModel, load


def loaded(made: Any) -> OnnxModel:
    return load(made, accelerate=False)


class Decoder(nn.Module):
    """Most of what a decoder has."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 6, 4, 2, 1)
        self.norm = nn.BatchNorm2d(6)
        self.act = nn.PReLU(6)
        self.conv = nn.Conv2d(6, 4, 3, padding=1, groups=2)
        self.last = nn.Conv2d(8, 3, 1)
        self.head = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv(self.act(self.norm(self.up(x))))
        y = torch.cat([F.interpolate(x, scale_factor=2.0), y], 1)
        y = F.leaky_relu(self.last(F.pad(y, (1, 2, 0, 1))), 0.1)
        return torch.tanh(y), self.head(F.adaptive_avg_pool2d(y, 1).flatten(1)).softmax(1)


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    torch.manual_seed(0)
    made = Decoder().eval()
    nn.init.uniform_(made.norm.running_var, 0.5, 2)
    nn.init.uniform_(made.act.weight, 0, 1)
    return made


AXES = {"x0": {0: "n", 2: "h", 3: "w"}}


@pytest.mark.parametrize("axes", [None, AXES])
@pytest.mark.parametrize("opset", [11, 13, 17])
def test_a_decoder_is_that_of_pytorch(decoder: Decoder, opset: int, axes: Any) -> None:
    x = torch.randn(2, 4, 5, 7)
    module = loaded(exported(decoder, x, opset=opset, dynamic_axes=axes, training=torch.onnx.TrainingMode.PRESERVE))
    sizes = [x, torch.randn(1, 4, 6, 9)] if axes else [x]
    for each in sizes:
        with torch.no_grad():
            expected = decoder(each)
        for found, wanted in zip(module(each.numpy()), expected, strict=True):
            close(found, wanted.numpy())
        for y, wanted in zip(module(each), expected, strict=True):
            assert isinstance(y, Tensor)
            close(y.numpy(), wanted.numpy())


def test_layers_are_called_as_in_the_exported_model(decoder: Decoder) -> None:
    made = exported(decoder, torch.randn(1, 4, 5, 5), training=torch.onnx.TrainingMode.PRESERVE)
    module = loaded(made)
    kinds = {name: type(layer) for name, layer in decoder.named_children()}
    assert {name: type(layer) for name, layer in module.named_children() if name in kinds} == kinds
    missing = module.load_state_dict(decoder.state_dict(), strict=False)
    assert missing.unexpected_keys == []
    assert not module.training and not any(p.requires_grad for p in module.parameters())


def test_shape_arithmetic_stays_python() -> None:
    class Reshaped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            n, c, h, w = x.shape
            y = x.reshape(n, c // 2, 2, h * w).transpose(1, 2).flatten(1, 2)
            return F.interpolate(y.reshape(n, c, h, w), size=(h * 2 + 1, w * 3), mode="nearest")

    made = exported(Reshaped(), torch.randn(1, 4, 3, 5), dynamic_axes=AXES)
    module = loaded(made)
    assert "as_python" not in module.code and "as_tensor" not in module.code
    for shape in ((1, 4, 3, 5), (2, 4, 6, 2)):
        x = floats(*shape)
        np.testing.assert_array_equal(module(x), runtime(made, {"x0": x})[0])
    torch._dynamo.reset()
    explained = torch._dynamo.explain(module.forward)(torch.randn(1, 4, 3, 5))
    assert explained.graph_break_count == 0


def test_fractions_of_sizes_are_rounded_as_float32() -> None:
    """7 * float32(0.7) is 4.9 and 10 * float32(0.7) is 7 in single precision, below 7 in double."""
    nodes = [
        node("Shape", "x", "shape"), node("Cast", "shape", "real", to=TensorProto.FLOAT),
        node("Mul", "real factor", "scaled"), node("Floor", "scaled", "whole"),
        node("Cast", "whole", "size", to=TensorProto.INT64), node("Slice", "x starts size axes"),
    ]  # fmt: skip
    weights = {"factor": np.float32([1, 0.7]), "starts": np.array([0, 0]), "axes": np.array([0, 1])}
    made = model(nodes, {"x": ["n", "m"]}, weights)
    for size in range(1, 60):
        x = floats(1, size)
        np.testing.assert_array_equal(loaded(made)(x), runtime(made, {"x": x})[0], str(size))


def test_arrays_by_place_and_by_name() -> None:
    made = model([node("Sub", "a b")], {"a": [2, 3], "b": ["n", 3]}, {})
    module = loaded(made)
    a, b = floats(2, 3), floats(1, 3)
    for found in (module(a, b), module(a, b=b), module(b=b, a=a)):
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, a - b)
    both = loaded(model([node("Split", "a", "y z", axis=1)], {"a": [2, 4]}, {}, ["y", "z"]))(floats(2, 4))
    assert isinstance(both, tuple) and [each.shape for each in both] == [(2, 2), (2, 2)]


A, X = np.zeros((2, 3), np.float32), np.zeros((1, 3), np.float32)
INPUTS = "'a' (2 x 3, float32), 'b' (n x 3, float32)"
CALLS: list[tuple[Any, str]] = [
    (lambda m: m(A), f"input 'b' is missing; the inputs are {INPUTS}"),
    (lambda m: m(A, X, X), f"the model takes 2 inputs, not 3: {INPUTS}"),
    (lambda m: m(A, c=X), f"the model has no input 'c'; its inputs are {INPUTS}"),
    (lambda m: m(A, X, a=A), "input 'a' is given twice, by its place and by its name; give it once"),
    (lambda m: m(A, X.astype(float)),
     "input 'b' has dtype float64, and the model takes float32: numpy.asarray(x, numpy.float32)"),
    (lambda m: m(A, X[0]), "input 'b' has shape (3,), and the model takes 'b' (n x 3, float32)"),
    (lambda m: m(X, X), "input 'a' has shape (1, 3), and the model takes 'a' (2 x 3, float32)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), CALLS)
def test_calls_that_do_not_fit(call: Any, message: str) -> None:
    module = loaded(model([node("Sub", "a b")], {"a": [2, 3], "b": ["n", 3]}, {}))
    with pytest.raises(errors.OnnxError) as caught:
        call(module)
    assert str(caught.value) == message


def test_nothing_that_is_given_is_written_to_or_handed_on() -> None:
    nodes = [node("Identity", "x", "same"), node("Relu", "x", "y"), node("Reshape", "x shape", "flat")]
    module = loaded(model(nodes, {"x": [2, 3]}, {"shape": np.array([6]), "w": floats(2)}, ["same", "y", "flat", "w"]))
    x = floats(2, 3)
    x.flags.writeable = False
    before = x.copy()
    first = module(x)
    for each in first:
        each += 1
    np.testing.assert_array_equal(x, before)
    again = module(np.asfortranarray(before)[::1])
    np.testing.assert_array_equal(again[3] + 1, first[3])
    for each in module(np.ascontiguousarray(before)):
        assert not np.shares_memory(each, before)


def test_copies_and_pickles(decoder: Decoder) -> None:
    x = torch.randn(1, 4, 5, 5)
    module = loaded(exported(decoder, x))
    expected = module(x.numpy())
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other.code == module.code and repr(other) == repr(module)
        for found, wanted in zip(other(x.numpy()), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
        next(other.parameters()).add_(1)
    np.testing.assert_array_equal(module(x.numpy())[0], expected[0])


def test_half_precision_double_precision_and_training(decoder: Decoder) -> None:
    x = torch.randn(1, 4, 5, 5)
    module = loaded(exported(decoder, x))
    expected = module(x)
    assert torch.allclose(copy.deepcopy(module).double()(x.double())[0].float(), expected[0], atol=1e-5)
    module.requires_grad_(True)
    module(x)[1].sum().backward()
    assert all(p.grad is not None for p in module.get_submodule("up").parameters())


def test_bfloat16_arrays() -> None:
    made = model([node("Add", "x w")], {"x": [2, 3]}, {}, kind=TensorProto.BFLOAT16)
    made.graph.initializer.append(
        TensorProto(
            name="w", dims=[3], data_type=TensorProto.BFLOAT16, raw_data=np.ones(3, ml_dtypes.bfloat16).tobytes()
        )
    )
    x = floats(2, 3).astype(ml_dtypes.bfloat16)
    found = loaded(made)(x)
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(found, x + np.ones(3, ml_dtypes.bfloat16))
    with pytest.raises(errors.OnnxError, match=r"numpy.asarray\(x, dtype=ml_dtypes.bfloat16\)"):
        loaded(made)(floats(2, 3))


def test_weights_that_layers_share() -> None:
    w = floats(4, 4, 3, 3)
    nodes = [node("Conv", "x w", "a", pads=[1] * 4), node("Conv", "a w", "y", pads=[1] * 4)]
    made = model(nodes, {"x": [1, 4, 5, 5]}, {"w": w})
    module = loaded(made)
    assert len(list(module.parameters())) == 1
    x = floats(1, 4, 5, 5)
    close(module(x), runtime(made, {"x": x})[0])


def test_a_weight_of_a_layer_and_of_an_operator() -> None:
    w = floats(4, 4, 1, 1)
    made = model([node("Conv", "x w", "c"), node("Mul", "c w")], {"x": [1, 4, 5, 5]}, {"w": w})
    module = loaded(made)
    assert len(list(module.parameters())) == 1
    x = floats(1, 4, 5, 5)
    close(module(x), runtime(made, {"x": x})[0])


def test_an_operator_that_makes_no_sense_is_named() -> None:
    made = model(
        [node("Reshape", "w shape", "r"), node("Add", "x r")], {"x": [6]}, {"w": floats(6), "shape": np.array([4])}
    )
    with pytest.raises(
        errors.OnnxError, match=r"^Reshape 'r_node' of the model cannot be computed: .*; export it anew$"
    ):
        loaded(made)


def test_names_that_attributes_cannot_have() -> None:
    names = {"type": 2, "forward": 3, "a.weight": 3, "a": 3, "a.weight.b": 3, "class": 3, "1.0": 3, "1.1": 3, "::": 3}
    nodes, last = [], "x"
    for n, name in enumerate(names):
        nodes.append(node("Add", f"{last} {name}", f"s{n}"))
        last = f"s{n}"
    weights = {name: floats(*(3,)[: size - 1]) for name, size in names.items()}
    made = model([*nodes, node("Identity", last)], {"x": [2, 3]}, weights)
    x = floats(2, 3)
    close(loaded(made)(x), runtime(made, {"x": x})[0])


UNSUPPORTED = [
    ([node("NonMaxSuppression", "x x")], "NonMaxSuppression"),
    ([node("Det", "x", "a"), node("Det", "x", "b"), node("Add", "a b")], "Det (2 times)"),
    ([node("Resize", "x - s", mode="cubic", antialias=1)], "Resize with antialias 1"),
    ([node("Resize", "x r s", coordinate_transformation_mode="tf_crop_and_resize")],
     "Resize with coordinate_transformation_mode 'tf_crop_and_resize'"),
    ([node("MaxPool", "x", "y z", kernel_shape=[2, 2]), ], "MaxPool with 2 outputs"),
    ([node("Cast", "x", to=TensorProto.STRING)], f"Cast with to {TensorProto.STRING}"),
    ([node("Dropout", "x - true")], "Dropout with training_mode"),
    ([node("Gelu", "x", domain="com.microsoft")], "com.microsoft.Gelu"),
    ([node("Det", "x", "a"), node("Unique", "x", "b"), node("Add", "a b")], "Det, Unique"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "named"), UNSUPPORTED)
def test_what_is_not_computed_is_named_before_anything_runs(nodes: Any, named: str) -> None:
    from tconv.onnx.importing.program import imported

    outputs = ["y", "z"] if nodes[0].op_type == "MaxPool" else ["y"]
    weights = {"s": np.ones(4, np.float32), "r": np.ones(8, np.float32), "true": np.array(True)}
    made = model(nodes, {"x": [1, 1, 4, 4]}, weights, outputs, 20)
    with pytest.raises(errors.UnsupportedOperatorError) as caught:
        imported(made)
    assert str(caught.value) == f"the model holds what tconv does not compute: {named}; run it with ONNX Runtime"


def test_operators_that_nobody_reads_are_not_asked_for() -> None:
    made = model([node("Det", "x", "lost"), node("Relu", "x")], {"x": [1, 2, 2]}, {})
    assert loaded(made)(floats(1, 2, 2)).shape == (1, 2, 2)


def test_a_model_of_an_old_opset_is_converted() -> None:
    made = model([node("Unsqueeze", "x", axes=[0])], {"x": [2, 3]}, {}, opset=9)
    x = floats(2, 3)
    np.testing.assert_array_equal(loaded(made)(x), x[None])


@pytest.mark.parametrize("attributes", [
    {}, {"pads": [1, 1]}, {"pads": [0, 2]}, {"pads": [2, 0]}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"},
    {"output_shape": [9]}, {"output_padding": [1]}, {"pads": [0, 1], "output_padding": [2]}, {"dilations": [2]},
])  # fmt: skip
@pytest.mark.parametrize("fixed", [True, False])
def test_every_way_to_crop_a_transposed_convolution(attributes: dict[str, Any], fixed: bool) -> None:
    made = model(
        [node("ConvTranspose", "x w b", strides=[3], **attributes)],
        {"x": [2, 4, 4 if fixed else "n"], **({} if fixed else {"w": [4, 5, 4]})},
        {"b": floats(5), **({"w": floats(4, 5, 4)} if fixed else {})},
    )
    inputs = {"x": floats(2, 4, 4), **({} if fixed else {"w": floats(4, 5, 4)})}
    close(loaded(made)(**inputs), runtime(made, inputs)[0])


@pytest.mark.parametrize("attributes", [
    {}, {"pads": [1, 2, 0, 1]}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
    {"dilations": [2, 1], "auto_pad": "VALID"}, {"pads": [1, 1, 1, 1], "strides": [2, 2], "group": 2},
])  # fmt: skip
@pytest.mark.parametrize("fixed", [True, False])
def test_every_way_to_pad_a_convolution(attributes: dict[str, Any], fixed: bool) -> None:
    w = floats(6, 4 // attributes.get("group", 1), 3, 3)
    sizes: list[int | str] = [7, 8] if fixed else ["h", "w"]
    made = model([node("Conv", "x w", **attributes)], {"x": [2, 4, *sizes]}, {"w": w})
    x = floats(2, 4, 7, 8)
    close(loaded(made)(x), runtime(made, {"x": x})[0])


class Spelled(nn.Module):
    """Operators that exporters write as several."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.GroupNorm(4, 8)
        nn.init.uniform_(self.norm.weight, 0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(F.silu(self.norm(self.conv(x)))) + 0.5 * x[:, :1, 1:-1, 1:-1]


@pytest.mark.parametrize("axes", [None, AXES])
def test_operators_that_exporters_write_as_several(axes: Any) -> None:
    x = torch.randn(2, 3, 7, 7)
    network = Spelled()
    made = exported(network, x, dynamic_axes=axes)
    module = loaded(made)
    for name in ("GroupNorm(", "Silu(", "Gelu("):
        assert name in module.code
    assert "Erf" not in module.code and "InstanceNormalization" not in module.code
    close(module(x.numpy()), network(x).detach().numpy())


def test_what_only_looks_like_several_stays() -> None:
    weights = {"half": np.float32(0.5), "one": np.float32(1), "root": np.float32(2**0.5), "two": np.float32(2)}
    near = [node("Div", "x root", "d"), node("Erf", "d", "e"), node("Add", "e one", "p"), node("Mul", "x p", "m")]
    cases = [
        ([node("Sigmoid", "x", "s"), node("Mul", "z s")], ["y"]),
        ([node("Sigmoid", "x", "s"), node("Mul", "x s")], ["y", "s"]),
        ([*near, node("Mul", "m two")], ["y"]),
        ([*near, node("Mul", "m half")], ["y", "e"]),
        ([*near, node("Mul", "m half")], ["y", "d"]),
        ([node("Mul", "z half", "h"), *near[:3], node("Mul", "h p")], ["y"]),
    ]
    x, z = floats(2, 3), floats(2, 3)
    for nodes, outputs in cases:
        made = model(nodes, {"x": [2, 3], "z": [2, 3]}, weights, outputs)
        module = loaded(made)
        assert "Silu" not in module.code and "Gelu" not in module.code
        found = module(x, z)
        for y, wanted in zip(found if len(outputs) > 1 else [found], runtime(made, {"x": x, "z": z}), strict=True):
            close(y, wanted)


def test_operators_that_the_standard_has_no_example_for() -> None:
    x = np.abs(floats(2, 3, 4, 5))
    aligned = {"coordinate_transformation_mode": "align_corners", "mode": "linear"}
    for each in (node("GlobalLpPool", "x", p=3), node("Resize", "x - scales", **aligned)):
        made = model([each], {"x": [2, 3, 4, 5]}, {"scales": np.float32([1, 1, 0.6, 0.7])})
        close(loaded(made)(x), runtime(made, {"x": x})[0])


NAMES = [
    "a\n    raise SystemExit\n    #",
    "a\r    raise SystemExit",
    "a\u2028b",
    "a\\",
    "a'b\"c",
    "class",
    "self.forward",
    "run",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_never_code(name: str) -> None:
    """The model becomes Python; what a file calls its nodes and weights must not become a part of that."""
    layer = make_node("ConvTranspose", ["x", f"{name}.weight"], ["y"], name=name, strides=[2, 2])
    weight = np.ones((2, 3, 2, 2), np.float32)
    y = loaded(model([layer], {"x": [1, 2, 4, 4]}, {f"{name}.weight": weight}))(np.ones((1, 2, 4, 4), np.float32))
    np.testing.assert_array_equal(y, np.full((1, 3, 8, 8), 2, np.float32))


def test_what_is_not_computed_reaches_no_terminal_raw() -> None:
    odd = make_node("Odd\x1b[31m", ["x"], ["y"], domain="some\x1bwhere")
    with pytest.raises(errors.UnsupportedOperatorError) as raised:
        load(model([odd], {"x": [1]}, {}))
    assert "\x1b" not in str(raised.value)
