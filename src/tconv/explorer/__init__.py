"""A small transposed convolution, explained: `trace` makes the numbers, `explorer.text` writes them for a terminal.

rich.print(tconv.explorer.text.text(trace(geometry, x, weight, bias)))
"""

from tconv.explorer.trace import Trace, trace

__all__ = ["Trace", "trace"]
