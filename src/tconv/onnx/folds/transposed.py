"""The fold of a chain into one ConvTranspose."""

from __future__ import annotations

from tconv import errors
from tconv.dialects import to_onnx
from tconv.nn.folding.laws import Transposed
from tconv.onnx.folds.chains import Chain, as_array
from tconv.onnx.folds.place import Candidate, Writer


def as_transposed(chain: Chain, place: str) -> Candidate | None:
    """The chain as a ConvTranspose and its activation; None where it is one, or ONNX has no words for its crop."""
    layer, linear = chain.layer, len(chain.nodes) - (chain.activation is not None)
    is_one = chain.first == "ConvTranspose" and linear == 1
    if is_one or not isinstance(layer, Transposed) or layer.phase_bias is not None:
        return None
    try:
        attributes = to_onnx(layer.geometry)
    except errors.DialectError:
        return None
    writer = Writer("ConvTranspose", place, chain.nodes[0].input[0], chain.nodes[-1].output[0])
    constants = [writer.weight("weight", as_array(layer.weight, chain.weight))]
    if layer.bias is not None:
        constants.append(writer.weight("bias", as_array(layer.bias, chain.weight)))
    writer.then("ConvTranspose", *constants, group=layer.groups, **attributes)
    if chain.activation is not None:
        writer.copy(chain.activation)
    return writer.done()
