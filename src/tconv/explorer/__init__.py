"""A small transposed convolution, explained: `trace` makes the numbers, from which everything else is drawn.

trace -> text (for a terminal), or trace -> scenes (cells, arrows, words at places) -> SVG, PNG, GIF. The HTML page has
the same numbers from the same relation, computed where it is read. `explain` is the door to all of them.
"""

from tconv.explorer.explanation import Explanation, explain
from tconv.explorer.trace import Trace, trace

__all__ = ["Explanation", "Trace", "explain", "trace"]
