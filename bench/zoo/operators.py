"""torchvision beside a build of PyTorch that its compiled operators do not load with.

timm, segmentation-models-pytorch, ultralytics, spandrel and, where it is installed, transformers import torchvision.
Its compiled operators fit only the PyTorch they were built for, and without them the import fails, as it gives fake
kernels to two of them. None of the models here runs one, so that the names alone are enough.
"""

from __future__ import annotations

from importlib import import_module

from torch.library import Library

_names: list[Library] = []  # which must live as long as the names


def know_torchvision() -> None:
    """Make `import torchvision` work: name the operators that it takes for granted, unless it brings them itself."""
    try:
        import_module("torchvision")
    except RuntimeError:
        library = Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")
        _names.append(library)
        import_module("torchvision")
