"""PyTorch: drop-in layers and functions that run on tconv's compiled core.

    tconv.nn.ConvTranspose1d, 2d, 3d and LazyConvTranspose1d, 2d, 3d: torch.nn's, faster on the CPU
    tconv.nn.functional.conv_transpose1d, 2d, 3d: torch.nn.functional's
    tconv.nn.accelerate(model, example): layers swapped and folded where that is faster; restore(model) undoes it
    tconv.nn.fold(model): several layers as one, exactly
    tconv.nn.patched(): within it, torch.nn.functional.conv_transpose2d is tconv's
    tconv.nn.explain(layer, x): which kernel would run, and why the others would not

What the engine does not take goes to PyTorch's own operator; TCONV_STRICT=1 in the environment makes that an error
that says why. Threads are PyTorch's: `torch.set_num_threads`.
"""

from tconv.nn import functional
from tconv.nn.acceleration import AccelerateError, accelerate
from tconv.nn.explanation import explain
from tconv.nn.folding import fold
from tconv.nn.modules import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
from tconv.nn.patching import patched
from tconv.nn.reasons import StrictError
from tconv.nn.restoration import restore

__all__ = [
    "AccelerateError",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "StrictError",
    "accelerate",
    "explain",
    "fold",
    "functional",
    "patched",
    "restore",
]
