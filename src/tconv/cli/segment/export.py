"""`tconv segment export`: a model for other runtimes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tconv import errors, extras, outputs
from tconv.cli.options import integers
from tconv.cli.segment import MODEL, need_segmentation
from tconv.names import shown


def export(
    model: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    size: str = "512x512",
    again: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write a model as ONNX (.onnx) or as a torch.export program (.pt2), and compare it with the model.

    Both hold standard operators and run without tconv, for images of the given size, normalised as the model's card
    says. ONNX needs onnx, onnxscript and onnxruntime.

        tconv segment export run -o model.onnx --size 512x512

    Args:
        model: A run folder, which means its best checkpoint, or a checkpoint.
        out: File to write; its suffix chooses the format.
        size: Height and width of the images.
        again: Replace a file that is there.
    """
    need_segmentation(*MODEL)
    import torch

    from tconv.segmentation import export_onnx, export_torch, load

    if out.suffix not in (".onnx", ".pt2"):
        raise errors.TconvError(f"{shown(out)}: write to a name that ends in .onnx or .pt2")
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if out.suffix == ".onnx" and find_spec(package) is None:
            raise errors.TconvError(f"export to ONNX needs {package}: {extras.cure('onnx')}")
    network, card = load(model)
    outputs.check_file(out, _inputs(model), again)
    sides = integers("--size", size)
    height, width = sides * 2 if len(sides) == 1 else sides[:2]
    example = torch.randn(1, card.channels, height, width)
    difference = (export_onnx if out.suffix == ".onnx" else export_torch)(network, example, out)
    print(
        f"wrote {shown(out)} for {height} x {width} pixels; its scores differ from the model's by {difference:.1e} "
        f"at most"
    )


def _inputs(model: Path) -> list[Path]:
    """The file of a model, or all files of a run."""
    return [path for path in model.iterdir() if path.is_file()] if model.is_dir() else [model]
