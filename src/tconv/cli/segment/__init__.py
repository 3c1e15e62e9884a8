"""`tconv segment ...`: one module per command, imported when it is called."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from tconv import errors

COMMANDS = {
    "make-data": "Write a labelled synthetic set: digits or cells.",
    "check-data": "Find every problem in a folder of images and masks.",
    "train": "Train a U-Net or an FCN on a folder of images and masks.",
    "predict": "Write masks for images of any size.",
    "eval": "Measure a model on labelled images.",
    "export": "Write a model as ONNX or as a torch.export program.",
}


def _written(app: Any, commands: tuple[str, ...], arguments: Any) -> None:
    """Options that stand in a file; only `train` has them."""
    if commands[-1:] == ("train",):
        from tconv.segmentation.train.options import written

        written(app, commands, arguments)


segment = App(
    name="segment",
    help="Semantic segmentation: a class for every pixel, learned from images and masks.",
    help_format="plaintext",
    config=_written,
)
for place, (name, summary) in enumerate(COMMANDS.items()):
    module = name.replace("-", "_") if name != "eval" else "evaluate"
    segment.command(f"tconv.cli.segment.{module}:{module}", name=name, help=summary, sort_key=place)


def need_segmentation() -> None:
    """Say in one line which package is missing."""
    from importlib.util import find_spec

    for package in ("torch", "accelerate", "matplotlib", "safetensors", "sklearn", "skimage", "tifffile", "PIL"):
        if find_spec(package) is None:
            raise errors.TconvError(f"segmentation needs {package}: pip install 'tconv[segmentation]'")
