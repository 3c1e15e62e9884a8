"""tconv: the transposed convolution, fast, exact and understood.

Everything follows from one relation: input i and kernel tap k meet at output o,

    o = stride*i + dilation*k - crop_lo
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tconv import dialects, errors, extras, forms, kernels, native
from tconv.config import show_config
from tconv.functional import conv_transpose, conv_transpose1d, conv_transpose2d, conv_transpose3d
from tconv.geometry import Axis, Forward, Geometry, receptive_field
from tconv.layer import Layer, prepare
from tconv.native import set_num_threads
from tconv.solver import solve
from tconv.unet_plan import plan_unet

if TYPE_CHECKING:
    from tconv import decomposition as decomposition
    from tconv import explorer as explorer
    from tconv import images as images
    from tconv import insight as insight
    from tconv import jax as jax
    from tconv import keras as keras
    from tconv import linear as linear
    from tconv import nn as nn
    from tconv import onnx as onnx
    from tconv import segmentation as segmentation
    from tconv import solver as solver

__version__ = "0.2.0"

__all__ = [
    "Axis",
    "Forward",
    "Geometry",
    "Layer",
    "conv_transpose",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "dialects",
    "errors",
    "explain",
    "explain_learned",
    "explain_network",
    "forms",
    "kernels",
    "native",
    "operator",
    "plan_unet",
    "prepare",
    "receptive_field",
    "set_num_threads",
    "show_config",
    "solve",
    "undo",
]


# What `import tconv` must not load, because it needs more than NumPy: loaded when it is first named. Modules, with the
# extra that brings what they need; and functions, with their module.
_MODULES: dict[str, extras.Extra] = {
    "decomposition": "explain",
    "explorer": "explain",
    "images": "images",
    "insight": "segmentation",
    "jax": "jax",
    "keras": "keras",
    "linear": "explain",
    "nn": "torch",
    "onnx": "onnx",
    "segmentation": "segmentation",
}
_FUNCTIONS = {
    "explain": "explorer",
    "explain_learned": "explorer",
    "explain_network": "explorer",
    "operator": "linear",
    "undo": "linear",
}


def __getattr__(name: str) -> Any:
    module = _FUNCTIONS.get(name, name)
    if module not in _MODULES:
        raise AttributeError(f"module 'tconv' has no attribute {name!r}")
    try:
        loaded = import_module(f"tconv.{module}")
    except errors.TconvError as error:  # it says itself what is missing
        raise ImportError(str(error)) from error
    except ModuleNotFoundError as error:
        needed = (error.name or "").partition(".")[0]
        if needed == "tconv":
            raise
        raise ImportError(f"tconv.{name} needs {needed}: {extras.cure(_MODULES[module])}") from error
    return loaded if name == module else getattr(loaded, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_FUNCTIONS})
