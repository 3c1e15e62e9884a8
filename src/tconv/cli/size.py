"""`tconv size`: how large the output is, and all that follows from the sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from cyclopts import Parameter
from rich.text import Text

from tconv import errors
from tconv.arrays import check_weight
from tconv.cli.options import DEFAULTS, GeometryOptions, integers
from tconv.cli.screen import show, show_json
from tconv.cli.torch_call import torch_call
from tconv.explorer import words
from tconv.explorer.grids import Facts
from tconv.geometry import Axis, Forward, Geometry, Sizes, receptive_field
from tconv.unet_plan import plan_unet

FORMULA = "stride*(in-1) + dilation*(kernel-1) + 1 - crop_lo - crop_hi"
COUNTED = 10**6  # pairs of a tap and a phase that are walked through


class Channels(NamedTuple):
    """Of the input, of the output, and their groups."""

    into: int
    out: int
    groups: int


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
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Say how large the output is, and all that follows from the sizes.

    The sizes on the way, the other sizes that output_padding can choose, the
    matching forward convolution, the cost, and the PyTorch call to paste.

        tconv size --in 6 --kernel 3 --stride 2 --padding 1
        tconv size --in 6x8 --kernel 3 --stride 2 --padding 1 --output-size 12x16
        tconv size --in 28x28 --kernel 2 --stride 2 --in-channels 32 --out-channels 16
        tconv size --in 572 --unet 4 --shrink 4

    Args:
        in_size: Size of the input: 6, or one per axis as in 6x8.
        kernel: Size of the kernel: 3, or one per axis as in 3x5.
        output_size: The size to reach, instead of --output-padding.
        in_channels: Channels of the input, for the cost and the call.
        out_channels: Channels of the output.
        groups: Channel groups.
        unet: Plan a U-Net of this depth instead; its up-convolutions have kernel 2 and stride 2.
        shrink: Cells that a block of the U-Net loses: 4 for two unpadded 3x3 convolutions.
        json: Print the numbers of a layer as JSON.
    """
    cells = integers("--in", in_size)
    if unet is not None:
        if kernel is not None or output_size is not None or geometry != DEFAULTS:
            raise errors.TconvError("--unet plans with kernel 2 and stride 2; leave the options of a single layer out")
        if json:
            raise errors.TconvError("--unet prints a table; --json is for the numbers of a layer")
        print(plan_unet(cells, unet, shrink=integers("--shrink", shrink)))  # a table that must not be wrapped
        return
    if kernel is None:
        raise errors.KernelError("say how large the kernel is, as in --kernel 3; or plan a U-Net, as in --unet 4")
    taps = integers("--kernel", kernel)
    layer = geometry.geometry(taps, len(cells))
    plain = replace(geometry, output_padding="0").geometry(taps, layer.ndim)
    cells = layer.sizes("--in", cells)
    if min(cells) < 1:
        raise errors.InputSizeError(f"--in {in_size} must be at least 1 in every axis")
    if output_size is not None:
        if layer != plain:
            raise errors.OutputPaddingError("--output-padding and --output-size both choose the size; give one of them")
        layer = plain.padded_by(plain.output_padding_for(cells, integers("--output-size", output_size)))
    if groups < 1 or out_channels % groups:
        raise errors.ChannelError(f"groups {groups} must divide the {out_channels} output channels")
    check_weight((in_channels, out_channels // groups, *layer.kernel), None, groups)
    if json:
        show_json(_content(layer, plain, cells, Channels(in_channels, out_channels, groups)))
        return
    show(Text(f"{words.by(cells)} -> {words.by(layer.output_size(cells))}", "bold"), Text(str(layer), "dim"), Text())
    show(Facts(list(_facts(layer, plain, cells, Channels(in_channels, out_channels, groups)))))


def _content(layer: Geometry, plain: Geometry, cells: Sizes, channels: Channels) -> dict[str, Any]:
    """What follows from the sizes, for JSON; one entry per axis in each list."""
    few = max(axis.kernel * axis.stride for axis in layer.axes) <= COUNTED
    return {
        "in": cells, "out": layer.output_size(cells), "kernel": layer.kernel, "stride": layer.stride,
        "dilation": layer.dilation, "crop": layer.crop,
        "reachable": [_range(axis, n) for axis, n in zip(plain.axes, cells, strict=True)],
        "receptive_field": receptive_field([layer]) if few else None,
        "macs": layer.macs(cells, *channels) if few else None, "bytes": layer.bytes(cells, *channels),
        "pytorch": torch_call(layer, *channels),
    }  # fmt: skip


def _facts(layer: Geometry, plain: Geometry, cells: Sizes, channels: Channels) -> Iterator[tuple[str, str]]:
    """What follows from the sizes; `plain` is the layer without output_padding."""
    yield "output size", FORMULA
    yield "", "\n".join(words.per_axis(layer, cells, words.size))
    yield "four steps", "\n".join(words.per_axis(layer, cells, words.steps))
    yield "forward", "\n".join(words.per_axis(plain, cells, _forward))
    yield "reachable", "\n".join(words.per_axis(plain, cells, _reachable))
    if max(axis.kernel * axis.stride for axis in layer.axes) <= COUNTED:
        field = receptive_field([layer])
        many = "1 input cell" if set(field) == {1} else f"{words.by(field)} input cells"
        yield "receptive field", f"an output cell sees {many} at most"
        yield "multiplications", f"{layer.macs(cells, *channels):,} per sample, none of them with an inserted zero"
    yield "bytes", f"{layer.bytes(cells, *channels):,} of input, weight and output in float32"
    yield "PyTorch", torch_call(layer, *channels)


def _reachable(axis: Axis, n: int) -> str:
    """The sizes that output_padding can choose from; the crop may leave nothing of the smaller ones."""
    most = max(axis.stride, axis.dilation) - 1
    low, high = _range(axis, n)
    if low == high:
        return f"{high} only"
    return f"{low} to {high}, chosen by output_padding {most - high + low} to {most}"


def _range(axis: Axis, n: int) -> tuple[int, int]:
    """The smallest and the largest size that output_padding can choose."""
    most = max(axis.stride, axis.dilation) - 1
    largest = axis.padded_by(most).output_size(n)
    return largest - most + max(0, 1 + most - largest), largest


def _forward(axis: Axis, n: int) -> str:
    """The sizes that the matching convolution maps to n: which of them comes back is what output_padding says."""
    (sizes,) = Forward(Geometry.from_axes([axis])).input_sizes(n)
    if not sizes:
        return f"the matching convolution maps no size to {n}"
    between = " and " if len(sizes) == 2 else " to "
    return f"the matching convolution maps {between.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))} to {n}"
