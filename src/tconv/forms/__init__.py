"""The equivalent definitions of the transposed convolution: one file each, one contract, made to be read.

    run(geometry, x, weight, bias=None, groups=1) -> y

    x (batch, in_channels, *in_size) or (in_channels, *in_size), weight (in_channels, out_channels/groups, *kernel),
    bias (out_channels,); any dtype NumPy multiplies; exact for integers.

>>> import numpy as np
>>> from tconv import Geometry
>>> x, w = np.array([[[2, 3], [1, 3]]]), np.array([[[[0, 1, 1], [0, 1, 0], [1, 0, 1]]]])
>>> FORMS["scatter"](Geometry((3, 3)), x, w)[0]
array([[0, 2, 5, 3],
       [0, 3, 7, 3],
       [2, 4, 5, 3],
       [1, 3, 1, 3]])
"""

from tconv.forms import adjoint, col2im, gather, matrix, phases, scatter, taps, zero_insert
from tconv.forms.contract import Form

FORMS: dict[str, Form] = {
    "scatter": scatter.run,
    "gather": gather.run,
    "taps": taps.run,
    "zero_insert": zero_insert.run,
    "matrix": matrix.run,
    "col2im": col2im.run,
    "phases": phases.run,
    "adjoint": adjoint.run,
}

__all__ = ["FORMS", "Form", "adjoint", "col2im", "gather", "matrix", "phases", "scatter", "taps", "zero_insert"]
