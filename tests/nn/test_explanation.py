"""`explain`, word by word."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tconv
from tconv.nn import ConvTranspose1d, ConvTranspose2d, StrictError, explain
from tconv.nn.engine import circumstance


@torch.no_grad()
def test_explain_names_the_kernel_and_the_reasons() -> None:
    layer = ConvTranspose1d(2, 3, 2)
    first, runs, *others = explain(layer, torch.ones(1, 2, 4)).splitlines()
    assert first == "ConvTranspose1d(2, 3, kernel_size=(2,), stride=(1,)) on (1, 2, 4) float32"
    active = tconv.native.active()
    way = layer_way(layer, (1, 2, 4))
    assert runs == f"runs: tconv {active}, by {way}, channels-first"
    assert len(others) == len(tconv.native.backends())
    assert "not tconv reference: " in "\n".join(others) or active == "reference"
    assert others[-1] == "not PyTorch's own operator: nothing here asks for it"


def layer_way(layer: torch.nn.Module, shape: tuple[int, ...]) -> str:
    geometry = tconv.Geometry(2)
    return tconv.prepare(layer.weight.detach().numpy(), layer.bias.detach().numpy(), geometry).plan(shape).way


def test_explain_says_that_pytorch_trains_as_fast() -> None:
    small, large = ConvTranspose2d(2, 3, 2), ConvTranspose2d(64, 32, 2, 2)
    assert "not tconv: gradients are needed, and PyTorch computes both ways as fast here" in explain(
        small, torch.ones(1, 2, 4, 4)
    )
    assert "runs: tconv " in explain(large, torch.ones(4, 64, 48, 48))
    with torch.no_grad():
        last = torch.ones(4, 64, 48, 48).contiguous(memory_format=torch.channels_last)
        assert explain(large, last).splitlines()[1].endswith(", channels-last")


def test_explain_says_why_pytorch_runs() -> None:
    layer, x = ConvTranspose1d(2, 3, 2), torch.ones(1, 2, 4)
    assert explain(layer, x.to(torch.complex64)).splitlines()[1:] == [
        "runs: PyTorch's own operator",
        "not tconv: the input has dtype torch.complex64; the engine takes "
        "torch.float32, torch.float64, torch.bfloat16 and torch.float16",
    ]
    assert (
        "not tconv: the input is float64 on cpu, the weight float32 on cpu; PyTorch says what it makes of that"
        in explain(layer, x.double())
    )
    assert "the weight is on meta; there are engines for cpu and cuda" in explain(
        ConvTranspose1d(2, 3, 2, device="meta"), x
    )
    theirs = torch.nn.ConvTranspose1d(2, 3, 2)
    assert "the layer is a torch.nn.modules.conv.ConvTranspose1d; tconv.nn.accelerate(model) or" in explain(theirs, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert "not tconv: gradients are needed under autocast; torch.no_grad() asks for none" in explain(layer, x)
        with torch.no_grad():
            assert ", channels-first, in bfloat16 as autocast asks" in explain(layer, x).splitlines()[1]


def test_explain_refuses_what_it_cannot_explain() -> None:
    bad: Any = None
    with pytest.raises(
        TypeError, match=r"^explain takes a transposed convolution of tconv.nn or torch.nn, not Conv2d$"
    ):
        explain(torch.nn.Conv2d(1, 1, 1), torch.ones(1, 1, 2, 2))
    with pytest.raises(TypeError, match=r"^explain takes a tensor that the layer could be called with, not NoneType$"):
        explain(ConvTranspose2d(1, 1, 1), bad)


def test_strict_is_off_for_0_and_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = ConvTranspose1d(2, 3, 2, dtype=torch.complex64), torch.ones(1, 2, 4, dtype=torch.complex64)
    for value in ("0", ""):
        monkeypatch.setenv("TCONV_STRICT", value)
        layer(x)
    monkeypatch.setenv("TCONV_STRICT", "1")
    with pytest.raises(StrictError, match=r"^TCONV_STRICT is set, and PyTorch's own operator would run: the input has"):
        layer(x)


def test_no_circumstance() -> None:
    assert circumstance() is None
