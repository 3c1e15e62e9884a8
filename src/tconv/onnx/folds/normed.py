"""The fold of a batch norm into the convolution before it."""

from __future__ import annotations

from tconv.nn.folding.laws import Conv
from tconv.onnx.folds.chains import Chain, as_array
from tconv.onnx.folds.place import Candidate, Writer


def as_convolution(chain: Chain, place: str) -> Candidate | None:
    """A convolution and a batch norm as one convolution; None of any other chain."""
    layer = chain.layer
    if not isinstance(layer, Conv):
        return None
    writer = Writer("Conv", place, chain.nodes[0].input[0], chain.nodes[-1].output[0])
    constants = [writer.weight("weight", as_array(layer.weight, chain.weight))]
    if layer.bias is not None:
        constants.append(writer.weight("bias", as_array(layer.bias, chain.weight)))
    pads = [low for low, _ in layer.padding] + [high for _, high in layer.padding]
    writer.then(
        "Conv", *constants, kernel_shape=list(layer.weight.shape[2:]), strides=list(layer.stride), pads=pads,
        dilations=list(layer.dilation), group=layer.groups,
    )  # fmt: skip
    if chain.activation is not None:
        writer.copy(chain.activation)
    return writer.done()
