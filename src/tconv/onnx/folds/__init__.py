"""What in a graph may be computed in another way, exactly: places, and the candidates for each.

A fold is a file with one function from a chain to a candidate; `places` asks them all.
"""

from __future__ import annotations

from tconv.onnx.folds.chains import chain_from
from tconv.onnx.folds.normed import as_convolution
from tconv.onnx.folds.phases import as_phases
from tconv.onnx.folds.place import Candidate, Place
from tconv.onnx.folds.transposed import as_transposed
from tconv.onnx.graph import Graph
from tconv.onnx.reading import title

__all__ = ["Candidate", "Place", "places"]


def places(graph: Graph) -> list[Place]:
    """All places of a graph that something else could compute, in its order; no node is in two of them."""
    found: list[Place] = []
    taken: set[str] = set()
    names = {name for node in graph.nodes for name in (*node.input, *node.output)} | set(graph.constants)
    for node in graph.nodes:
        chain = None if not node.output or node.output[0] in taken else chain_from(graph, node)
        if chain is None:
            continue
        prefix = f"tconv_{len(found)}"
        while any(name.startswith(f"{prefix}.") for name in names):
            prefix += "_"
        shape = graph.shape(chain.nodes[0].input[0])
        sizes = None if shape is None else tuple(size for size in shape[2:] if size is not None)
        known = sizes if shape is not None and sizes is not None and len(sizes) == len(shape) - 2 else None
        candidates = [as_transposed(chain, f"{prefix}.whole"), as_convolution(chain, f"{prefix}.normed")]
        candidates += list(as_phases(chain, prefix, known))
        fitting = tuple(each for each in candidates if each is not None)
        if fitting:
            found.append(Place(title(chain.conv), chain.nodes, fitting))
            taken |= {each.output[0] for each in chain.nodes}
    return found
