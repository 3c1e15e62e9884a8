"""One call, all but its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tconv.geometry import Geometry, Sizes

ITEMSIZE = {"float16": 2, "bfloat16": 2, "float32": 4}


@dataclass(frozen=True, slots=True)
class Task:
    """A transposed convolution of arrays of some shape, dtype and layout; hashable.

    Strides are no part of it: a launch looks at the tensors' own. Which axis is contiguous decides what is fast, never
    what is right.

    Attributes:
        geometry: kernel, stride, dilation and crop of every axis.
        in_size: of the input, per axis.
        batch: images.
        in_channels, out_channels: of all groups together.
        groups: channel groups.
        dtype: of input, weight and output: "float16", "bfloat16" or "float32".
        tf32: multiply float32 as tensor cores do, with 10 bits of mantissa; nothing for the other dtypes.
        input_last, output_last: whether the channels of a place are neighbours in memory.
        bias: whether there is one.
        activation: as `tconv.prepare` names it; "" for none.
        slope: of leaky_relu.
    """

    geometry: Geometry
    in_size: Sizes
    batch: int
    in_channels: int
    out_channels: int
    groups: int = 1
    dtype: str = "float16"
    tf32: bool = False
    input_last: bool = False
    output_last: bool = False
    bias: bool = True
    activation: str = ""
    slope: float = 0.01

    @property
    def out_size(self) -> Sizes:
        """Per axis; raises `EmptyOutputError` as `Geometry.output_size` does."""
        return self.geometry.output_size(self.in_size)

    @property
    def ins(self) -> int:
        """Input channels of a group."""
        return self.in_channels // self.groups

    @property
    def outs(self) -> int:
        """Output channels of a group."""
        return self.out_channels // self.groups

    @property
    def itemsize(self) -> int:
        """Bytes of a number of input, weight or output."""
        return ITEMSIZE[self.dtype]

    @property
    def bytes(self) -> int:
        """Of input, weight and output: what has to be moved at least."""
        counts = self.in_channels, self.out_channels, self.groups, self.batch
        return self.geometry.bytes(self.in_size, *counts, itemsize=self.itemsize)

    @property
    def flop(self) -> int:
        """Useful floating-point operations."""
        return 2 * self.geometry.macs(self.in_size, self.in_channels, self.out_channels, self.groups, self.batch)

    @property
    def taps(self) -> int:
        """Of the kernel, over all axes."""
        return prod(self.geometry.kernel)

    def __str__(self) -> str:
        kind = "tf32" if self.tf32 and self.dtype == "float32" else self.dtype
        lying = f"channels-{'last' if self.input_last else 'first'} to {'last' if self.output_last else 'first'}"
        size = "x".join(map(str, self.in_size))
        groups = f" in {self.groups} groups" if self.groups > 1 else ""
        channels = f"{self.in_channels} to {self.out_channels} channels{groups}"
        return f"{self.geometry}; {self.batch} of {size}, {channels}, {kind}, {lying}"
