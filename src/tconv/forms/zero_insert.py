"""The four steps: insert zeros between the inputs, pad, flip the kernel, convolve at stride 1.

    1. insert stride-1 zeros between the elements of the input, along every axis
    2. pad the ends with dilation*(kernel-1) - crop zeros (a negative pad cuts)
    3. flip the kernel along every axis
    4. convolve: stride 1, no padding

Most of the multiplications are by an inserted zero; 0*NaN and 0*Inf are NaN, so this form is for finite numbers.
"""

import numpy as np

from tconv.arrays import Array
from tconv.forms.contract import at, form, window
from tconv.forms.convolution import convolve
from tconv.geometry import Geometry


@form
def run(geometry: Geometry, x: Array, w: Array) -> Array:
    padded = pad(geometry, insert_zeros(geometry, x))
    return convolve(padded, flip(w), (1,) * geometry.ndim, geometry.dilation, geometry.output_size(x.shape[3:]))


def insert_zeros(geometry: Geometry, x: Array) -> Array:
    """Step 1: (..., *in_size) -> (..., *(stride*(in-1) + 1))."""
    steps = geometry.four_steps(x.shape[3:])
    spread = np.zeros((*x.shape[:3], *(max(step.inserted, 0) for step in steps)), x.dtype)
    spread[at(slice(None, None, stride) for stride in geometry.stride)] = x
    return spread


def pad(geometry: Geometry, spread: Array) -> Array:
    """Step 2: zeros at both ends of every axis, as many as keep a stamp's far end inside."""
    cuts = ((a.crop_lo - a.extent + 1, a.crop_hi - a.extent + 1) for a in geometry.axes)
    return window(spread, tuple(cuts))


def flip(w: Array) -> Array:
    """Step 3: reverse every spatial axis of the kernel."""
    return np.flip(w, tuple(range(3, w.ndim)))
