"""tconv as a backend of TorchDynamo: `torch.compile(model, backend="tconv")`.

TorchDynamo captures a model's forward as Python runs it, with guards on all that it depends on, and hands over graphs.
In these, what folds is folded; everything else runs as eager PyTorch, or is handed on to Inductor.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from torch import nn
from torch.fx import GraphModule, Node

from tconv.nn import private
from tconv.nn.folding.graph import Folding, Graph
from tconv.nn.folding.trial import Fold
from tconv.nn.inductor import compiled_around_folds

log = logging.getLogger("tconv")

Rest: TypeAlias = Literal["eager", "inductor"]
RESTS = ("eager", "inductor")


@dataclass
class Backend:
    """Folds the graphs that TorchDynamo captures, and knows what came of it.

    Attributes:
        winograd: whether Winograd's algorithm may be used; see `tconv.prepare`.
        rest: who runs what is not folded.
        wanted: whether a layer may be folded, by its name in the model and itself; default: all may.
        alone: try single convolutions of stride 1 on the engine, too, not only those that gain by a rule.
        last: let results of one axis lie channels-last in memory where nobody can tell.
        decided: whether a fold is used, by name, where that was measured; others are by their rule.
        graphs: how many graphs were captured.
        folds: all that was folded, by name; of a name that several graphs have, the latest.
        skipped: what was not folded, with the reason.
    """

    winograd: bool = True
    rest: Rest = "eager"
    wanted: Callable[[str, nn.Module], bool] | None = None
    alone: bool = False
    last: bool = False
    decided: dict[str, bool] = field(default_factory=dict)
    graphs: int = 0
    folds: dict[str, Fold] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    _modules: dict[str, tuple[str, nn.Module]] = field(default_factory=dict)

    def anew(self, last: bool = False) -> Backend:
        """A backend with the same settings, but for `last`, which has met nothing yet."""
        return Backend(self.winograd, self.rest, self.wanted, self.alone, last)

    def know(self, model: nn.Module) -> None:
        """Call what is captured by its names in `model`."""
        self._modules = {str(id(module)): (name, module) for name, module in model.named_modules()}

    @property
    def knows_names(self) -> bool:
        """Whether it was told what the layers are called."""
        return bool(self._modules)

    def __call__(self, module: GraphModule, inputs: Sequence[Any]) -> Callable[..., Any]:
        """What runs in place of a captured graph, which was called with `inputs` first."""
        self.graphs += 1
        autocast = private.autocasting()
        if autocast and (self.rest != "eager" or private.changes_autocast(module.graph)):
            log.info("graph %d: nothing is folded where autocast changes within, or Inductor compiles it", self.graphs)
            return self._runs(module)
        folding = Folding(self._name, self._wanted, self.winograd, self.alone, self.last, autocast)
        folded = _copied(module)
        Graph(folded, inputs, folding).fold()
        for name, fold in folding.folds.items():
            fold.wanted = self.decided.get(name, fold.by_rule)
            log.info("graph %d: folded %s", self.graphs, name)
        for name, reason in folding.skipped:
            log.info("graph %d: not folded: %s: %s", self.graphs, name, reason)
        self.folds |= folding.folds
        self.skipped |= dict(folding.skipped)
        if not folding.folds:
            return self._runs(module)
        as_written, run = _eager(module), self._runs(folded)

        def either(*args: Any) -> Any:
            # Modes, transforms and tracers are shown PyTorch's operators, which they know.
            return as_written(*args) if private.taken() or private.autocasting() != autocast else run(*args)

        return either

    def _runs(self, module: GraphModule) -> Callable[..., Any]:
        return _eager(module) if self.rest == "eager" else compiled_around_folds(_bare(module))

    def _name(self, node: Node) -> str:
        """A layer's name in the model; or that of the function, with the name of the module that calls it."""
        for key in reversed(private.module_ids(node)):
            if key in self._modules:
                name, module = self._modules[key]
                if type(module).__module__.startswith(("torch.nn.modules.", "torch.nn.utils.", "tconv.nn.")):
                    return name or type(module).__name__
                return f"{name}.{_called(node)}" if name else _called(node)
        return _called(node)

    def _wanted(self, node: Node) -> bool:
        if self.wanted is None:
            return True
        found = [self._modules[key] for key in private.module_ids(node) if key in self._modules]
        return not found or self.wanted(*found[-1])


def _called(node: Node) -> str:
    return str(getattr(node.target, "__name__", node.target)).removesuffix("_")


def _eager(module: GraphModule) -> Callable[..., Any]:
    run: Callable[..., Any] = _bare(module).forward
    return run


def _bare(module: GraphModule) -> GraphModule:
    """A copy without the nodes that a graph had before, and without what refers to its first inputs and the weights."""
    copied = _copied(module)
    for node in copied.graph.nodes:
        node.meta.clear()
    return copied


def _copied(module: GraphModule) -> GraphModule:
    graph = torch.fx.Graph()
    graph.output(graph.graph_copy(module.graph, {}))
    return GraphModule(module, graph)


def tconv(
    module: GraphModule, inputs: Sequence[Any], options: dict[str, Any] | None = None, mode: str | None = None
) -> Callable[..., Any]:
    """The backend that `torch.compile(model, backend="tconv")` finds by its name; importing tconv is not needed.

    Args:
        module, inputs: given by TorchDynamo.
        options: of torch.compile: `winograd` (default True; see `tconv.prepare`) and `rest` ("eager", the default, or
            "inductor": who runs what is not folded).
        mode: of torch.compile; there is none here.

    Raises:
        ValueError: an option or a mode is unknown.
    """
    given = options or {}
    unknown = given.keys() - {"winograd", "rest"}
    if unknown or mode not in (None, "default"):
        what = f"option {min(unknown)!r}" if unknown else f"mode {mode!r}"
        raise ValueError(f"{what} is unknown to the backend tconv; it takes the options 'winograd' and 'rest'")
    return Backend(checked_flag("winograd", given.get("winograd", True)), checked_rest(given.get("rest", "eager")))(
        module, inputs
    )


def checked_flag(name: str, value: object) -> bool:
    """A flag that is one."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} {value!r} must be True or False")
    return value


def checked_rest(value: Any) -> Rest:
    """Who runs what is not folded."""
    if value not in RESTS:
        raise ValueError(f"rest {value!r} is unknown; choose 'eager' or 'inductor'")
    rest: Rest = value
    return rest
