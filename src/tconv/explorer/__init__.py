"""A small transposed convolution, explained: `trace` makes the numbers, `text` shows them in a terminal.

    show(trace(geometry, x, weight, bias))
"""

from tconv.explorer.trace import Trace, trace

__all__ = ["Trace", "trace"]
