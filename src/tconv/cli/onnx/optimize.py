"""`tconv onnx optimize`: a faster file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tconv import errors, outputs
from tconv.cli.onnx import example_of, need_onnx
from tconv.cli.screen import waiting
from tconv.names import shown


def optimize(
    model: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    shape: list[str] | None = None,
    example: Path | None = None,
    threads: int | None = None,
    seconds: float = 30.0,
    report: Annotated[bool, Parameter(negative=())] = False,
    again: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write a model that computes the same, faster in ONNX Runtime.

    Layers that are one layer mathematically become one, and transposed convolutions with large strides a convolution
    and DepthToSpace; each only where ONNX Runtime is measured to be faster with it on this machine. The result is plain
    ONNX and runs everywhere; where nothing is faster, it is the model as it was.

        tconv onnx optimize model.onnx -o faster.onnx --report
        tconv onnx optimize model.onnx -o faster.onnx --shape image=1x3x512x512

    Args:
        model: An ONNX file.
        out: File to write, .onnx.
        shape: Sizes of an input to measure with, as in NAME=1x3x224x224; once for each that the file leaves open.
        example: Arrays to measure with: a .npz by the inputs' names, or a .npy of the only one.
        threads: That ONNX Runtime may use; without it, all cores.
        seconds: What measuring may take, about.
        report: Say what was tried at each place, with times and errors.
        again: Replace a file that is there.
    """
    need_onnx()
    from tconv.onnx import optimization, save
    from tconv.onnx.importing.program import ports
    from tconv.onnx.reading import external_files, read_model

    if out.suffix != ".onnx":
        raise errors.TconvError(f"{shown(out)}: write to a name that ends in .onnx")
    for name, limit in (("--threads", threads), ("--seconds", seconds)):
        if limit is not None and not limit > 0:
            raise errors.TconvError(f"{name} {limit} must be greater than 0")
    outputs.check_file(out, [model, *external_files(model)], again)
    read = read_model(model)
    arrays = example_of(ports(read), example, shape or [])
    with waiting(f"measuring {shown(model)} in ONNX Runtime, for at most about {seconds:g} s"):
        faster, told = optimization(read, arrays, threads=threads, seconds=seconds)
    save(faster, out)
    print(told if report else told.line())
    same = "" if told.changed else f", the same model; tconv onnx bench {shown(model)} times it on tconv's engine"
    print(f"wrote {shown(out)}{same}")
