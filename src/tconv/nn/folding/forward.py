"""The forward of a folded model."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from tconv.nn.folding.snapshot import Snapshot
from tconv.nn.functional import watched


def hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


class FoldedForward:
    """The folded graph in inference, and the model's own forward otherwise. It becomes the model's forward.

    Otherwise means: in training mode, when gradients are recorded, in torch.compile, when somebody watches (a mode, a
    transform, a profiler, autocast), with hooks on a folded part, when a tensor, a module or an attribute of the model
    was replaced, or for other arguments than tensors in the traced number.
    """

    def __init__(self, model: nn.Module, graph: GraphModule, inside: list[nn.Module], arguments: int):
        vars(model)["forward"] = self
        own = _own_forward(model)
        update_wrapper(self, own)  # whoever asks for name and signature, as torch.export does,
        self.__code__ = getattr(own, "__code__", None)  # means the model's
        self.model = model
        self.graph: GraphModule | None = graph
        self.traced = Snapshot([model, *inside])  # the modules whose forward the graph does not call
        self.arguments = arguments
        self.tensors = []
        for node in graph.graph.nodes:
            if node.op == "get_attr":
                owner, _, name = str(node.target).rpartition(".")
                place = model.get_submodule(owner)
                if hasattr(place, name):  # else a constant of the graph's own
                    self.tensors.append((place, name, getattr(place, name)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        traced = len(args) == self.arguments and not kwargs and all(isinstance(a, Tensor) for a in args)
        if self.graph is not None and traced and self._applies():
            return self.graph(*args)
        return _own_forward(self.model)(*args, **kwargs)

    def _applies(self) -> bool:
        return not (
            torch.is_grad_enabled()
            or torch.compiler.is_compiling()
            or watched()
            or nn.modules.module._has_any_global_hook()
            or self.traced.change() is not None
            or any(getattr(place, name) is not tensor for place, name, tensor in self.tensors)
        )

    def forget(self) -> None:
        """Run the model's own forward from now on, and let go of the folds.

        A GraphModule refers to itself, and would keep their packed weights until garbage is collected.
        """
        if self.graph is not None:
            self.graph._modules.clear()
        self.graph = None

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A copy or a pickle of a folded model has the model's own forward: graphs are not copied."""
        return _own_forward, (self.model,)


def _own_forward(model: nn.Module) -> MethodType:
    return MethodType(type(model).forward, model)
