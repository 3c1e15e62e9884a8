"""On which GPUs the engine is used, and in which words it is not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tconv.nn import ConvTranspose2d, StrictError, explain
from tconv.nn import engine as contract
from tconv.nn.engines.triton import enabled, engine
from tconv.nn.engines.triton.cards import known
from tconv.nn.engines.triton.enabled import Pair, disabled, with_gradients

PAIR = Pair("sm_90", "3.9", "NVIDIA H100", "2026-12-01", enabled.digest(), gradients=True)
KNOWN = {("sm_90", "3.9"): PAIR, ("gfx942", "3.9"): Pair("gfx942", "3.9", "MI300X", "2026-12-01", "0123456789ab")}

REASONS = [
    ("sm_90", "3.9", "", None),
    ("gfx942", "3.9", "", None),
    ("sm_80", "3.9", "try", None),
    (
        "sm_80",
        "3.9",
        "",
        "is on a GPU (sm_80), on which the engine has not been proven with Triton 3.9; `make test-gpu` proves it, and "
        "TCONV_TRITON=try uses it unproven",
    ),
    (
        "sm_90",
        "3.8",
        "",
        "is on a GPU (sm_90), on which the engine has not been proven with Triton 3.8; `make test-gpu` proves it, and "
        "TCONV_TRITON=try uses it unproven",
    ),
    ("sm_90", "3.9", "off", "is on a GPU (sm_90), and TCONV_TRITON=off turns the engine for GPUs off"),
    (
        "sm_90",
        None,
        "try",
        "is on a GPU (sm_90), for which the engine needs Triton, and that is not installed; PyTorch's builds for GPUs "
        "on Linux bring it",
    ),
]


@pytest.mark.parametrize(("architecture", "triton", "wished", "reason"), REASONS)
def test_reasons(architecture: str, triton: str | None, wished: str, reason: str | None) -> None:
    assert disabled(architecture, triton, wished, KNOWN) == reason


def test_gradients_are_for_pairs_that_were_measured() -> None:
    assert with_gradients("sm_90", "3.9", KNOWN)
    assert not with_gradients("gfx942", "3.9", KNOWN) and not with_gradients("sm_80", None, KNOWN)


def test_pairs_are_read_and_those_that_ship_are_complete(tmp_path: Path) -> None:
    path = tmp_path / "enabled.json"
    path.write_text(json.dumps({"pairs": [vars(PAIR)]}))
    assert enabled.pairs(path) == {("sm_90", "3.9"): PAIR}
    for pair in enabled.pairs().values():
        assert pair.card and pair.date and pair.triton == enabled.minor(pair.triton)


def test_what_is_proven_was_proven_of_these_kernels() -> None:
    """`make enable-gpu` lists a pair; a change of the kernels takes it off, until they are proven again."""
    assert enabled.stale(KNOWN) == [KNOWN["gfx942", "3.9"]]
    assert enabled.stale(enabled.pairs()) == []


def test_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TCONV_TRITON", raising=False)
    assert enabled.wish() == ""
    for wish in ("", "try", "off"):
        monkeypatch.setenv("TCONV_TRITON", wish)
        assert enabled.wish() == wish
    monkeypatch.setenv("TCONV_TRITON", "yes")
    with pytest.raises(ValueError, match=r"^TCONV_TRITON=yes is unknown; choose 'try' or 'off', or leave it unset$"):
        enabled.wish()


def test_which_triton_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = enabled.installed.__wrapped__
    assert found() == enabled.minor(importlib.metadata.version("triton"))

    def version(name: str) -> str:
        if name != "pytorch-triton-rocm":
            raise importlib.metadata.PackageNotFoundError
        return "3.7.1+gitabc"

    monkeypatch.setattr(enabled, "version", version)
    assert found() == "3.7"
    monkeypatch.setattr(enabled, "find_spec", lambda _: None)
    assert found() is None


def test_a_pair_is_added(tmp_path: Path) -> None:
    path = tmp_path / "enabled.json"
    path.write_text('{"pairs": []}')
    first = enabled.add(PAIR, path)
    assert first == path and enabled.pairs.__wrapped__(path) == {("sm_90", "3.9"): PAIR}
    later = Pair("sm_90", "3.9", "NVIDIA H200", "2027-01-01", enabled.digest())
    enabled.add(KNOWN["gfx942", "3.9"], path)
    enabled.add(later, path)
    assert enabled.pairs.__wrapped__(path) == {("sm_90", "3.9"): later, ("gfx942", "3.9"): KNOWN["gfx942", "3.9"]}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The engine for GPUs asks about a card that is not here, and tensors on the CPU are its."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(engine, "card", lambda _: known("sm_90", 132))
    monkeypatch.setattr(enabled, "installed", lambda: "3.9")
    made = engine.Triton(card_of=lambda _: known("sm_90", 132))
    monkeypatch.setitem(contract._loaded, "cpu", made)
    forget()
    yield made
    forget()


def forget() -> None:
    """What the engine remembers of a card."""
    engine._refused_on.cache_clear()
    engine._trains_on.cache_clear()


def test_explain_says_what_to_do(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = ConvTranspose2d(4, 3, 2, 2), torch.ones(1, 4, 5, 5)
    assert explain(layer, x).splitlines()[1:] == [
        "runs: PyTorch's own operator",
        "not tconv: the input is on a GPU (sm_90), on which the engine has not been proven with Triton 3.9; "
        "`make test-gpu` proves it, and TCONV_TRITON=try uses it unproven",
    ]
    monkeypatch.setenv("TCONV_TRITON", "off")
    forget()
    assert "not tconv: the input is on a GPU (sm_90), and TCONV_TRITON=off turns the engine for GPUs off" in explain(
        layer, x
    )
    monkeypatch.setenv("TCONV_STRICT", "1")
    with pytest.raises(StrictError, match=r"PyTorch's own operator would run: the input is on a GPU \(sm_90\), and"):
        layer(x)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    forget()
    assert "not tconv: the input is on a GPU, and PyTorch sees none" in explain(layer, x)


def test_dtypes_and_lazy_negations(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCONV_TRITON", "try")
    x = torch.ones(2, 3)
    assert [gpu.refusal(x.to(dtype)) for dtype in (torch.float16, torch.bfloat16, torch.float32)] == [None] * 3
    says = "has dtype torch.float64; on GPUs the engine takes torch.float16, torch.bfloat16 and torch.float32"
    assert gpu.refusal(x.double()) == gpu.refusal(x, torch.float64) == says
    assert gpu.refusal(x.double(), torch.float16) is None
    assert gpu.refusal(torch._neg_view(x)) == "is a lazy negation; .resolve_neg() makes it a plain tensor"


def test_gradients_pay_where_they_were_measured(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = torch.ones(1, 4, 3, 3), torch.ones(4, 4, 64, 64)
    settings: Any = ((2, 2), (0, 0), (0, 0), 1, (1, 1))
    calls = [contract.Call(x, torch.ones(4, 3, 2, 2), None, settings) for x in (few, many)]
    assert [gpu.pays_with_gradients(call) for call in calls] == [False, False]
    monkeypatch.setattr(enabled, "pairs", lambda: KNOWN)
    forget()
    assert [gpu.pays_with_gradients(call) for call in calls] == [False, True]


@pytest.mark.usefixtures("captures")
def test_a_card_is_enabled_by_all_tests_only() -> None:
    """And that is said before any of them runs."""
    done = subprocess.run(
        ["make", "--no-print-directory", "enable-gpu", f"GPU_PYTHON={sys.executable}", "GPU_TESTS=-n 8 -k few"],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = "enable-gpu: GPU_TESTS='-n 8 -k few' leaves tests out; a card is enabled by all of them\n"
    assert (done.returncode, done.stdout) == (2, said)


def test_a_layer_on_a_gpu_is_captured_in_one_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """TorchDynamo cannot look at a card; what the engine says of one is a constant to it."""
    seen: list[str] = []

    def backend(module: torch.fx.GraphModule, _: Any) -> Any:
        seen.extend(node.name for node in module.graph.nodes if node.op == "call_function")
        return module.forward

    layer, x = ConvTranspose2d(4, 3, 2, 2), torch.ones(1, 4, 5, 5)
    monkeypatch.setitem(contract._loaded, "cpu", engine.ENGINE)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    assert compiled(x).shape == (1, 3, 10, 10) and seen == ["conv_transpose2d"]


def test_what_the_engine_does_not_do(gpu: Any) -> None:
    x = torch.ones(1, 4, 5, 5)
    assert not gpu.normalises(x) and not gpu.convolves and gpu.others() == {}
    with pytest.raises(
        contract.RefusedError, match=r"^there is no kernel for norms on GPUs; PyTorch's own is near the"
    ):
        gpu.normalise(x, None, None, 2, 1e-5)
    assert gpu.empty((2, 3, 4, 5), x, True).stride() == (60, 1, 15, 3)
    assert gpu.empty((2, 3, 4, 5), x, False).is_contiguous()
    assert gpu.seconds(lambda: None, x.device) >= 0
