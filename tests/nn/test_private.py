"""What is taken from PyTorch beyond its public interface says what it shall."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from tconv.nn import private

SOURCE = Path(private.__file__).parent


def test_nothing_is_at_work() -> None:
    asked = (private.autocast, private.profiling, private.scripting, private.transformed, private.forward_mode)
    assert not any(ask() for ask in (*asked, private.intercepted, private.watched, private.hooks_on_all))


def test_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert private.autocast() and private.intercepted() and private.watched()
        with torch.autocast("cpu", enabled=False):
            assert not private.autocast()


def test_transforms_modes_and_profilers() -> None:
    seen: list[bool] = []
    torch.vmap(lambda x: seen.append(private.transformed() and private.intercepted()) or x)(torch.ones(2))
    with forward_ad.dual_level():
        seen.append(private.forward_mode() and private.intercepted())
    with FlopCounterMode(display=False):
        seen.append(private.intercepted())
    with torch.device("cpu"):
        seen.append(private.intercepted())
    with torch.profiler.profile():
        seen.append(private.profiling() and private.watched() and not private.intercepted())
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    seen.append(private.hooks_on_all())
    handle.remove()
    assert seen == [True] * 6 and not private.watched() and not private.hooks_on_all()


def test_a_symbol_has_a_hint() -> None:
    assert private.hint(5) == 5


def test_without_memory_needs_a_tensor_without() -> None:
    with pytest.raises(LookupError, match=r"^there is no tensor without memory$"), private.without_memory([1, None]):
        pass


def test_what_a_node_of_autograds_graph_keeps() -> None:
    x = torch.ones(1, 2, 5, 5, requires_grad=True)
    y = torch.nn.functional.leaky_relu(torch.nn.functional.conv2d(x, torch.ones(3, 2, 3, 3), stride=2), 0.25)
    assert private.saved(y.grad_fn, "negative_slope") == 0.25 and private.saved(y.grad_fn, "stride") is None
    ((convolution, _), *_) = y.grad_fn.next_functions
    assert tuple(private.saved(convolution, "stride")) == (2, 2)
    assert private.result_shapes(convolution) == [(1, 3, 2, 2)] and private.result_shapes(None) == []


def test_what_is_compiled_runs_as_it_is_written() -> None:
    seen: list[bool] = []
    function = torch.compile(lambda x: seen.append(torch.compiler.is_compiling()) or x + 1, backend="eager")
    with private.eagerly():
        function(torch.ones(1))
    assert seen == [False]


def test_no_other_module_imports_a_private_name() -> None:
    for path in SOURCE.rglob("*.py"):
        if path.name == "private.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                assert not [name for name in names if name.startswith("_")], f"{path}:{node.lineno}"
