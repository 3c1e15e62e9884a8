"""`tconv onnx ...`: one module per command, imported when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from tconv import errors, extras
from tconv.cli.options import integers
from tconv.names import shown
from tconv.wholes import whole_numbers

if TYPE_CHECKING:  # it would load PyTorch
    from tconv.onnx import Port

COMMANDS = {
    "optimize": "Write a model that computes the same, faster in ONNX Runtime.",
    "bench": "Time a model in ONNX Runtime, as it is and optimized, and on tconv's engine.",
}

CURE = "--shape NAME=1x3x224x224 or --example FILE.npz"


def onnx(arguments: list[str]) -> App:
    """The commands; all but the called one stand there with their summary only, and are not imported."""
    app = App(
        name="onnx",
        help="ONNX models: faster files for ONNX Runtime, and the same models on tconv's engine.",
        help_format="plaintext",
        config=whole_numbers,
    )
    for place, (name, summary) in enumerate(COMMANDS.items()):
        called = name in arguments[:1]
        app.command(f"tconv.cli.onnx.{name}:{name}", name=name, help=None if called else summary, sort_key=place)
    return app


def need_onnx() -> None:
    """Say in one line which package is missing."""
    for package in ("torch", "onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise errors.TconvError(f"ONNX models need {package}: {extras.cure('onnx')}")


def example_of(inputs: Sequence[Port], example: Path | None, shapes: Sequence[str]) -> dict[str, Any]:
    """What the model is run with: arrays of a file, or random numbers of the shapes in the file and in the options.

    Args:
        inputs: of the model.
        example: a .npy of the only input, or a .npz of arrays by the inputs' names.
        shapes: written NAME=1x3x224x224, or without a name for the only input.

    Raises:
        TconvError: the file or a shape does not fit the model.
    """
    from tconv.onnx.examples import example_for

    if example is not None:
        return example_for(inputs, _arrays(example), CURE)
    return example_for([_sized(port, shapes, len(inputs) == 1) for port in _known(inputs, shapes)], None, CURE)


def _arrays(path: Path) -> Any:
    import numpy as np

    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return dict(loaded)
    except (ValueError, EOFError) as error:
        raise errors.ArgumentTypeError(
            f"--example {shown(path)} holds no arrays: {error}; save them with numpy.savez"
        ) from None


def _known(inputs: Sequence[Port], shapes: Sequence[str]) -> Sequence[Port]:
    """The inputs, if all shapes are of some of them."""
    names = [port.name for port in inputs]
    for text in shapes:
        name = text.rpartition("=")[0]
        if name not in names and (name or len(inputs) != 1):
            listed = ", ".join(map(str, inputs)) or "none"
            raise errors.TconvError(f"--shape {text!r} is of no input; write NAME=1x3x224x224, the inputs are {listed}")
    return inputs


def _sized(port: Port, shapes: Sequence[str], alone: bool) -> Port:
    """The input with the sizes that an option gives it."""
    from tconv.onnx.model import Port, check_shape

    for text in shapes:
        name, _, size = text.rpartition("=")
        if name == port.name or (alone and not name):
            sizes = integers("--shape", size)
            check_shape(port, sizes)
            return Port(port.name, port.dtype, sizes)
    return port
