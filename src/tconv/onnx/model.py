"""An ONNX model as a PyTorch module: called with arrays it gives arrays, called with tensors it gives tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from tconv import errors
from tconv.onnx.importing.table import namespace

Size: TypeAlias = "int | str"  # a number, or the name of one that is left open

NAMESPACE = namespace()


@dataclass(frozen=True)
class Port:
    """An input or an output of a model.

    Attributes:
        name: in the file.
        dtype: of its elements.
        shape: the sizes of its axes, as a name where the file leaves one open ("?" without a name); None: any shape.
    """

    name: str
    dtype: torch.dtype
    shape: tuple[Size, ...] | None

    def __str__(self) -> str:
        sizes = "any shape" if self.shape is None else " x ".join(map(str, self.shape)) or "one number"
        return f"{self.name!r} ({sizes}, {str(self.dtype).removeprefix('torch.')})"


class OnnxModel(nn.Module):
    """A model that was read from an ONNX file.

    Attributes:
        inputs, outputs: what it takes and gives, in order.
        code: the Python that runs, a line for each operator.

    Its layers and weights are called as in the exported model where the file keeps these names, so that a state_dict of
    that model fits. Parameters need no gradients until `requires_grad_()` says so.
    """

    def __init__(self, inputs: tuple[Port, ...], outputs: tuple[Port, ...]):
        super().__init__()
        self.inputs = inputs
        self.outputs = outputs
        self.code = ""

    def runs(self, code: str) -> None:
        """Let the model run this code: a function `run` of the model and the inputs."""
        self.code = code
        found: dict[str, Any] = {}
        exec(compile(code, "<tconv.onnx>", "exec"), NAMESPACE, found)
        self._run: Callable[..., Any] = found["run"]

    def forward(self, *inputs: Tensor) -> Any:
        """The outputs for tensors: the one that there is, or a tuple."""
        return self._run(self, *inputs)

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """The outputs: one array, or a tuple of several in the file's order; tensors, if the inputs are tensors.

        Args:
            arrays: the inputs in the order of `inputs`, NumPy arrays or tensors.
            named: inputs by their names, where those are words; all of them are taken from `**{name: array}`.

        Raises:
            OnnxError: an input is missing, unknown, or not of the file's dtype, rank or size.
        """
        given = self._ordered(arrays, named) if named or len(arrays) != len(self.inputs) else arrays
        if all(isinstance(each, Tensor) for each in given):
            return super().__call__(*given)
        tensors = [_tensor(port, value) for port, value in zip(self.inputs, given, strict=True)]
        with torch.no_grad():
            found = super().__call__(*tensors)
        return tuple(_array(y, tensors) for y in found) if isinstance(found, tuple) else _array(found, tensors)

    def _ordered(self, arrays: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
        """The inputs in the file's order."""
        listed = ", ".join(map(str, self.inputs)) or "none"
        names = [port.name for port in self.inputs]
        if len(arrays) > len(names):
            raise errors.OnnxError(f"the model takes {len(names)} inputs, not {len(arrays)}: {listed}")
        given = dict(zip(names, arrays, strict=False))
        for name, array in named.items():
            if name not in names:
                raise errors.OnnxError(f"the model has no input {name!r}; its inputs are {listed}")
            if name in given:
                raise errors.OnnxError(f"input {name!r} is given twice, by its place and by its name; give it once")
            given[name] = array
        for name in names:
            if name not in given:
                raise errors.OnnxError(f"input {name!r} is missing; the inputs are {listed}")
        return tuple(given[name] for name in names)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = nn.Module.__getstate__(self)
        return {name: value for name, value in state.items() if name != "_run"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        nn.Module.__setstate__(self, state)
        self.runs(self.code)

    def extra_repr(self) -> str:
        """The inputs and outputs."""
        return f"inputs: {', '.join(map(str, self.inputs))}\noutputs: {', '.join(map(str, self.outputs))}"


def _tensor(port: Port, value: Any) -> Tensor:
    """An array as a tensor on the same memory, which nothing writes to; refused where the model takes another kind."""
    if isinstance(value, Tensor):
        return value
    array = np.asarray(value)
    dtype = str(port.dtype).removeprefix("torch.")
    if array.dtype.name != dtype:
        how = f"numpy.asarray(x, {'dtype=ml_dtypes.bfloat16' if dtype == 'bfloat16' else f'numpy.{dtype}'})"
        raise errors.OnnxError(f"input {port.name!r} has dtype {array.dtype.name}, and the model takes {dtype}: {how}")
    check_shape(port, array.shape)
    return as_torch(array, copy=not array.flags.writeable)


def as_torch(array: np.ndarray[Any, Any], copy: bool = True) -> Tensor:
    """An array as a tensor: a copy, or on the same memory where PyTorch can use it as it lies."""
    if copy or not array.flags.c_contiguous or not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="), order="C", copy=True)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def check_shape(port: Port, shape: tuple[int, ...]) -> None:
    """Refuse a shape that the file does not allow for an input.

    Raises:
        OnnxError: another number of axes, or another size on an axis whose size the file fixes.
    """
    wanted = port.shape
    if wanted is None:
        return
    fits = len(shape) == len(wanted) and all(isinstance(w, str) or w == n for w, n in zip(wanted, shape, strict=True))
    if not fits:
        raise errors.OnnxError(f"input {port.name!r} has shape {shape}, and the model takes {port}")


def _array(y: Tensor, inputs: list[Tensor]) -> np.ndarray[Any, Any]:
    """A result as an array with memory of its own: no input's, no weight's, and no part of something larger."""
    memory = y.untyped_storage()
    shared = any(memory.data_ptr() == x.untyped_storage().data_ptr() for x in inputs)
    if shared or memory.nbytes() != y.numel() * y.element_size() or not y.is_contiguous():
        y = y.clone(memory_format=torch.contiguous_format)
    if y.dtype == torch.bfloat16:
        import ml_dtypes

        return y.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return y.detach().numpy()
