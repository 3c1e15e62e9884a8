"""PyTorch: drop-in layers and functions that run on tconv's compiled core.

    tconv.nn.ConvTranspose1d, 2d, 3d and LazyConvTranspose1d, 2d, 3d: torch.nn's, faster on the CPU
    tconv.nn.functional.conv_transpose1d, 2d, 3d: torch.nn.functional's
    tconv.nn.accelerate(model, example): what is faster and right; report(model) tells, restore(model) undoes it
    tconv.nn.fold(model), torch.compile(model, backend="tconv"): several layers as one, exactly
    tconv.nn.refresh(model): weights were written to behind PyTorch's back
    tconv.nn.patched(), install(): torch.nn.functional.conv_transpose2d is tconv's, on this thread or on all
    tconv.nn.explain(layer, x): which kernel would run, and why the others would not

What the engine does not take goes to PyTorch's own operator; TCONV_STRICT=1 in the environment makes that an error
that says why. Threads are PyTorch's: `torch.set_num_threads`.
"""

from tconv.nn import functional
from tconv.nn.acceleration import AccelerateError, accelerate
from tconv.nn.engine import StrictError
from tconv.nn.explanation import explain
from tconv.nn.fold import fold
from tconv.nn.modules import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
from tconv.nn.patching import install, patched, uninstall
from tconv.nn.refreshing import refresh
from tconv.nn.report import Report, report
from tconv.nn.restoration import restore

__all__ = [
    "AccelerateError",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "Report",
    "StrictError",
    "accelerate",
    "explain",
    "fold",
    "functional",
    "install",
    "patched",
    "refresh",
    "report",
    "restore",
    "uninstall",
]
