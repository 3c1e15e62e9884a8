"""Inputs to try a model with: given by the user, or made from the shapes that the file declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from tconv import errors
from tconv.onnx.model import Port, check_shape

Array: TypeAlias = np.ndarray[Any, Any]


CURE = "as in example={'NAME': array}"


def example_for(inputs: Sequence[Port], given: Any = None, cure: str = CURE) -> dict[str, Array]:
    """An array for each input, by name.

    Args:
        inputs: of the model.
        given: an array; several in the inputs' order; or a dict of arrays by name. Default: normal random numbers of
            the shapes that the file declares.
        cure: how an example is given, for messages; NAME stands for the input's.

    Raises:
        OnnxError: an input is missing, unknown or of another shape or dtype; or nothing is given, and the file leaves
            a size open or takes whole numbers, whose range nobody knows.
    """
    if given is None:
        rng = np.random.default_rng(0)
        return {port.name: _made(port, rng, f"give an example, {cure.replace('NAME', port.name)}") for port in inputs}
    named = _named(inputs, given)
    return {port.name: _fitting(port, named[port.name]) for port in inputs}


def _made(port: Port, rng: np.random.Generator, cure: str) -> Array:
    if port.shape is None:
        raise errors.OnnxError(f"input {port.name!r} may have any shape; {cure}")
    for axis, size in enumerate(port.shape):
        if isinstance(size, str):
            raise errors.OnnxError(f"axis {axis} of input {port} has no fixed size; {cure}")
    if not port.dtype.is_floating_point:
        raise errors.OnnxError(f"input {port} takes whole numbers, and the file does not say which; {cure}")
    return rng.standard_normal([int(size) for size in port.shape]).astype(_numpy(port.dtype))


def _named(inputs: Sequence[Port], given: Any) -> dict[str, Any]:
    listed = ", ".join(map(str, inputs)) or "none"
    if isinstance(given, Mapping):
        named = dict(given)
    else:
        several = list(given) if isinstance(given, list | tuple) else [given]
        if len(several) != len(inputs):
            raise errors.OnnxError(f"the example has {len(several)} arrays for {len(inputs)} inputs: {listed}")
        named = {port.name: each for port, each in zip(inputs, several, strict=True)}
    names = {port.name for port in inputs}
    for name in [*(n for n in named if n not in names), *(n for n in sorted(names) if n not in named)]:
        what = "is missing in the example" if name in names else "is no input of the model"
        raise errors.OnnxError(f"{name!r} {what}; its inputs are {listed}")
    return named


def _fitting(port: Port, value: Any) -> Array:
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    dtype = _numpy(port.dtype)
    if array.dtype != dtype:
        raise errors.OnnxError(f"input {port.name!r} has dtype {array.dtype.name}, and the model takes {dtype.name}")
    check_shape(port, array.shape)
    return array


def _numpy(dtype: torch.dtype) -> np.dtype[Any]:
    """NumPy's dtype of the same name."""
    if dtype == torch.bfloat16:
        import ml_dtypes

        half: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return half
    return np.dtype(str(dtype).removeprefix("torch."))
