"""Folds in a traced model: finds the chains and puts one node in the place of each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from inspect import Parameter, signature
from operator import attrgetter
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node, Tracer

from tconv.nn.comparison import evaluating
from tconv.nn.folding.cat import CatInto
from tconv.nn.folding.chain import Folded
from tconv.nn.folding.forward import FoldedForward, hooked
from tconv.nn.folding.laws import NoFoldError
from tconv.nn.folding.parts import TRANSPOSED, Nearest, Shuffle, Step, read
from tconv.nn.folding.snapshot import Snapshot

Fold: TypeAlias = Folded | CatInto


@dataclass
class Folding:
    """What is wanted of the folding of a model, and what came of it.

    Attributes:
        keep: says of each fold, by its name and what is folded, whether it is wanted.
        winograd: whether Winograd's algorithm may be used; see `tconv.prepare`.
        folds: by the names of the model's parts.
        skipped: what was not folded, with the reason.
        met: how often each name was met.
    """

    keep: Callable[[str, Folded], bool] = lambda name, folded: True
    winograd: bool = True
    folds: dict[str, Fold] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)

    def name(self, name: str) -> str:
        """`name`, numbered from its second use on: a layer that is called twice folds twice."""
        self.met[name] += 1
        return name if self.met[name] == 1 else f"{name} ({self.met[name]})"


class _Tracer(Tracer):
    """Remembers the modules that it traces through; one with hooks is called as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.through: list[nn.Module] = []

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if is_leaf(m, module_qualified_name) or hooked(m):
            return True
        self.through.append(m)
        return False


def is_leaf(module: nn.Module, name: str) -> bool:
    return type(module) in TRANSPOSED or Tracer().is_leaf_module(module, name)


def fold_graphs(model: nn.Module, folding: Folding, prefix: str = "") -> None:
    """Fold `model` if it can be traced, else its children."""
    if next(model.children(), None) is None or isinstance(vars(model).get("forward"), FoldedForward):
        return
    tracer = _Tracer()
    try:
        arguments = _arguments(model)
        graph, constants = _traced(model, tracer)
    except Exception as error:  # tracing runs the model's own code, which may raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        folding.skipped.append((prefix.removesuffix(".") or type(model).__name__, f"cannot be traced: {reason}"))
        for name, child in model.named_children():
            fold_graphs(child, folding, f"{prefix}{name}.")
        return
    folds = dict(_fold_chains(graph, model, folding, prefix))
    folds |= dict(_fold_cats(graph, model, folds, folding, prefix))
    targets = {str(node.target): node.op for node in graph.nodes if node.op in ("call_module", "get_attr")}
    for name in targets.keys() - folds.keys() - constants.keys():
        child = attrgetter(name)(model)
        if targets[name] == "call_module" and not is_leaf(child, name):  # it has hooks, and is called as it is
            fold_graphs(child, folding, f"{prefix}{name}.")
    if folds:
        known: dict[str, Any] = {**folds, **constants}
        parts = {name: known[name] if name in known else attrgetter(name)(model) for name in targets}
        absorbed = [m for fold in folds.values() for m in _folded(fold).absorbed]
        inside = [m for m in (*tracer.through, *absorbed) if m is not model]
        FoldedForward(model, GraphModule(parts, graph), inside, arguments)


def _traced(model: nn.Module, tracer: Tracer) -> tuple[Graph, dict[str, Tensor]]:
    """The graph of the model in evaluation mode, and the tensors that its forward makes, by their names in the graph.

    Tracing runs the forward once, whose own values the graph then has as constants.

    Raises:
        TypeError: the next run would have others.
    """
    drawn = torch.get_rng_state(), random.getstate()
    with evaluating(model):
        before = Snapshot(model.modules())
        own = set(vars(model))
        try:
            graph = tracer.trace(model)
            made = [name for name in vars(model) if name not in own and name.startswith("_tensor_constant")]
            constants = {name: vars(model).pop(name) for name in made}
            changed = before.change()
            drew = not torch.equal(drawn[0], torch.get_rng_state()) or drawn[1] != random.getstate()
        finally:
            before.restore()
            torch.set_rng_state(drawn[0])
            random.setstate(drawn[1])
    if changed is not None:
        raise TypeError(f"its forward changes the attribute {changed!r}")
    if drew:
        raise TypeError("its forward draws random numbers")
    return graph, constants


def _folded(fold: Fold) -> Folded:
    return fold.folded if isinstance(fold, CatInto) else fold


def _arguments(model: nn.Module) -> int:
    """The number of arguments of the model's forward, if all of them are needed."""
    if "forward" in vars(model):
        raise TypeError("its forward is an attribute of the instance")
    _, *parameters = signature(type(model).forward).parameters.values()
    if any(p.kind is not Parameter.POSITIONAL_OR_KEYWORD or p.default is not Parameter.empty for p in parameters):
        raise TypeError("its forward has optional arguments, on which it may depend")
    return len(parameters)


def _fold_chains(graph: Graph, model: nn.Module, folding: Folding, prefix: str) -> Iterator[tuple[str, Fold]]:
    """Replace each chain by one node; yields the folds by their names in the graph."""
    erased: set[Node] = set()
    for node in list(graph.nodes):
        folded, nodes = (None, []) if node in erased else _longest(node, model, folding, prefix)
        if folded is None or not folding.keep(title := folding.name(prefix + folded.name), folded):
            continue
        name = f"_folded_{len(folding.folds)}"
        folding.folds[title] = folded
        with graph.inserting_after(nodes[-1]):
            new = graph.call_module(name, (nodes[0].args[0],))
        nodes[-1].replace_all_uses_with(new)
        for old in reversed(nodes):
            graph.erase_node(old)
        erased.update(nodes)
        yield name, folded


def _longest(node: Node, model: nn.Module, folding: Folding, prefix: str) -> tuple[Folded | None, list[Node]]:
    """The longest fold that begins at `node`, and its nodes."""
    steps: list[Step] = []
    nodes: list[Node] = []
    best: tuple[Folded | None, list[Node]] = (None, [])
    while (step := read(node, model)) is not None:
        if step.module is not None and hooked(step.module):
            break
        steps.append(step)
        nodes.append(node)
        if len(steps) == 1 and not isinstance(step.part, Nearest | nn.Module):
            break
        try:
            folded = Folded(steps, folding.winograd)
            if len(steps) > 1 or folded.gains_alone():
                best = folded, list(nodes)
        except NoFoldError as reason:
            if len(steps) > 1:
                if len(best[1]) < 2 and isinstance(step.part, nn.Module | Shuffle):  # somebody may have expected it
                    folding.skipped.append((prefix + " + ".join(s.name for s in steps), str(reason)))
                break
        if len(node.users) != 1:
            break
        node = next(iter(node.users))
    return best


def _fold_cats(
    graph: Graph,
    model: nn.Module,
    folds: dict[str, Fold],
    folding: Folding,
    prefix: str,
) -> Iterator[tuple[str, Fold]]:
    """Let a transposed convolution whose only use is a cat along the channels write into its part."""
    for node in [n for n in graph.nodes if n.op == "call_function" and n.target is torch.cat]:
        parts, dim = node.args[0], (*node.args[1:], *node.kwargs.values())
        if not isinstance(parts, list | tuple) or dim != (1,) or len(parts) < 2:
            continue
        for place, up in enumerate(parts):
            folded = _writer(up, model, folds, folding)
            if folded is None or not folding.keep(title := folding.name(f"{prefix}cat + {folded.name}"), folded):
                continue
            fold = CatInto(folded, place)
            name = f"_folded_{len(folding.folds)}"
            folding.folds[title] = fold
            others = [part for n, part in enumerate(parts) if n != place]
            with graph.inserting_after(node):
                new = graph.call_module(name, (up.args[0], *others))
            node.replace_all_uses_with(new)
            graph.erase_node(node)
            graph.erase_node(up)
            yield name, fold
            break


def _writer(up: object, model: nn.Module, folds: dict[str, Fold], folding: Folding) -> Folded | None:
    """The fold, or the transposed convolution as a fold of one step, that a node runs; None if it is neither."""
    if not isinstance(up, Node) or up.op != "call_module" or len(up.users) != 1:
        return None
    found = folds.get(str(up.target))
    if found is None:
        step = read(up, model)
        if step is None or step.module is None or type(step.module) not in TRANSPOSED or hooked(step.module):
            return None
        try:
            found = Folded([step], folding.winograd)
        except NoFoldError:
            return None
    return found if isinstance(found, Folded) and found.layer_into() is not None else None
