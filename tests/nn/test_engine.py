"""Who computes a call: the engine, or PyTorch's own operator, and why."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.autograd import forward_ad

from tconv.errors import TconvError
from tconv.geometry import Geometry
from tconv.nn import ConvTranspose1d, StrictError, engine
from tconv.nn.engine import Call, RefusedError, circumstance, engine_for, refusal, route, strict
from tconv.nn.engines.cpu import ENGINE
from tconv.nn.engines.triton import engine as gpu

SETTINGS: Any = ((2, 2), (0, 0), (0, 0), 1, (1, 1))


def call(x: torch.Tensor | None = None, weight: torch.Tensor | None = None) -> Call:
    x = torch.ones(1, 4, 5, 5) if x is None else x
    return Call(x, torch.ones(4, 3, 2, 2) if weight is None else weight, None, SETTINGS)


def test_the_engine_takes_a_plain_call() -> None:
    assert route(call()) == (ENGINE, "", False, None)
    assert engine_for("cpu") is ENGINE and engine_for("meta") is None
    assert engine_for("cuda") is gpu.ENGINE


REASONS: dict[str, tuple[Any, str]] = {
    "dtype": (
        lambda: torch.ones(1, 4, 5, 5, dtype=torch.complex64),
        "the input has dtype torch.complex64; "
        "the engine takes torch.float32, torch.float64, torch.bfloat16 and torch.float16",
    ),
    "device": (
        lambda: torch.ones(1, 4, 5, 5, device="meta"),
        "the input is on meta; there are engines for cpu and cuda",
    ),
    "negation": (
        lambda: torch._neg_view(torch.ones(1, 4, 5, 5)),
        "the input is a lazy negation; .resolve_neg() makes it a plain tensor",
    ),
    "subclass": (
        lambda: torch.ones(1, 4, 5, 5).as_subclass(type("Own", (torch.Tensor,), {})),
        "the input is a Own, which may change what an operator does; engines take plain tensors",
    ),
    "kinds": (
        lambda: torch.ones(1, 4, 5, 5).double(),
        "the input is float64 on cpu, the weight float32 on cpu; PyTorch says what it makes of that",
    ),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_taken(dtype: torch.dtype) -> None:
    assert route(call(torch.ones(1, 4, 5, 5, dtype=dtype), torch.ones(4, 3, 2, 2, dtype=dtype))).engine is ENGINE


@pytest.mark.parametrize("name", REASONS)
def test_reasons(name: str) -> None:
    make, reason = REASONS[name]
    assert route(call(make())) == (None, reason, False, None)


def test_the_layout_is_a_reason() -> None:
    sparse = torch.sparse_coo_tensor(
        torch.zeros(4, 0, dtype=torch.long), torch.zeros(0), (1, 4, 5, 5), check_invariants=True
    )
    assert refusal(weight=sparse, bias=None) == "the weight has layout torch.sparse_coo; engines take strided tensors"


def test_gradients() -> None:
    weight = torch.ones(4, 3, 2, 2, requires_grad=True)
    assert route(call(weight=weight)) == (
        None,
        "gradients are needed, and PyTorch computes both ways as fast here; torch.no_grad() asks for none",
        True,
        None,
    )
    with torch.no_grad():
        assert route(call(weight=weight)).engine is ENGINE


def test_circumstances(monkeypatch: pytest.MonkeyPatch) -> None:
    assert circumstance() is None
    found: list[str | None] = []
    torch.vmap(lambda x: found.append(circumstance()) or x)(torch.ones(2))
    with forward_ad.dual_level():
        found.append(circumstance())
    monkeypatch.setattr(engine.private, "scripting", lambda: True)
    found.append(circumstance())
    assert found == [
        "a torch.func transform (vmap, grad, jvp) is at work",
        "forward-mode differentiation is on",
        "the model is being exported, and shall run without tconv",
    ]


def test_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = ConvTranspose1d(2, 3, 2, dtype=torch.complex64), torch.ones(1, 2, 4, dtype=torch.complex64)
    for value in ("0", ""):
        monkeypatch.setenv("TCONV_STRICT", value)
        assert not strict()
        layer(x)
    monkeypatch.setenv("TCONV_STRICT", "1")
    assert strict() and issubclass(StrictError, TconvError) and issubclass(RefusedError, TconvError)
    with pytest.raises(StrictError, match=r"^TCONV_STRICT is set, and PyTorch's own operator would run: the input has"):
        layer(x)


class Broken:
    """An engine with a fault of its own."""

    name = "broken"
    packs_at_once = convolves = True

    def refusal(self, tensor: torch.Tensor, dtype: torch.dtype | None = None) -> None:
        return None

    def prepare(self, *_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a fault")


@torch.no_grad()
def test_an_engines_faults_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine._loaded, "cpu", Broken())
    with pytest.raises(ZeroDivisionError, match=r"^a fault$"):
        ConvTranspose1d(2, 3, 2)(torch.ones(1, 2, 4))


def test_a_layer_refuses_what_does_not_fit() -> None:
    weight = torch.ones(4, 3, 2, 2)
    prepared = ENGINE.prepare(weight, None, Geometry((2, 2), 2), 1)

    def source() -> tuple[torch.Tensor, None]:
        return weight, None

    assert prepared.run(torch.ones(1, 4, 5, 5), source).shape == (1, 3, 10, 10)
    assert prepared.run(torch.ones(4, 5, 5), source).shape == (3, 10, 10)
    for bad in (torch.ones(1, 3, 5, 5), torch.ones(5, 5), torch.ones(1, 4, 5, 5).double(), torch.ones(1, 4, 0, 5)):
        with pytest.raises(RefusedError):
            prepared.run(bad, source)
    with pytest.raises(RefusedError):
        prepared.run_into(torch.ones(1, 4, 5, 5), torch.ones(1, 3, 9, 9), source)
    with pytest.raises(RefusedError):
        ENGINE.normalise(torch.ones(1, 4, 5, 5), None, None, 3, 1e-5)
