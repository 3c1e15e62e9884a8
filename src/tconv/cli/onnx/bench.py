"""`tconv onnx bench`: the times of a model."""

from __future__ import annotations

from pathlib import Path

from tconv import errors
from tconv.cli.onnx import example_of, need_onnx
from tconv.cli.screen import waiting
from tconv.names import shown


def bench(
    model: Path,
    *,
    shape: list[str] | None = None,
    example: Path | None = None,
    threads: int | None = None,
    seconds: float = 10.0,
) -> None:
    """Time a model in ONNX Runtime, as it is and optimized, and on tconv's engine.

    They take turns on the same input; times are medians, errors are the largest ones against ONNX Runtime's result,
    relative to the largest value. What is idle sleeps, as far as threads allow: run each alone to compare to 5 %.

        tconv onnx bench model.onnx
        tconv onnx bench model.onnx --shape image=1x3x512x512

    Args:
        model: An ONNX file.
        shape: Sizes of an input, as in NAME=1x3x224x224; once for each that the file leaves open.
        example: Arrays: a .npz by the inputs' names, or a .npy of the only one.
        threads: For each; without it, all cores.
        seconds: To measure for, and to optimize for.
    """
    need_onnx()
    from tconv.onnx.compare import compared
    from tconv.onnx.importing.program import ports
    from tconv.onnx.reading import read_model

    for name, limit in (("--threads", threads), ("--seconds", seconds)):
        if limit is not None and not limit > 0:
            raise errors.TconvError(f"{name} {limit} must be greater than 0")
    read = read_model(model)
    arrays = example_of(ports(read), example, shape or [])
    with waiting(f"optimizing and timing {shown(model)}, for about {2 * seconds:g} s and the first runs"):
        found = compared(read, arrays, threads, seconds)
    print(found)
