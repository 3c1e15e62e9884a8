"""Folds in a captured graph: finds the chains and puts one node in the place of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from tconv.nn.comparison import HALF
from tconv.nn.engine import PLAIN, Engine, engine_for
from tconv.nn.folding.cat import CatInto
from tconv.nn.folding.chain import Folded
from tconv.nn.folding.extract import Origin, is_pure, origin_of
from tconv.nn.folding.laws import NoFoldError
from tconv.nn.folding.layout import FOLD, is_free, lies_last, may_lie_last, memory_format
from tconv.nn.folding.norm import FoldedNorm
from tconv.nn.folding.parts import (
    Activation,
    BatchNorm,
    Convolution,
    GroupNorm,
    Nearest,
    Parametric,
    Shuffle,
    Step,
    TransposedConvolution,
    is_by_one,
    is_cat,
    is_identity,
    read,
)
from tconv.nn.folding.split import FoldedSplit
from tconv.nn.folding.trial import Fold
from tconv.nn.folding.writes import Writes
from tconv.nn.private import example_of, hint


@dataclass
class Folding:
    """What is wanted of the folds in a graph, and what came of it.

    Attributes:
        name: how a node is called, by the module that made it.
        wanted: whether a convolution may be folded, by its node.
        winograd: whether Winograd's algorithm may be used; see `tconv.prepare`.
        alone: try every single convolution of stride 1 on the engine, not only those that gain by a rule.
        last: let results of one axis lie channels-last where nobody can tell.
        autocast: the types of devices on which autocast was on when the graph was captured, and is when it runs.
        folds: what was folded, by name.
        skipped: what was not folded, with the reason.
    """

    name: Callable[[Node], str] = lambda node: node.name
    wanted: Callable[[Node], bool] = lambda node: True
    winograd: bool = True
    alone: bool = False
    last: bool = False
    autocast: tuple[str, ...] = ()
    folds: dict[str, Fold] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    _met: Counter[str] = field(default_factory=Counter)

    def title(self, steps: Sequence[Step]) -> str:
        """The names of some steps, each without the part that it has in common with the first."""
        first, *others = (self.name(step.node) for step in steps)
        parent = first.rpartition(".")[0] + "."
        return " + ".join([first, *(name.removeprefix(parent) for name in others)])

    def add(self, name: str, fold: Fold) -> str:
        """Note a fold, numbered from the second of its name on: a layer that is called twice folds twice."""
        self._met[name] += 1
        fold.name = name if self._met[name] == 1 else f"{name} ({self._met[name]})"
        self.folds[fold.name] = fold
        return f"{FOLD}{len(self.folds)}"


class Graph:
    """A captured graph that is being folded.

    Args:
        module: the graph, which is changed.
        inputs: what it is called with first.
        folding: see there.
    """

    def __init__(self, module: GraphModule, inputs: Sequence[Any], folding: Folding):
        self._module = module
        self._nodes = module.graph
        self._folding = folding
        self._values = dict(zip((n for n in self._nodes.nodes if n.op == "placeholder"), inputs, strict=True))
        self._erased: set[Node] = set()

    def fold(self) -> None:
        """Fold all that folds."""
        steps = {n: step for n in self._nodes.nodes if (step := read(n)) is not None}
        if not any(isinstance(s.part, Convolution | TransposedConvolution | GroupNorm) for s in steps.values()):
            return
        self._leave_out([n for n in self._nodes.nodes if is_identity(n)])
        try:
            self._writes = Writes(self._module)
        except Exception as error:  # of operators that cannot run without memory: of anybody, hence anything
            self._folding.skipped.append(("graph", f"what it writes cannot be told: {_first_line(error)}"))
            return
        self._leave_out([n for n in self._nodes.nodes if is_by_one(n) and self._is_read_once(n.all_input_nodes[0])])
        # A norm looks at what reads its result, which is folded by then if the last are looked at first.
        for find in (self._split_at, self._chain_from, self._lay_out, self._cat_at, self._norm_at):
            for node in reversed(list(self._nodes.nodes)) if find == self._norm_at else list(self._nodes.nodes):
                if node not in self._erased:
                    find(node)
        self._sweep()
        self._nodes.lint()
        self._module.recompile()

    def _is_read_once(self, node: Node) -> bool:
        """Whether only one other node reads the result of a node, which has memory of its own."""
        return len(node.users) == 1 and self._writes.alone(node)

    def _sweep(self) -> None:
        """Leave out weights that nobody computes with any more."""
        for node in reversed(list(self._nodes.nodes)):
            if not node.users and is_pure(node):
                self._nodes.erase_node(node)

    def _leave_out(self, nodes: list[Node]) -> None:
        """Hand on the inputs of nodes that hand them on themselves."""
        for node in nodes:
            node.replace_all_uses_with(node.all_input_nodes[0])
            self._nodes.erase_node(node)
            self._erased.add(node)

    def _chain_from(self, node: Node) -> None:
        """Fold the longest chain that begins at `node`."""
        chain = self._longest(node)
        if chain and self._convolves_in_vain(chain) and not self._folding.alone:
            # PyTorch's own convolution takes up the norm, but not what follows.
            chain = [step for step in chain if not isinstance(step.part, Activation | Parametric)]
        names = self._folding.title(chain) if chain else ""
        while chain:
            try:
                folded, sources = self._folded(chain)
                break
            except NoFoldError as reason:
                if len(chain) > 1 and isinstance(chain[-1].part, Convolution | Shuffle | BatchNorm):
                    self._folding.skipped.append((names, str(reason)))
                chain = chain[:-1]
        if not chain or (len(chain) == 1 and not self._may_stand_alone(chain[0], folded)):
            return
        name = self._folding.add(self._folding.title(chain), folded)
        self._replace(name, folded, [step.node for step in chain], [chain[0].input, *sources])

    def _convolves_in_vain(self, chain: Sequence[Step]) -> bool:
        """Whether a chain is no more than a convolution of stride 1 with what follows it, which gains by measuring
        only on an engine that does not convolve by rule.
        """
        first = chain[0].part
        engine = engine_for(example_of(chain[0].input).device.type)
        alone = isinstance(first, Convolution) and set(first.stride) == {1}
        return alone and engine is not None and not engine.convolves and not any(type(s.part) is Shuffle for s in chain)

    def _longest(self, node: Node) -> list[Step]:
        """The longest run of steps that may be one layer by their kinds; their values and borders may say no yet."""
        step = read(node)
        if step is None or not self._may_begin(step):
            return []
        chain, kinds = [step], [type(step.part)]
        while len(node.users) == 1 and not {Activation, Parametric} & set(kinds):
            node = next(iter(node.users))
            step = read(node)
            if step is None or step.input is not chain[-1].node or chain[-1].node in step.tensors:
                break
            if type(step.part) not in _AFTER[_state(kinds)] or not self._fits(step):
                break
            chain.append(step)
            kinds.append(type(step.part))
        return chain if {Convolution, TransposedConvolution} & set(kinds) else []

    def _may_begin(self, step: Step) -> bool:
        return isinstance(step.part, Convolution | TransposedConvolution | Nearest) and self._fits(step)

    def _fits(self, step: Step) -> bool:
        """Whether an engine may take what a node reads and writes: plain tensors of one kind, in a batch."""
        x, y = example_of(step.input), example_of(step.node)
        tensors = [example_of(tensor) for tensor in step.tensors if tensor is not None]
        if not all(isinstance(t, Tensor) for t in (x, y, *tensors)):
            return False
        engine = engine_for(x.device.type)
        if engine is None or engine.refusal(x) is not None or y.requires_grad:
            return False
        if isinstance(step.part, GroupNorm) and not engine.normalises(x):
            return False
        ndim = getattr(step.part, "ndim", x.dim() - 2)
        if not 1 <= ndim == x.dim() - 2 or any(size == 0 for size in x.shape):
            return False
        weighed = isinstance(step.part, Convolution | TransposedConvolution)
        if weighed and not self._folding.wanted(step.node):
            return False
        return self._are_of_one_kind(step, x, y, tensors)

    def _are_of_one_kind(self, step: Step, x: Tensor, y: Tensor, tensors: list[Tensor]) -> bool:
        """Whether dtypes are those of one layer. What makes half precision may have parameters in single; under
        autocast a convolution may have its input so, too, and rounds them all first.
        """
        kinds = {y.dtype, torch.float32} if y.dtype in HALF else {y.dtype}
        rounds = x.device.type in self._folding.autocast and isinstance(step.part, Convolution | TransposedConvolution)
        return all(t.device == x.device and t.dtype in kinds for t in (x, y, *tensors)) and (
            rounds or x.dtype == y.dtype
        )

    def _folded(self, chain: list[Step]) -> tuple[Folded, list[Node]]:
        """The chain as one layer, and the nodes of its sources.

        Raises:
            NoFoldError: it is none; its weights are computed from more than parameters; somebody writes in between.
        """
        first, last = chain[0], chain[-1]
        engine, origin, values = self._origin(chain)
        if self._writes.interfere(first.node, last.node, [s.node for s in chain], [first.input, *origin.inputs]):
            raise NoFoldError("what it reads is written to in between")
        folded = Folded(self._folding.title(chain), chain, origin, values, engine, self._folding.winograd)
        folded.derivation.made(values)
        return folded, origin.inputs

    def _origin(self, chain: Sequence[Step]) -> tuple[Engine, Origin, tuple[Tensor, ...]]:
        """The engine for some steps, where their tensors come from, and what these are now."""
        engine = engine_for(example_of(chain[0].input).device.type)
        origin = origin_of(tensor for step in chain for tensor in step.tensors)
        if engine is None or origin is None:
            raise NoFoldError("its weights are computed from what is no parameter")
        values = tuple(self._values[node] for node in origin.inputs)
        if not all(type(value) in PLAIN for value in values):
            raise NoFoldError("its weights are no plain tensors")
        return engine, origin, values

    def _may_stand_alone(self, step: Step, folded: Folded) -> bool:
        """Whether a single step may be a fold: a transposed convolution, or a convolution of stride 1 that gains by
        Winograd's algorithm, or that is to be tried.
        """
        if isinstance(step.part, TransposedConvolution):
            return True
        if not isinstance(step.part, Convolution) or set(step.part.stride) != {1}:
            return False
        folded.by_rule = folded.by_winograd([hint(size) for size in example_of(step.input).shape])
        return folded.by_rule or (self._folding.alone and folded.engine.convolves)

    def _split_at(self, node: Node) -> None:
        """Fold a convolution of a `cat` that holds an upsampled map, with the norm and the activation after it."""
        found = is_cat(node)
        if found is None or len(node.users) != 1 or len(found[0]) < 2 or not self._alike(node, found[0]):
            return
        parts, dim = found
        steps = self._longest(next(iter(node.users)))
        read_parts = [(place, read(part)) for place, part in enumerate(parts) if len(part.users) == 1]
        ups = [(place, up) for place, up in read_parts if up and isinstance(up.part, Nearest) and self._fits(up)]
        if dim not in (1, 1 - example_of(node).dim()) or not ups or not steps or steps[0].input is not node:
            return
        steps = [s for s in steps if not isinstance(s.part, Shuffle)]
        conv = steps[0].part
        if not isinstance(conv, Convolution) or set(conv.stride) != {1} or conv.groups != 1:
            return
        (place, up), last = ups[0], steps[-1].node
        others = [part for n, part in enumerate(parts) if n != place]
        try:
            engine, origin, values = self._origin(steps)
            own = [up.node, node, *(step.node for step in steps)]
            if self._writes.interfere(up.node, last, own, [up.input, *others, *origin.inputs]):
                raise NoFoldError("what it reads is written to in between")
            title = self._folding.title([up, *steps])
            if not engine.convolves and not self._folding.alone:
                raise NoFoldError("on this device it may gain, which accelerate measures")
            fold = FoldedSplit(title, up, node, place, steps, origin, values, engine, self._folding.winograd)
            fold.derive(values)
            fold.by_rule = engine.convolves
        except NoFoldError as reason:
            self._folding.skipped.append((self._folding.title([up, *steps]), str(reason)))
            return
        self._replace(self._folding.add(title, fold), fold, own, [up.input, *others, *origin.inputs])

    def _lay_out(self, node: Node) -> None:
        """Choose the memory layout of what a fold makes, where that is wanted.

        Where PyTorch convolves between folds, it would lay signals out anew.
        """
        fold = self._module.get_submodule(str(node.target)) if node.op == "call_module" else None
        if not self._folding.last or not isinstance(fold, Folded | FoldedSplit) or not fold.engine.convolves:
            return
        fold.last = fold.last or may_lie_last(self._module, node)

    def _cat_at(self, node: Node) -> None:
        """Let the first part of a `cat` that a fold makes, and nobody else reads, be written into the result."""
        found = is_cat(node)
        if found is None:
            return
        parts, dim = found
        example = example_of(node)
        ndim = example.dim() if isinstance(example, Tensor) else 0
        if len(parts) < 2 or dim not in (1, 1 - ndim) or not self._alike(node, parts):
            return
        for place, part in enumerate(parts):
            folded = self._writer(part, node)
            if folded is None:
                continue
            last = lies_last(node) or (folded.last and is_free(self._module, node))
            fold = CatInto(f"cat + {folded.name}", folded, place, last)
            name = self._folding.add(fold.name, fold)
            others = [other for n, other in enumerate(parts) if n != place]
            self._replace(name, fold, [part, node], [*part.args, *others])
            return

    def _norm_at(self, node: Node) -> None:
        """Fold a norm over groups of channels, with the activation after it."""
        step = read(node)
        if step is None or not isinstance(step.part, GroupNorm) or not self._fits(step):
            return
        chain = [step]
        if len(node.users) == 1:
            user = next(iter(node.users))
            following = read(user)
            if (
                following is not None
                and following.input is node
                and isinstance(following.part, Activation | Parametric)
            ):
                chain += [following] * self._fits(following)
        origin = origin_of(tensor for step in chain for tensor in step.tensors)
        engine = engine_for(example_of(step.input).device.type)
        last = chain[-1].node
        if origin is None or engine is None:
            return
        if self._writes.interfere(node, last, [last], [step.input, *origin.inputs]):
            return
        # A group norm passes channels-last on; PyTorch 2.14 traces its result as channels-first all the same.
        spoken = step.input if step.part.groups and lies_last(step.input) else last
        layout = None if is_free(self._module, last) else memory_format(spoken)
        fold = FoldedNorm(self._folding.title(chain), chain, origin, engine, layout)
        self._replace(self._folding.add(fold.name, fold), fold, [s.node for s in chain], [step.input, *origin.inputs])

    def _alike(self, node: Node, parts: list[Node]) -> bool:
        examples = [example_of(part) for part in (node, *parts)]
        kinds = {(e.dim(), e.dtype, e.device, e.requires_grad) for e in examples if isinstance(e, Tensor)}
        return len(kinds) == 1 and not examples[0].requires_grad

    def _writer(self, part: Node, cat: Node) -> Folded | None:
        """The fold that a node runs, if it may run as late as `cat` does."""
        folded = self._module.get_submodule(str(part.target)) if part.op == "call_module" else None
        if not isinstance(folded, Folded) or not folded.may_write_into or len(part.users) != 1:
            return None
        return None if self._writes.interfere(part, cat, [], part.all_input_nodes) else folded

    def _replace(self, name: str, fold: Fold, nodes: list[Node], arguments: list[Any]) -> None:
        """One node in the place of several, the last of which gives the result."""
        self._module.add_submodule(name, fold)
        with self._nodes.inserting_after(nodes[-1]):
            new = self._nodes.call_module(name, tuple(arguments))
        new.meta = dict(nodes[-1].meta)
        nodes[-1].replace_all_uses_with(new)
        for old in reversed(nodes):
            self._nodes.erase_node(old)
        self._erased.update(nodes)
        self._writes.stand_in(new, nodes[-1])


# What may follow in a chain, by what it has come to.
_AFTER: dict[str, tuple[type, ...]] = {
    "upsampled": (Convolution,),
    "convolved": (BatchNorm, Shuffle, Activation, Parametric),
    "transposed": (BatchNorm, Convolution, Activation, Parametric),
    "shuffled": (BatchNorm, Activation, Parametric),
}


def _state(kinds: Sequence[type]) -> str:
    if Shuffle in kinds:
        return "shuffled"
    if TransposedConvolution in kinds or (Nearest in kinds and Convolution in kinds):
        return "transposed"
    return "convolved" if Convolution in kinds else "upsampled"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
