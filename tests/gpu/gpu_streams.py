"""Streams, CUDA graphs and several GPUs: only where there is one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gpu.place import DEVICE, DEVICES, REAL, error

import tconv.nn
from tconv.nn.engine import StrictError
from tconv.nn.engines.triton import streams

HALF = torch.float16


def layer(outs: int = 32) -> Any:
    return tconv.nn.ConvTranspose2d(64, outs, 2, 2).to(DEVICE, HALF).eval()


@torch.no_grad()
def test_sixteen_streams() -> None:
    up, own = layer(), [torch.cuda.Stream() for _ in range(16)]
    inputs = [torch.randn(2, 64, 40 + n, 33, device=DEVICE).to(HALF) for n in range(16)]
    expected = [torch.conv_transpose2d(x.double(), up.weight.double(), up.bias.double(), 2) for x in inputs]
    torch.cuda.synchronize()
    for _ in range(3):
        up.weight.mul_(1)  # packed anew by whichever stream is first
        torch.cuda.current_stream().synchronize()
        results = []
        for stream, x in zip(own, inputs, strict=True):
            with torch.cuda.stream(stream):
                results.append(up(x))
        torch.cuda.synchronize()
        assert all(error(y, e) < 2e-3 for y, e in zip(results, expected, strict=True))


@torch.no_grad()
def test_a_stream_waits_for_weights_that_another_one_packs() -> None:
    first, second = torch.cuda.Stream(), torch.cuda.Stream()
    busy = torch.randn(4096, 4096, device=DEVICE)
    x = torch.randn(1, 64, 32, 32, device=DEVICE).to(HALF)
    for _ in range(5):
        up = layer()
        torch.cuda.synchronize()
        with torch.cuda.stream(first):
            for _ in range(20):
                busy = busy @ busy / 4096
            up(x)
        with torch.cuda.stream(second):
            y = up(x)
        torch.cuda.synchronize()
        assert error(y, torch.conv_transpose2d(x.double(), up.weight.double(), up.bias.double(), 2)) < 2e-3


def captured(run: Any) -> tuple[torch.cuda.CUDAGraph, Any]:
    """A graph of `run`, and the result that it writes."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = run()
    return graph, y


@torch.no_grad()
@pytest.mark.parametrize("size", [(16, 16), (3, 3)])
def test_a_graph_is_replayed(size: tuple[int, int]) -> None:
    up, x = layer(), torch.randn(1, 64, *size, device=DEVICE).to(HALF)
    up(x)
    graph, y = captured(lambda: up(x))
    for _ in range(3):
        x.normal_()
        graph.replay()
        assert y.equal(up(x))
    before = y.clone()
    up.weight.mul_(2)  # which the graph does not see: it holds the weights that it was captured with
    up(x)
    graph.replay()
    torch.cuda.synchronize()
    assert y.equal(before) and streams._captured


@torch.no_grad()
def test_what_has_not_run_before_is_pytorchs_within_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    up, x = layer(), torch.randn(1, 64, 8, 8, device=DEVICE).to(HALF)
    theirs = torch.nn.ConvTranspose2d(64, 32, 2, 2).to(DEVICE, HALF)
    theirs.load_state_dict(up.state_dict())
    expected = theirs(x)
    with pytest.raises(
        StrictError, match=r"a CUDA graph is being captured, and the layer has not run on such an input"
    ):
        captured(lambda: up(x))
    torch.cuda.synchronize()
    monkeypatch.setenv("TCONV_STRICT", "0")
    graph, y = captured(lambda: up(x))
    graph.replay()
    torch.cuda.synchronize()
    assert error(y, expected) < 2e-3
    assert up(x).shape == expected.shape  # and it is packed outside of the graph's memory afterwards


@torch.no_grad()
def test_a_folded_model_in_a_graph() -> None:
    model = torch.nn.Sequential(torch.nn.ConvTranspose2d(64, 32, 2, 2), torch.nn.BatchNorm2d(32), torch.nn.ReLU())
    model = tconv.nn.fold(model.to(DEVICE, HALF).eval())
    x = torch.randn(1, 64, 16, 16, device=DEVICE).to(HALF)
    expected = [model(x) for _ in range(2)]
    graph, y = captured(lambda: model(x))
    graph.replay()
    torch.cuda.synchronize()
    assert y.equal(expected[1])


@torch.no_grad()
@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_every_gpu_whichever_is_current(device: torch.device) -> None:
    up = tconv.nn.ConvTranspose2d(8, 4, 4, 2, 1).to(device, HALF)
    x = torch.randn(2, 8, 9, 9, device=device).to(HALF)
    assert up.bias is not None
    expected = torch.conv_transpose2d(x.double(), up.weight.double(), up.bias.double(), 2, 1)
    for current in DEVICES:
        with torch.cuda.device(current):
            y = up(x)
        assert y.device == device and error(y, expected) < 2e-3


def test_this_is_a_gpu() -> None:
    assert REAL and torch.cuda.is_available()
