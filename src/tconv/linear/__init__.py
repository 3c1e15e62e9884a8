"""The transposed convolution as a matrix: a linear operator for SciPy, and whether it can be undone."""

from tconv.linear.inverse import InverseFamily, generalised_inverse
from tconv.linear.transposed import TransposedConvolution, operator
from tconv.linear.undoing import Finding, Undo, undo

__all__ = ["Finding", "InverseFamily", "TransposedConvolution", "Undo", "generalised_inverse", "operator", "undo"]
