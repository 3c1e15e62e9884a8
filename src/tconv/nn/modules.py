"""torch.nn.ConvTranspose1d, 2d and 3d, and their lazy variants, on the compiled core.

Each is a subclass of torch.nn's of the same name: constructor, initialisation, repr, state_dict, `output_size` and
errors are inherited, and only what computes differs. Packed weights are no part of a module: see `tconv.nn.packing`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tconv.nn.functional import conv_transpose
from tconv.nn.private import TransposedBase


class _Transposed(TransposedBase):
    """The forward of all three; a module is called so often that its numbers are taken as they lie."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The transposed convolution of `input`.

        Args:
            input: (batch, in_channels, *in_size) or (in_channels, *in_size).
            output_size: the spatial size to reach, in place of output_padding; sizes with leading axes are understood.

        Returns:
            (batch, out_channels, *out_size), or without the batch.

        Raises:
            ValueError: the layer cannot reach output_size, or its padding_mode is not zeros.

        Source: torch.nn.ConvTranspose2d.
        """
        if self.padding_mode != "zeros":
            raise ValueError(f"Only `zeros` padding mode is supported for ConvTranspose{self.weight.dim() - 2}d")
        output_padding = self.output_padding
        if output_size is not None:
            numbers: Any = (self.stride, self.padding, self.kernel_size, self.weight.dim() - 2, self.dilation)
            output_padding = tuple(self._output_padding(input, output_size, *numbers))
        settings = (self.stride, self.padding, output_padding, self.groups, self.dilation)
        # Where the parameters are, they are found half a microsecond faster than as attributes.
        parameters: Any = self._parameters
        weight, bias = parameters.get("weight"), parameters.get("bias")
        if weight is None:
            weight, bias = self.weight, self.bias
        return conv_transpose(input, weight, bias, settings)


class ConvTranspose1d(_Transposed, torch.nn.ConvTranspose1d):
    """torch.nn.ConvTranspose1d on the compiled core; arguments, attributes and shapes as there."""


class ConvTranspose2d(_Transposed, torch.nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d on the compiled core; arguments, attributes and shapes as there."""


class ConvTranspose3d(_Transposed, torch.nn.ConvTranspose3d):
    """torch.nn.ConvTranspose3d on the compiled core; arguments, attributes and shapes as there."""


class LazyConvTranspose1d(torch.nn.LazyConvTranspose1d):
    """torch.nn.LazyConvTranspose1d, which becomes a tconv.nn.ConvTranspose1d at its first call."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(torch.nn.LazyConvTranspose2d):
    """torch.nn.LazyConvTranspose2d, which becomes a tconv.nn.ConvTranspose2d at its first call."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(torch.nn.LazyConvTranspose3d):
    """torch.nn.LazyConvTranspose3d, which becomes a tconv.nn.ConvTranspose3d at its first call."""

    cls_to_become = ConvTranspose3d
