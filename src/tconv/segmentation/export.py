"""A trained model for other runtimes: torch.export and ONNX, in standard operators, compared with the model itself."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tconv import errors
from tconv.outputs import wholly

CLOSE = 1e-4  # relative to the largest score


def export_torch(model: nn.Module, example: Tensor, path: str | Path) -> float:
    """Write a `torch.export` program (.pt2) that runs without tconv, and run it beside the model.

    Args:
        model: any; exported in evaluation mode.
        example: an input of the size to export for, (batch, channels, *size).
        path: ends in .pt2.

    Returns:
        The largest difference of scores between the program and the model, relative to the largest score.

    Raises:
        TconvError: the program differs by more than 1e-4.
        ImageFileError: the file cannot be written.
    """
    model = model.eval()
    written = BytesIO()  # PyTorch's own writer ends the process where the disk is full
    with torch.no_grad(), wholly(path) as part:
        torch.export.save(_program(model, example), written)
        part.write_bytes(written.getbuffer())
        found = torch.export.load(part).module()(example)
        return _agree(model(example).numpy(), found.numpy(), path)


def export_onnx(model: nn.Module, example: Tensor, path: str | Path) -> float:
    """Write an ONNX model of standard operators, and run it in ONNX Runtime beside the model.

    Arguments, result and errors as `export_torch`, with a path that ends in .onnx. Needs onnx, onnxscript and
    onnxruntime.
    """
    import onnxruntime

    model = model.eval()
    with torch.no_grad(), wholly(path) as part:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what PyTorch says about its own exporter
            made: Any = torch.onnx.export(_program(model, example), (), dynamo=True, verbose=False)
        made.save(part, external_data=False)
        session = onnxruntime.InferenceSession(part.read_bytes(), providers=["CPUExecutionProvider"])
        found = session.run(None, {session.get_inputs()[0].name: example.numpy()})[0]
        return _agree(model(example).numpy(), np.asarray(found), path)


def _program(model: nn.Module, example: Tensor) -> Any:
    return torch.export.export(model, (example,), strict=False)


def _agree(expected: Any, found: Any, path: str | Path) -> float:
    difference = float(np.abs(expected - found).max() / max(np.abs(expected).max(), 1e-30))
    if not difference <= CLOSE:
        raise errors.TconvError(f"{path}: the exported model differs from the model by {difference:.1e} of its scores")
    return difference
