"""A model in an ONNX file as a module that runs on tconv's engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tconv import nn
from tconv.names import shown
from tconv.onnx.examples import example_for
from tconv.onnx.importing.program import imported
from tconv.onnx.model import OnnxModel, as_torch
from tconv.onnx.reading import Source, read_model, with_known_opset


def load(
    source: Source,
    *,
    accelerate: bool = True,
    example: Any = None,
    winograd: bool = True,
    tolerance: float = 1e-3,
    seconds: float = 30.0,
) -> OnnxModel:
    """A model that was exported to ONNX as a PyTorch module, with NumPy arrays or tensors in and out.

    Its convolutions, norms and linear layers are PyTorch's, called as in the exported model where the file keeps the
    names; so `tconv.nn.accelerate` folds and measures it as it would that model, and `tconv.nn.report(model)` tells
    what came of it. All that PyTorch can do with a module, this one can: half precision, hooks, training after
    `requires_grad_()`. It computes on the CPU. No input is written to.

    Args:
        source: a file, its bytes, or an onnx.ModelProto. Weights outside the file are read with it. Models of an opset
            below 11 are converted first.
        accelerate: fold the model and keep what is measured to be faster, as `tconv.nn.accelerate` does.
        example: what to measure with: an array, several in the order of the inputs, or a dict by name. Default: random
            numbers of the shapes in the file; needed where it leaves a size open, or an input takes whole numbers.
        winograd, tolerance, seconds: as for `tconv.nn.accelerate`; defaults yes, 1e-3 and 30.

    Returns:
        The module; `model(array)` or `model(**{name: array})` gives an array, or a tuple of several in their order.

    Raises:
        UnsupportedOperatorError: it holds operators that are not computed here; all are named, and nothing has run.
        OnnxError: it is no valid ONNX model; or an example is needed, or does not fit.
        ValueError: a limit is not positive.
        OSError: the file cannot be read.

    Source: the operators' specification of ONNX, opset 11 and later; the tests hold each to its published examples.
    """
    model = with_known_opset(read_model(source))
    name = shown(source) if isinstance(source, str | Path) else "the model"
    module = imported(model, name)
    if accelerate:
        arrays = example_for(module.inputs, example)
        tensors = tuple(as_torch(array) for array in arrays.values())
        nn.accelerate(module, (tensors, {}), winograd=winograd, tolerance=tolerance, seconds=seconds)
    return module
