"""`tconv segment ...`: one module per command, imported when it is called."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from tconv import errors, extras
from tconv.wholes import whole_numbers

COMMANDS = {
    "make-data": "Write a labelled synthetic set: digits, cells or fabric.",
    "check-data": "Find every problem in a folder of images and masks.",
    "train": "Train a U-Net or an FCN on a folder of images and masks.",
    "predict": "Write masks for images of any size.",
    "eval": "Measure a model on labelled images.",
    "compare-upsampling": "Train the same U-Net with each way to upsample.",
    "export": "Write a model as ONNX or as a torch.export program.",
}


def _written(app: Any, commands: tuple[str, ...], arguments: Any) -> None:
    """Options that stand in a file."""
    if commands[-1:] in (("train",), ("compare-upsampling",)):
        from tconv.segmentation.train.options import written

        written(app, commands, arguments)


def segment(arguments: list[str]) -> App:
    """The commands; all but the called one stand there with their summary only, and are not imported."""
    app = App(
        name="segment",
        help="Semantic segmentation: a class for every pixel, learned from images and masks.",
        help_format="plaintext",
        config=(_written, whole_numbers),
    )
    for place, (name, summary) in enumerate(COMMANDS.items()):
        module = "evaluate" if name == "eval" else name.replace("-", "_")
        called = name in arguments[:1]
        app.command(f"tconv.cli.segment.{module}:{module}", name=name, help=None if called else summary, sort_key=place)
    return app


READING = ("torch", "PIL", "tifffile")  # what reading images takes, beside what comes with Python
MODEL = (*READING, "safetensors")
ALL = (*MODEL, "accelerate", "matplotlib", "pycocotools", "scipy", "sklearn", "skimage")


def need_segmentation(*packages: str) -> None:
    """Say in one line which package is missing, of those that a command uses; by default of all."""
    from importlib.util import find_spec

    for package in packages or ALL:
        if find_spec(package) is None:
            cure = extras.cure("predict" if package in MODEL else "segmentation")
            raise errors.TconvError(f"segmentation needs {package}: {cure}")
