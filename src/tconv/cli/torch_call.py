"""A geometry as a line of PyTorch to paste."""

from __future__ import annotations

from tconv import errors
from tconv.dialects import to_torch
from tconv.geometry import Geometry

USUAL = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}


def torch_call(geometry: Geometry, in_channels: int = 1, out_channels: int = 1, groups: int = 1) -> str:
    """`torch.nn.ConvTranspose2d(1, 1, 3, stride=2)`, or why no single call does it.

    >>> torch_call(Geometry((3, 5), stride=2, crop=(1, 0)))
    'torch.nn.ConvTranspose2d(1, 1, (3, 5), stride=2, padding=1, output_padding=1)'
    """
    try:
        arguments = to_torch(geometry)
    except errors.DialectError as error:
        return f"no single call: {error}"
    short = {name: each[0] if len(set(each)) == 1 else each for name, each in arguments.items()}
    kernel = short.pop("kernel_size")
    listed = [str(in_channels), str(out_channels), str(kernel)]
    listed += [f"{name}={value}" for name, value in short.items() if value != USUAL[name]]
    listed += [f"groups={groups}"] * (groups > 1)
    return f"torch.nn.ConvTranspose{geometry.ndim}d({', '.join(listed)})"
