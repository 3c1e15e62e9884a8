"""tconv: the transposed convolution, fast, exact and understood."""

from tconv.geometry import Geometry

__all__ = ["Geometry"]
