"""Which layers turn one size into another? All of them, ranked; or the law that forbids it."""

from tconv.solver.bounds import Bound
from tconv.solver.chain import Chain, Layer
from tconv.solver.solutions import Solutions, solve

__all__ = ["Bound", "Chain", "Layer", "Solutions", "solve"]
