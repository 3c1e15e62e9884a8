"""The transposed convolution as a matrix: a linear operator for SciPy, and whether it can be undone."""

from tconv.linear.inverse import InverseFamily, generalised_inverse
from tconv.linear.transposed import TransposedConvolution, operator

__all__ = ["InverseFamily", "TransposedConvolution", "generalised_inverse", "operator"]
