"""What a solution is: layers in PyTorch's parameters, one after the other, on one axis."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from tconv.geometry import Axis, Geometry


class Layer(NamedTuple):
    """One transposed convolution on one axis, in the names and the order of PyTorch's parameters.

    Attributes:
        kernel: taps.
        stride: output cells from one input cell to the next.
        padding: output cells cut off at both ends.
        output_padding: output cells added at the high end, below max(stride, dilation).
        dilation: output cells from one tap to the next.

    >>> layer = Layer(3, stride=2, padding=1, output_padding=1)
    >>> print(layer)
    kernel 3, stride 2, padding 1, output_padding 1
    >>> layer.axis.output_size(6)
    12
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    dilation: int = 1

    @property
    def axis(self) -> Axis:
        """The geometry of this layer on its axis."""
        return Geometry.from_torch(*self).axes[0]

    @property
    def is_even(self) -> bool:
        """Every output far from the borders has the same number of taps: no checkerboard from the geometry."""
        return is_even(self.kernel, self.stride, self.dilation)

    @property
    def waste(self) -> str:
        """What it does in vain, in words; "" if nothing. It follows from the parameters alone, whatever the size."""
        if self.padding >= Axis(self.kernel, self.stride, self.dilation).extent:
            return "cuts off whole inputs"
        if self.output_padding > self.padding:
            cells = self.output_padding - self.padding
            return f"ends with {cells} bias-only cell{'s' * (cells > 1)}"
        return ""

    def __str__(self) -> str:
        shown = zip(self._fields, self, strict=True)
        return ", ".join(f"{name} {value}" for name, value in shown if name != "dilation" or value > 1)


class Chain(tuple[Layer, ...]):
    """Layers of one axis, first to last.

    >>> chain = Chain([Layer(2), Layer(2)])
    >>> chain.sizes(2), chain.macs(2), chain.uneven
    ((2, 3, 4), 10, 0)
    """

    __slots__ = ()

    @property
    def uneven(self) -> int:
        """How many layers draw a checkerboard."""
        return sum(not layer.is_even for layer in self)

    @property
    def wasteful(self) -> int:
        """How many layers do something in vain, see `Layer.waste`."""
        return sum(layer.waste != "" for layer in self)

    def sizes(self, in_size: int) -> tuple[int, ...]:
        """The size before, between and after the layers, for an input of `in_size` cells."""
        return tuple(accumulate((layer.axis for layer in self), lambda n, axis: axis.output_size(n), initial=in_size))

    def macs(self, in_size: int) -> int:
        """Multiplications on this axis before the crops: kernel * input size, over the layers.

        `Geometry.macs` counts after the crop; for a ranking that would reward layers which throw their input away.
        """
        return sum(layer.kernel * n for layer, n in zip(self, self.sizes(in_size), strict=False))

    def __str__(self) -> str:
        return "; then ".join(map(str, self))


@lru_cache(maxsize=4096)
def is_even(kernel: int, stride: int, dilation: int) -> bool:
    """Coverage far from the borders depends on neither the crop nor the input size, so one input cell shows it."""
    return Axis(kernel, stride, dilation).coverage(1).is_even
