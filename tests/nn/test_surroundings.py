"""Folded models under hooks, modes, transforms, tracers, counters and other people's captures."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from nn.judge import Body, agree, close, folded, folds, graphs
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.flop_counter import FlopCounterMode

import tconv.nn
from tconv.nn.capture import captured
from tconv.nn.folding.chain import Folded

pytestmark = pytest.mark.usefixtures("captures")


def up() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(3, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.ReLU())


def ran(model: nn.Module, *args: Any) -> list[str]:
    """The folds that run in a call."""
    found: list[str] = []
    own = Folded.folded
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folded, "folded", lambda self, *a: found.append(self.name) or own(self, *a))
        model(*args)
    return found


HOOKS: dict[str, Callable[[Any, Callable[..., Any]], Any]] = {
    "root": lambda m, f: m.register_forward_hook(lambda module, args, y: f(y)),
    "before the root": lambda m, f: m.register_forward_pre_hook(lambda module, args: f(None)),
    "part": lambda m, f: m.conv.register_forward_hook(lambda module, args, y: f(y)),
    "before a part": lambda m, f: m.norm.register_forward_pre_hook(lambda module, args: f(None)),
    "with names": lambda m, f: m.conv.register_forward_hook(lambda module, args, kwargs, y: f(y), with_kwargs=True),
    "always": lambda m, f: m.norm.register_forward_hook(lambda module, args, y: f(y), always_call=True),
    "any module": lambda m, f: register_module_forward_hook(lambda module, args, y: f(y)),
    "before any module": lambda m, f: register_module_forward_pre_hook(lambda module, args: f(None)),
}


@torch.no_grad()
@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("before", [True, False], ids=["before the capture", "later"])
def test_hooks_fire_as_often_as_they_would(name: str, before: bool) -> None:
    """Whether they were there at the capture or came later; and not after they were removed."""
    model, twin = folded(Body())
    x = torch.randn(1, 3, 6, 6)
    if not before:
        model(x)
    calls: list[Any] = []
    counts = []
    for each in (model, twin):
        handle = HOOKS[name](each, calls.append)
        try:
            each(x), each(x)
        finally:
            handle.remove()
        each(x)
        counts.append(len(calls))
        calls.clear()
    assert counts[0] == counts[1] > 0
    agree(model, twin, x)


@torch.no_grad()
@pytest.mark.parametrize("before", [True, False], ids=["before the capture", "later"])
@pytest.mark.parametrize("part", ["", "conv", "norm"])
def test_hooks_that_change_results(part: str, before: bool) -> None:
    model, twin = folded(Body())
    x = torch.randn(1, 3, 6, 6)
    if not before:
        agree(model, twin, x)
    handles = [m.get_submodule(part).register_forward_hook(lambda module, args, y: y * 2) for m in (model, twin)]
    agree(model, twin, x)
    for handle in handles:
        handle.remove()
    agree(model, twin, x)


@torch.no_grad()
def test_training_and_evaluation() -> None:
    model, twin = folded(Body())
    x = torch.randn(2, 3, 6, 6)
    for training in (False, True, False):
        for each in (model, twin):
            each.train(training)
        agree(model, twin, x)
    for each in (model, twin):
        each.norm.train()
    agree(model, twin, x)
    assert folds(model)[0] == "conv + norm + relu"


def gradients(model: nn.Module, x: Tensor) -> list[Tensor | None]:
    x = x.clone().requires_grad_()
    model.zero_grad()
    model(x).square().sum().backward()
    return [x.grad, *(p.grad for p in model.parameters())]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("captured_before", [False, True])
def test_gradients(training: bool, captured_before: bool) -> None:
    """Also of a model that was captured without them; then nothing is folded."""
    model, twin = folded(Body())
    x = torch.randn(2, 3, 6, 6)
    if captured_before:
        with torch.no_grad():
            agree(model, twin, x)
    for each in (model, twin):
        each.train(training)
    for ours, theirs in zip(gradients(model, x), gradients(twin, x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    with torch.no_grad():
        agree(model.eval(), twin.eval(), x)


def test_frozen_weights_fold_and_an_input_with_gradients_does_not() -> None:
    model, twin = folded(up())
    for each in (model, twin):
        each.requires_grad_(False)
    x = torch.randn(2, 3, 6, 6)
    agree(model, twin, x)
    assert ran(model, x) == ["0 + 1 + 2"]
    torch.testing.assert_close(gradients(model, x)[0], gradients(twin, x)[0], rtol=1e-3, atol=1e-4)
    for each in (model, twin):
        each[1].weight.requires_grad_()
    torch.testing.assert_close(gradients(model, x)[3], gradients(twin, x)[3], rtol=1e-3, atol=1e-4)


class Guided(Body):
    """Needs gradients in the middle of inference, as guided diffusion does."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.body(y).sum(), y)
        return self.body(x) + slope.mean(1, keepdim=True)


def test_gradients_inside_of_no_grad() -> None:
    model, twin = folded(Guided())
    x = torch.randn(2, 3, 6, 6)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            results = [m(x) for m in (model, twin)] if mode is torch.no_grad else []
        if results:
            close(*results)
    agree(model, twin, x)


class Quiet(Body):
    """Computes a part without gradients, as frozen backbones do."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.body(x)
        return self.head(y)


def test_a_part_without_gradients_folds() -> None:
    model, twin = folded(Quiet())
    x = torch.randn(2, 3, 6, 6)
    agree(model, twin, x)
    assert folds(model) == ["conv + norm + relu"]
    for ours, theirs in zip(gradients(model, x), gradients(twin, x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_inference_mode() -> None:
    model, twin = folded(up())
    x = torch.randn(2, 3, 6, 6)
    with torch.inference_mode():
        agree(model, twin, x)
        agree(model, twin, torch.randn(2, 3, 6, 6))
    with torch.no_grad():
        agree(model, twin, x)
    with torch.inference_mode():
        agree(model, twin, torch.randn(1, 3, 5, 5))
    assert folds(model) == ["0 + 1 + 2"]


def test_weights_made_in_inference_mode() -> None:
    with torch.inference_mode():
        model, twin = folded(up())
        x = torch.randn(2, 3, 6, 6)
        agree(model, twin, x)
        for each in (model, twin):
            each[0].weight.mul_(2)
        agree(model, twin, x)


class Half(Body):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.body(x)
        return y.float() + self.body(x)


@torch.no_grad()
def test_autocast_around_and_inside() -> None:
    model, twin = folded(Body())
    x = torch.randn(2, 3, 6, 6)
    agree(model, twin, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert agree(model, twin, x).dtype == torch.bfloat16
        with torch.autocast("cpu", enabled=False):
            agree(model, twin, x)
    agree(model, twin, x)
    inside, its_twin = folded(Half())
    for ours, theirs in zip(inside(x), its_twin(x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)


@torch.no_grad()
def test_floating_point_operations_are_counted() -> None:
    model, twin = folded(up())
    x = torch.randn(1, 3, 6, 6)
    for _ in range(2):  # captured under the counter, and before
        counted = []
        for each in (model, twin):
            with FlopCounterMode(display=False) as flops:
                each(x)
            counted.append(flops.get_total_flops())
        assert counted[0] == counted[1] > 0
        agree(model, twin, x)
    assert ran(model, x) == ["0 + 1 + 2"]
    counted = []
    for layer in (nn.ConvTranspose2d(6, 4, 3, 2), tconv.nn.ConvTranspose2d(6, 4, 3, 2)):
        with FlopCounterMode(display=False) as flops:
            layer(torch.randn(6, 9, 7))
        counted.append(flops.get_total_flops())
    assert counted[0] == counted[1] == 2 * 9 * 7 * 6 * 4 * 9


@torch.no_grad()
def test_a_profiler_sees_the_folds() -> None:
    model, twin = folded(up())
    x = torch.randn(1, 3, 6, 6)
    agree(model, twin, x)
    with torch.profiler.profile() as profile:
        model(x)
    assert "tconv: 0 + 1 + 2" in {event.key for event in profile.key_averages()}


@pytest.mark.filterwarnings("ignore:`torch.jit.script")  # PyTorch's own, when first used
@pytest.mark.parametrize("before", [True, False], ids=["captured before", "at once"])
def test_transforms(before: bool) -> None:
    model, twin = folded(up())
    x, t = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 6, 6)
    if before:
        with torch.no_grad():
            agree(model, twin, x)
    with torch.no_grad():
        results = [torch.vmap(m)(x[:, None]) for m in (model, twin)]
        torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)
    results = [torch.func.jvp(m, (x,), (t,))[1] for m in (model, twin)]
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)
    results = [torch.func.grad(lambda x, m=m: m(x).sum())(x) for m in (model, twin)]
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        agree(model, twin, x)


@torch.no_grad()
def test_functional_call() -> None:
    """Other weights for one call, and the model's own ones again."""
    model, twin = folded(up())
    x = torch.randn(2, 3, 6, 6)
    other = {name: torch.randn_like(p).abs() for name, p in twin.state_dict().items() if p.dim()}
    for _ in range(3):
        agree(model, twin, x, calls=1)
        results = [torch.func.functional_call(m, other, (x,)) for m in (model, twin)]
        torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("before", [True, False], ids=["captured before", "at once"])
@pytest.mark.parametrize("inside", [True, False], ids=["inside of a model", "itself"])
def test_somebody_elses_capture(before: bool, inside: bool) -> None:
    """One graph without breaks, of any size, with the model's own operators."""
    model, twin = folded(up())
    x = torch.randn(2, 3, 6, 6)
    if before:
        agree(model, twin, x)
    count = graphs(model)
    outer = nn.Sequential(model, nn.Identity()) if inside else model
    compiled = torch.compile(outer, backend="eager", fullgraph=True, dynamic=True)
    for size in (5, 6, 9):
        x = torch.randn(1, 3, size, size)
        close(compiled(x), twin(x))
    assert graphs(model) == count


@torch.no_grad()
def test_a_part_that_is_folded_in_a_model_that_is_not() -> None:
    outer = nn.Sequential(nn.Conv2d(3, 3, 1), up(), nn.Sigmoid()).eval()
    twin = copy.deepcopy(outer)
    tconv.nn.fold(outer[1])
    agree(outer, twin, torch.randn(2, 3, 6, 6))
    assert folds(outer[1]) == ["0 + 1 + 2"]
    tconv.nn.fold(outer)
    agree(outer, twin, torch.randn(2, 3, 6, 6))
    assert folds(outer) == ["1.0 + 1 + 2"]
    tconv.nn.restore(outer)
    assert captured(outer) is None and captured(outer[1]) is None


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_program_is_the_model_as_written(strict: bool) -> None:
    model, twin = folded(up())
    x = torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        agree(model, twin, x)
    programs = [torch.export.export(m, (x,), strict=strict) for m in (model, twin)]
    called = [[str(n.target) for n in p.graph.nodes if n.op == "call_function"] for p in programs]
    assert called[0] == called[1] and not any("tconv" in name for name in called[0])
    buffer = io.BytesIO()
    torch.export.save(programs[0], buffer)
    buffer.seek(0)
    torch.testing.assert_close(torch.export.load(buffer).module()(x), twin(x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_trace_is_the_model_as_written() -> None:
    model, twin = folded(up())
    x = torch.randn(2, 3, 6, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own: its tracer is old
        traced = torch.jit.trace(model, x)
        assert "tconv" not in str(traced.inlined_graph)
        torch.testing.assert_close(traced(x), twin(x), rtol=1e-4, atol=1e-5)
    agree(model, twin, x)


@torch.no_grad()
@pytest.mark.parametrize("name", ["default device", "deterministic", "threads", "default dtype"])
def test_settings_of_the_process(name: str) -> None:
    model, twin = folded(up())
    x = torch.randn(2, 3, 6, 6)
    agree(model, twin, x)
    threads = torch.get_num_threads()
    try:
        if name == "default device":
            torch.set_default_device("meta")
        elif name == "deterministic":
            torch.use_deterministic_algorithms(True)
        elif name == "default dtype":
            torch.set_default_dtype(torch.float64)
        else:
            torch.set_num_threads(1 if threads > 1 else 2)
        results = [m(x) for m in (model, twin)]
    finally:
        torch.set_default_device(None)
        torch.use_deterministic_algorithms(False)
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(threads)
    close(*results)
    agree(model, twin, x)
    assert folds(model) == ["0 + 1 + 2"]


@torch.no_grad()
@pytest.mark.parametrize("context", [nullcontext, torch.inference_mode])
def test_a_device_mode(context: Callable[[], Any]) -> None:
    model, twin = folded(up())
    with torch.device("cpu"), context():
        agree(model, twin, torch.randn(2, 3, 6, 6))
