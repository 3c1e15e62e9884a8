"""What runs in place of a model's own call, once the model is captured."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

from torch import nn
from torch.compiler import is_compiling

from tconv.nn import private
from tconv.nn.backend import Backend


class Captured:
    """A model's call as TorchDynamo captures it for tconv.

    It lies where `nn.Module.compile` would put it, so that the model keeps its class and its forward: copies and
    pickles leave it out, and subclasses and mixins that the model is given later are captured anew. In somebody else's
    graph, in an export, in a trace and while hooks on all modules are registered the model runs as it is written.
    """

    def __init__(self, model: nn.Module, backend: Backend):
        self.model = model
        self.backend = backend
        self.before = vars(model).get(private.CALL_SLOT)  # of the user's own `model.compile()`
        if not backend.knows_names:
            backend.know(model)
        self._compiled = private.soundly(private.compiled(_entry(model), backend))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The model's result."""
        if is_compiling() or private.scripting() or private.hooks_on_all():
            return self.model._call_impl(*args, **kwargs)
        # A replica of nn.DataParallel has the attributes of its model, this one among them, and other weights.
        caller = sys._getframe(1).f_locals.get("self", self.model)
        if caller is not self.model and isinstance(caller, nn.Module) and vars(caller).get(private.CALL_SLOT) is self:
            return caller._call_impl(*args, **kwargs)
        before = self.backend.graphs
        try:
            return self._compiled(*args, **kwargs)
        finally:
            if self.backend.graphs != before:
                # What TorchDynamo made to capture refers to itself, and weakly to the weights: as long as it is there,
                # torch.utils.swap_tensors refuses them.
                gc.collect()


def _entry(model: nn.Module) -> Callable[..., Any]:
    """A function of the model's own call whose code is no other model's: TorchDynamo keeps its graphs with the code."""

    def entry(*args: Any, **kwargs: Any) -> Any:
        return model._call_impl(*args, **kwargs)

    code = entry.__code__.replace(co_name=f"call_of_{type(model).__name__}")
    return FunctionType(code, entry.__globals__, code.co_name, None, entry.__closure__)


def capture(model: nn.Module, backend: Backend) -> None:
    """Run `model` as `backend` makes it from now on."""
    vars(model)[private.CALL_SLOT] = Captured(model, backend)


def captured(model: nn.Module) -> Captured | None:
    """What runs in place of the model's own call, if that is tconv's."""
    found = vars(model).get(private.CALL_SLOT)
    return found if isinstance(found, Captured) else None


def release(model: nn.Module) -> None:
    """Run `model` and its parts as they did before they were captured."""
    for module in model.modules():
        found = captured(module)
        if found is not None and found.before is not None:
            vars(module)[private.CALL_SLOT] = found.before
        elif found is not None:
            del vars(module)[private.CALL_SLOT]
