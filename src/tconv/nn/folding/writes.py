"""Which memory the nodes of a graph write: alias analysis for folds, which move reads from one place to another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from tconv.nn.private import DispatchMode, example_of, without_memory

INPUTS = 0  # stands for the memory of all inputs of a graph, any of which may share it with any other


class Writes:
    """The memory that each node of a graph reads from and writes to, told by running it on tensors without memory.

    Tensors without memory share storages and version counters as real ones do: what a node wrote, in place, through a
    view, into an `out`, or in a custom operator, has another version afterwards, or is written to by the schema of an
    operator that ran meanwhile, as in `torch._foreach_mul_`. No list of operators is needed.

    Raises:
        Exception: of any kind, if the graph cannot be run so.
    """

    def __init__(self, module: GraphModule):
        self._order = {node: number for number, node in enumerate(module.graph.nodes)}
        self._memory: dict[Node, set[int]] = {}
        self._written: dict[Node, set[int]] = {}
        self._inputs: set[int] = set()
        examples = [example_of(n) for n in module.graph.nodes if n.op == "placeholder"]
        with without_memory(examples):
            _Watching(module, self).run(*[e.detach() if isinstance(e, Tensor) else e for e in examples])

    def interfere(self, first: Node, last: Node, own: Iterable[Node], read: Iterable[Node]) -> bool:
        """Whether, from `first` to `last`, a node other than `own` writes to the memory of what is `read`."""
        mine = set(own)
        between = [n for n, at in self._order.items() if self._order[first] < at < self._order[last] and n not in mine]
        memory = set().union(*(self._memory.get(node, {INPUTS}) for node in read))
        return any(self._written.get(node, set()) & memory for node in between)

    def alone(self, node: Node) -> bool:
        """Whether the memory of a node's result is no other node's, and no input's."""
        memory = self._memory.get(node, {INPUTS})
        others = (held for other, held in self._memory.items() if other is not node)
        return INPUTS not in memory and not any(memory & held for held in others)

    def stand_in(self, new: Node, old: Node) -> None:
        """Let a new node read and write what an old one did, at its place."""
        self._order[new] = self._order[old]
        self._memory[new] = self._memory[old]
        self._written[new] = self._written[old]

    def note(self, node: Node, inputs: list[tuple[Tensor, int]], written: Iterable[Tensor], result: Any) -> None:
        """What `node` made of its inputs, whose versions before are given; `written` by schemas of operators."""
        if node.op == "placeholder":
            self._inputs |= {_storage(t) for t in _tensors(result)}
        self._memory[node] = {self._name(t) for t in _tensors(result)}
        changed = [t for t, version in inputs if t._version != version]
        self._written[node] = {self._name(t) for t in (*changed, *written)} & {self._name(t) for t, _ in inputs}

    def _name(self, tensor: Tensor) -> int:
        storage = _storage(tensor)
        return INPUTS if storage in self._inputs else storage


class _Watching(torch.fx.Interpreter):
    def __init__(self, module: GraphModule, writes: Writes):
        super().__init__(module, garbage_collect_values=False)  # a storage that is gone could give another its place
        self._writes = writes

    def run_node(self, n: Node) -> Any:
        inputs = [(t, t._version) for t in _tensors(self.map_nodes_to_values((n.args, n.kwargs), n))]
        with _Written() as schemas:
            result = super().run_node(n)
        self._writes.note(n, inputs, schemas.tensors, result)
        return result


class _Written(DispatchMode):
    """Collects the tensors that operators write to, by what their schemas say."""

    def __init__(self) -> None:
        begin: Any = super().__init__  # untyped
        begin()
        self.tensors: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for place, argument in enumerate(func._schema.arguments):
            if argument.is_write:
                self.tensors += _tensors(args[place] if place < len(args) else kwargs.get(argument.name))
        return func(*args, **kwargs)


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(values) if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
