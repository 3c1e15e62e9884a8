"""A small transposed convolution, explained: `trace` makes the numbers, from which everything else is drawn.

trace -> text (for a terminal), or trace -> scenes (cells, arrows, words at places) -> SVG, PNG, GIF. The HTML page has
the same numbers from the same relation, computed where it is read. `explain` is the door to all of them; a network
around the layer and kernels that are learned have doors of their own, `explain_network` and `explain_learned`.
"""

from tconv.explorer.explanation import Explanation, explain
from tconv.explorer.learned import LearnedExplanation, explain_learned
from tconv.explorer.network import NetworkExplanation, explain_network
from tconv.explorer.shown import Shown
from tconv.explorer.trace import Trace, trace

__all__ = [
    "Explanation",
    "LearnedExplanation",
    "NetworkExplanation",
    "Shown",
    "Trace",
    "explain",
    "explain_learned",
    "explain_network",
    "trace",
]
