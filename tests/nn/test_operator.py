"""The registered operator: opcheck, torch.compile, torch.export, ONNX."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import library
from torch._dynamo.testing import CompileCounter

from tconv.nn import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

LAYERS = [
    ConvTranspose1d(4, 6, 4, 2, 1),
    ConvTranspose2d(4, 6, 3, (2, 1), 1, (1, 0), 2),
    ConvTranspose3d(4, 2, 2, 2, bias=False),
]
IDS = ["1d", "2d", "3d"]


def numbers(layer: Any) -> tuple[Any, ...]:
    return [*layer.stride], [*layer.padding], [*layer.output_padding], layer.groups, [*layer.dilation]


def sized(layer: Any, n: int = 4, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, layer.in_channels, *[n] * (layer.weight.dim() - 2))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # PyTorch's
@pytest.mark.parametrize("layer", LAYERS, ids=IDS)
@pytest.mark.parametrize("case", ["plain", "channels last", "unbatched", "empty", "requires_grad", "double"])
def test_opcheck(layer: Any, case: str) -> None:
    x, dtype = sized(layer), torch.float64 if case == "double" else torch.float32
    x = {
        "channels last": x.movedim(1, -1).contiguous().movedim(-1, 1),
        "unbatched": x[0],
        "empty": x[:0],
        "requires_grad": x.clone().requires_grad_(),
    }.get(case, x)
    bias = None if layer.bias is None else layer.bias.detach().to(dtype)
    arguments = (x.to(dtype), layer.weight.detach().to(dtype).requires_grad_(case == "requires_grad"), bias)
    checks = library.opcheck(torch.ops.tconv.conv_transpose.default, (*arguments, *numbers(layer)))
    assert set(checks.values()) == {"SUCCESS"} and len(checks) == 4


@pytest.mark.parametrize("layer", LAYERS, ids=IDS)
def test_vmap_of_the_operator(layer: Any) -> None:
    op, x = torch.ops.tconv.conv_transpose, sized(layer, batch=6)
    w, b = layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
    expected = op(x, w, b, *numbers(layer))
    over_inputs = torch.vmap(lambda x: op(x, w, b, *numbers(layer)))
    assert torch.allclose(over_inputs(x), expected, atol=1e-5)
    assert torch.allclose(over_inputs(x.unflatten(0, (2, 3))).flatten(0, 1), expected, atol=1e-5)
    over_weights = torch.vmap(lambda w: op(x, w, b, *numbers(layer)))
    assert torch.allclose(over_weights(torch.stack([w, 2 * w]))[0], expected, atol=1e-5)


def test_half_precision_of_the_operator() -> None:
    layer, x = LAYERS[1], sized(LAYERS[1]).bfloat16()
    w, b = layer.weight.detach().bfloat16(), layer.bias.detach().bfloat16()
    ours = torch.ops.tconv.conv_transpose(x, w, b, *numbers(layer))
    exact = torch.conv_transpose2d(*(t.double() for t in (x, w, b)), *numbers(layer))
    torch.testing.assert_close(ours.double(), exact, rtol=2.0**-8, atol=1e-6 * float(exact.abs().max()))
    theirs = torch.conv_transpose2d(x, w, b, *numbers(layer))
    assert (ours.dtype, ours.shape, ours.stride()) == (theirs.dtype, theirs.shape, theirs.stride())


@pytest.mark.parametrize("layer", LAYERS, ids=IDS)
def test_compile_without_graph_breaks(layer: Any, engine: None) -> None:
    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend=counter)
    for n in (5, 6, 7):
        x = sized(layer, n, 3).requires_grad_()
        assert torch.allclose(compiled(x), layer(x), atol=1e-5)
    assert counter.frame_count == 1 and counter.op_count == 1


@pytest.mark.filterwarnings("ignore:`torch.jit")  # PyTorch's own, when Inductor is imported
def test_compile_with_inductor(engine: None) -> None:
    torch._dynamo.reset()
    layer, theirs = ConvTranspose2d(4, 6, 3, 2, 1), torch.nn.ConvTranspose2d(4, 6, 3, 2, 1)
    theirs.load_state_dict(layer.state_dict())
    x = torch.randn(2, 4, 5, 5)
    compiled = torch.compile(torch.nn.Sequential(layer, torch.nn.ReLU()), fullgraph=True)
    compiled(x).square().sum().backward()
    theirs(x).relu().square().sum().backward()
    assert torch.allclose(layer.weight.grad, theirs.weight.grad, atol=1e-4)
    with torch.no_grad():
        layer.weight.mul_(2)
        assert torch.allclose(compiled(x), layer(x).relu(), atol=1e-5)


@pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")  # PyTorch 2.9's own, when it loads
@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_program_needs_no_tconv(strict: bool) -> None:
    layer, x = ConvTranspose2d(4, 6, 3, 2, 1), torch.randn(2, 4, 5, 5)
    program = torch.export.export(layer, (x,), strict=strict)
    called = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert called == ["aten.conv_transpose2d.input"]
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    assert torch.allclose(torch.export.load(buffer).module()(x), layer(x), atol=1e-5)


@pytest.mark.parametrize("layer", LAYERS, ids=IDS)
@pytest.mark.parametrize("dynamo", [False, True])
def test_onnx_is_the_standard_node(layer: Any, dynamo: bool, tmp_path: Path) -> None:
    x, path = sized(layer), tmp_path / "layer.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(layer, (x,), path, dynamo=dynamo, verbose=False)
    assert [node.op_type for node in onnx.load(path).graph.node] == ["ConvTranspose"]
    session = onnxruntime.InferenceSession(path)
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(y, layer(x).detach(), 1e-5, 1e-5)


def test_tracing_is_pytorchs() -> None:
    layer, x = LAYERS[0], sized(LAYERS[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(layer, x)
    assert "aten::_convolution" in str(traced.inlined_graph)
    assert torch.allclose(traced(x), layer(x), atol=1e-5)


def test_symbolic_trace() -> None:
    graph = torch.fx.symbolic_trace(torch.nn.Sequential(LAYERS[1], torch.nn.ReLU()))
    x = sized(LAYERS[1])
    assert torch.allclose(graph(x), LAYERS[1](x).relu(), atol=1e-5)
