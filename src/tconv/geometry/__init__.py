"""The relation, and everything that follows from it without an array: sizes, phases, coverage, receptive fields."""

from tconv.geometry.axis import Axis, AxisCoverage, AxisPhase, FourSteps
from tconv.geometry.forward import Forward, receptive_field
from tconv.geometry.geometry import Coverage, Geometry, Phase, Sizes

__all__ = [
    "Axis",
    "AxisCoverage",
    "AxisPhase",
    "Coverage",
    "Forward",
    "FourSteps",
    "Geometry",
    "Phase",
    "Sizes",
    "receptive_field",
]
