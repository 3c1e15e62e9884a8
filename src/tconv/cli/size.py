"""`tconv size`: how large the output is, and all that follows from the sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from tconv import errors
from tconv.cli.options import DEFAULTS, GeometryOptions, integers
from tconv.cli.screen import show
from tconv.dialects import to_torch
from tconv.explorer import words
from tconv.explorer.grids import Facts
from tconv.geometry import Axis, Forward, Geometry, Sizes, receptive_field
from tconv.unet_plan import plan_unet

COUNTED = 10**5  # kernels and strides up to here are walked through, tap by tap


def size(
    *,
    in_size: Annotated[str, Parameter(name="--in")],
    kernel: str | None = None,
    geometry: GeometryOptions = DEFAULTS,
    output_size: str | None = None,
    in_channels: int = 1,
    out_channels: int = 1,
    groups: int = 1,
    unet: int | None = None,
    shrink: str = "0",
) -> None:
    """Say how large the output is, and all that follows from the sizes.

    The sizes on the way, the other sizes that output_padding can choose, the
    matching forward convolution, the cost, and the PyTorch call to paste.

        tconv size --in 6 --kernel 3 --stride 2 --padding 1 --output-padding 1
        tconv size --in 6x8 --kernel 3 --stride 2 --padding 1 --output-size 12x16
        tconv size --in 572 --unet 4 --shrink 4

    Args:
        in_size: Size of the input: 6, or one per axis as in 6x8.
        kernel: Size of the kernel: 3, or one per axis as in 3x5.
        output_size: The size to reach, instead of --output-padding.
        in_channels: Channels of the input, for the cost and the call.
        out_channels: Channels of the output.
        groups: Channel groups.
        unet: Plan a U-Net of this depth instead, with up-convolutions of kernel 2 and stride 2.
        shrink: Cells that a block of the U-Net loses: 4 for two unpadded 3x3 convolutions.
    """
    cells = integers("in", in_size)
    if unet is not None:
        if kernel is not None or output_size is not None or geometry != DEFAULTS:
            raise errors.TconvError("--unet plans with kernel 2 and stride 2; leave the other options of a layer out")
        title, *table = str(plan_unet(cells, unet, shrink=integers("shrink", shrink))).splitlines()
        return show(Text(title, "bold"), Text(), Text("\n".join(table), no_wrap=True))
    if kernel is None:
        raise errors.KernelError("say how large the kernel is, with --kernel 3; or plan a U-Net with --unet 4")
    layer = geometry.geometry(integers("kernel", kernel), len(cells))
    cells = layer.sizes("in", cells)
    plain = layer if _is_word(geometry) else _without_output_padding(layer, geometry)
    if output_size is not None:
        layer = _reaching(plain, layer, cells, integers("output-size", output_size))
    channels = _Channels(in_channels, out_channels, groups)
    show(Text(f"{words.by(cells)} -> {words.by(layer.output_size(cells))}", "bold"), Text(str(layer)), Text())
    show(Facts(list(_facts(layer, plain, cells, channels))))
