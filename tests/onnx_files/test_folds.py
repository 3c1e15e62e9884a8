"""Each fold by value: ONNX Runtime gives the same for the candidate as for the place, over attributes and sizes."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto
from onnx_files.making import close, floats, model, node, runtime

from tconv.geometry import Axis
from tconv.onnx.folds import Place, places
from tconv.onnx.folds.phases import cells_of
from tconv.onnx.graph import Graph, piece, replaced


def found(made: ModelProto) -> list[Place]:
    return places(Graph(made))


def agree(made: ModelProto, inputs: dict[str, Any], kinds: str, limit: float = 1e-5) -> list[str]:
    """The names of the only place's candidates, all of which are right."""
    (place,) = found(made)
    assert place.kinds == kinds
    expected = runtime(made, inputs)
    for candidate in place.candidates:
        new = replaced(made, place.nodes, candidate.nodes, candidate.weights)
        onnx.checker.check_model(new, full_check=True)
        read = {name for each in new.graph.node for name in each.input}
        assert {each.name for each in new.graph.initializer} <= read
        for y, wanted in zip(runtime(new, inputs), expected, strict=True):
            close(y, wanted, limit)
    return [candidate.name for candidate in place.candidates]


TRANSPOSED: list[tuple[int, int, dict[str, Any]]] = [
    (1, 16, {"strides": [8], "pads": [4, 4]}),
    (1, 4, {"strides": [2], "pads": [1, 1]}),
    (1, 5, {"strides": [3], "pads": [1, 0], "output_padding": [2], "dilations": [2]}),
    (2, 4, {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    (2, 16, {"strides": [8, 8], "pads": [4, 4, 4, 4], "group": 4}),
    (2, 3, {"strides": [2, 2], "output_padding": [1, 1], "pads": [1, 1, 1, 1], "group": 2}),
    (2, 2, {"strides": [2, 2]}),
    (2, 5, {"strides": [4, 4], "auto_pad": "SAME_UPPER"}),
    (2, 3, {"strides": [3, 2], "output_shape": [12, 11]}),
    (3, 2, {"strides": [2, 2, 2]}),
    (3, 4, {"strides": [1, 2, 2], "pads": [2, 1, 1, 1, 1, 1]}),
]


@pytest.mark.parametrize(("ndim", "kernel", "attributes"), TRANSPOSED)
@pytest.mark.parametrize("behind", ["", "Relu", "norm", "norm Clip"])
def test_a_transposed_convolution_as_phases(ndim: int, kernel: int, attributes: dict[str, Any], behind: str) -> None:
    group = attributes.get("group", 1)
    sizes = (4, 5, 3)[:ndim]
    nodes = [node("ConvTranspose", "x w b", "t", **attributes)]
    if "norm" in behind:
        nodes.append(node("BatchNormalization", "t scale b mean var", "n"))
    last = nodes[-1].output[0]
    nodes.append(
        {"Relu": node("Relu", last), "norm Clip": node("Clip", f"{last} low high")}.get(behind, node("Neg", last))
    )
    weights = {"w": floats(4, 3, *[kernel] * ndim), "b": floats(3 * group), "scale": floats(3 * group)}
    weights |= {"mean": floats(3 * group), "var": np.abs(floats(3 * group)) + 0.5}
    weights |= {"low": np.float32(-0.5), "high": np.float32(0.5)}
    made = model(nodes, {"x": [2, 4, *sizes]}, weights)
    kinds = " + ".join(each.op_type for each in nodes if each.op_type != "Neg")
    names = agree(made, {"x": floats(2, 4, *sizes)}, kinds)
    assert any(name.startswith("Conv + ") for name in names)
    assert ("ConvTranspose" in names) == ("norm" in behind)


@pytest.mark.parametrize(("kernel", "attributes"), [(16, {"strides": [8], "pads": [4, 4]}), (5, {"strides": [2]})])
def test_phases_fit_every_size(kernel: int, attributes: dict[str, Any]) -> None:
    made = model([node("ConvTranspose", "x w", **attributes)], {"x": ["n", 4, "w"]}, {"w": floats(4, 3, kernel)})
    for size in (1, 2, 3, 7, 20):
        agree(made, {"x": floats(2, 4, size)}, "ConvTranspose")
    two = model([node("ConvTranspose", "x w", strides=[2, 2])], {"x": ["n", 4, "h", "w"]}, {"w": floats(4, 3, 4, 4)})
    for size in ((1, 1), (2, 5), (9, 4)):
        agree(two, {"x": floats(1, 4, *size)}, "ConvTranspose")
    # Neither strides that differ nor three axes can be woven for every size.
    uneven = model([node("ConvTranspose", "x w", strides=[3, 2])], {"x": ["n", 4, "h", "w"]}, {"w": floats(4, 3, 4, 4)})
    assert found(uneven) == []


def test_cells_are_the_relation() -> None:
    """By brute force: input i and tap m of the kernel meet in phase r at cell q, or nowhere."""
    for k, s, d, lo, hi, aligned in product(
        range(1, 7), range(1, 5), range(1, 4), range(4), range(-2, 4), (False, True)
    ):
        cells = cells_of(Axis(k, s, d, lo, hi), aligned)
        for n in (1, 3):
            out = s * (n - 1) + d * (k - 1) + 1 - lo - hi
            if cells is None or out < 1:
                continue
            count = n + sum(cells.pad) - cells.taps + 1
            assert s * count - sum(cells.cut) == out
            met = set()
            for m, (r, t) in enumerate(cells.places):
                for q in range(count):
                    i, o = q + t - cells.pad[0], s * q + r - cells.cut[0]
                    if 0 <= i < n and 0 <= o < out:
                        met.add((i, m, o))
            wanted = {(i, m, s * i + d * m - lo) for i in range(n) for m in range(k)}
            assert met == {each for each in wanted if 0 <= each[2] < out}


RESIZED = [
    {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    {"coordinate_transformation_mode": "half_pixel"},
    {"coordinate_transformation_mode": "pytorch_half_pixel", "nearest_mode": "round_prefer_ceil"},
]


@pytest.mark.parametrize("attributes", RESIZED)
@pytest.mark.parametrize("scales", [(2, 2), (3, 2), (1, 4), (8, 8)])
def test_nearest_upsampling_and_a_convolution(attributes: dict[str, Any], scales: tuple[int, int]) -> None:
    nodes = [node("Resize", "x - scales", "u", **attributes), node("Conv", "u w b", "c", pads=[1, 1, 1, 1], group=2)]
    nodes.append(node("LeakyRelu", "c", alpha=0.2))
    weights = {"scales": np.float32([1, 1, *scales]), "w": floats(6, 2, 3, 3), "b": floats(6)}
    made = model(nodes, {"x": [1, 4, 5, 6]}, weights)
    names = agree(made, {"x": floats(1, 4, 5, 6)}, "Resize + Conv + LeakyRelu")
    assert names[0] == "ConvTranspose" and len(names) > 1


def test_nearest_upsampling_to_sizes() -> None:
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    nodes = [node("Resize", "x - - sizes", "u", **how), node("Conv", "u w", pads=[2, 2, 2, 2], dilations=[2, 2])]
    weights = {"sizes": np.array([1, 4, 10, 18]), "w": floats(3, 4, 3, 3)}
    agree(model(nodes, {"x": [1, 4, 5, 6]}, weights), {"x": floats(1, 4, 5, 6)}, "Resize + Conv")
    assert found(model(nodes, {"x": [1, 4, "h", "w"]}, weights)) == []


NOT_NEAREST = [
    ({"mode": "linear"}, (2, 2)),
    ({"coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"}, (2, 2)),
    ({"coordinate_transformation_mode": "half_pixel", "nearest_mode": "floor"}, (2, 2)),
    ({"coordinate_transformation_mode": "align_corners"}, (2, 2)),
    ({"coordinate_transformation_mode": "asymmetric"}, (3, 3)),
    ({"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, (1.5, 2)),
]


@pytest.mark.parametrize(("attributes", "scales"), NOT_NEAREST)
def test_upsampling_that_is_none_by_whole_numbers_stays(attributes: dict[str, Any], scales: Any) -> None:
    nodes = [node("Resize", "x - scales", "u", **attributes), node("Conv", "u w")]
    weights = {"scales": np.float32([1, 1, *scales]), "w": floats(3, 4, 3, 3)}
    assert found(model(nodes, {"x": [1, 4, 6, 6]}, weights)) == []


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("scale", [2, 3])
def test_a_convolution_and_depth_to_space(mode: str, scale: int) -> None:
    out = 2 * scale**2
    nodes = [node("Conv", "x w", "c", pads=[1, 0, 1, 2]), node("DepthToSpace", "c", blocksize=scale, mode=mode)]
    made = model(nodes, {"x": [2, 4, 5, 6]}, {"w": floats(out, 4, 3, 3)})
    assert agree(made, {"x": floats(2, 4, 5, 6)}, "Conv + DepthToSpace") == ["ConvTranspose"]
    # A bias that differs between the pixels of a block is none of a ConvTranspose.
    nodes[0].input.append("b")
    assert found(model(nodes, {"x": [2, 4, 5, 6]}, {"w": floats(out, 4, 3, 3), "b": floats(out)})) == []


def test_a_convolution_and_a_batch_norm() -> None:
    nodes = [node("Conv", "x w b", "c", strides=[2, 1], dilations=[1, 2], group=2, pads=[1, 0, 2, 1])]
    nodes += [node("BatchNormalization", "c scale b mean var", "n", epsilon=1e-3), node("Relu", "n")]
    weights = {"w": floats(6, 2, 3, 3), "b": floats(6), "scale": floats(6), "mean": floats(6)}
    made = model(nodes, {"x": [1, 4, 8, 9]}, weights | {"var": np.abs(floats(6)) + 0.1})
    assert agree(made, {"x": floats(1, 4, 8, 9)}, "Conv + BatchNormalization + Relu") == ["Conv"]


def test_half_precision_stays_half() -> None:
    w = floats(4, 3, 4, 4).astype(np.float16)
    made = model(
        [node("ConvTranspose", "x w", strides=[2, 2])], {"x": [1, 4, 5, 5]}, {"w": w}, kind=TensorProto.FLOAT16
    )
    agree(made, {"x": floats(1, 4, 5, 5).astype(np.float16)}, "ConvTranspose", 4e-3)


W = {"w": floats(4, 4, 2, 2), "scale": floats(4), "b": floats(4), "mean": floats(4), "var": np.ones(4, np.float32)}
T = node("ConvTranspose", "x w", "t", strides=[2, 2])
NORM = node("BatchNormalization", "t scale b mean var")


def test_what_others_read_too_stays() -> None:
    made = model([T, NORM], {"x": [1, 4, 5, 5]}, W, ["y", "t"])
    assert [place.kinds for place in found(made)] == ["ConvTranspose"]
    made = model([T, NORM, node("Abs", "t", "z")], {"x": [1, 4, 5, 5]}, W, ["y", "z"])
    assert [place.kinds for place in found(made)] == ["ConvTranspose"]
    inner = onnx.helper.make_graph(
        [node("Identity", "t", "inner")], "then", [], [onnx.helper.make_tensor_value_info("inner", 1, None)]
    )
    both = onnx.helper.make_node("If", ["yes"], ["z"], then_branch=inner, else_branch=inner)
    made = model([T, NORM, both], {"x": [1, 4, 5, 5]}, W | {"yes": np.array(True)}, ["y", "z"])
    assert [place.kinds for place in found(made)] == ["ConvTranspose"]


def test_weights_that_are_copies_of_others() -> None:
    """PyTorch's exporter keeps equal weights once."""
    copies = [node("Identity", "scale", "same"), node("Identity", "same", "again")]
    norm = node("BatchNormalization", "t same b again var")
    made = model([*copies, T, norm], {"x": [1, 4, 5, 5]}, W | {"scale": np.float32([1, 2, 3, 4])})
    assert "ConvTranspose" in agree(made, {"x": floats(1, 4, 5, 5)}, "ConvTranspose + BatchNormalization")
    (place,) = found(made)
    small = piece(made, place.nodes, (), (1, 4, 5, 5))
    x = floats(1, 4, 5, 5)
    np.testing.assert_array_equal(runtime(small, {"x": x})[0], runtime(made, {"x": x})[0])


def test_weights_that_may_change_are_not_folded() -> None:
    made = model([T, NORM], {"x": [1, 4, 5, 5], "w": [4, 4, 2, 2]}, W, ["y"])
    assert found(made) == []
    computed = model([node("Neg", "w", "v"), node("ConvTranspose", "x v")], {"x": [1, 4, 5, 5]}, W)
    assert found(computed) == []
    trained = node("BatchNormalization", "t scale b mean var", training_mode=1)
    assert [each.kinds for each in found(model([T, trained], {"x": [1, 4, 5, 5]}, W))] == ["ConvTranspose"]


def test_weights_that_others_share_stay_for_them() -> None:
    made = model([T, NORM, node("ConvTranspose", "y w", "z")], {"x": [1, 4, 5, 5]}, W, ["z"])
    (place,) = found(made)
    for candidate in place.candidates:
        new = replaced(made, place.nodes, candidate.nodes, candidate.weights)
        assert {each.name for each in new.graph.initializer} >= {"w"}
        x = floats(1, 4, 5, 5)
        close(runtime(new, {"x": x})[0], runtime(made, {"x": x})[0])


def test_names_are_no_other_ones() -> None:
    made = model([T, node("Relu", "t", "tconv_0.phases0.value_0"), node("Neg", "tconv_0.phases0.value_0")],
                 {"x": [1, 4, 5, 5]}, W)  # fmt: skip
    agree(made, {"x": floats(1, 4, 5, 5)}, "ConvTranspose + Relu")
