"""tconv: the transposed convolution, fast, exact and understood.

Everything follows from one relation: input i and kernel tap k meet at output o,

    o = stride*i + dilation*k - crop_lo
"""

from importlib import import_module
from typing import Any

from tconv import dialects, errors, forms, kernels, native
from tconv.config import show_config
from tconv.functional import conv_transpose, conv_transpose1d, conv_transpose2d, conv_transpose3d
from tconv.geometry import Axis, Forward, Geometry, receptive_field
from tconv.layer import Layer, prepare
from tconv.native import set_num_threads
from tconv.solver import solve
from tconv.unet_plan import plan_unet

__version__ = "0.1.0"

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


def __getattr__(name: str) -> Any:
    """`tconv.operator` and `tconv.undo` need SciPy, `tconv.explain` draws: `import tconv` must not load either."""
    module = {"operator": "tconv.linear", "undo": "tconv.linear", "explain": "tconv.explorer"}.get(name)
    if module:
        return getattr(import_module(module), name)
    raise AttributeError(f"module 'tconv' has no attribute {name!r}")
