"""PyTorch: `torch.nn.ConvTranspose1d/2d/3d` and `torch.nn.functional.conv_transpose1d/2d/3d`.

padding crops both ends alike, and output_padding gives cells back at the high end:

    crop = (padding, padding - output_padding),   0 <= padding,   0 <= output_padding < max(stride, dilation)

Its weight layout, (in_channels, out_channels/groups, *kernel), is tconv's own: there is nothing to convert.
"""

from __future__ import annotations

from tconv import errors
from tconv.geometry import Axis, Geometry
from tconv.geometry.arguments import Ints, Padding


def from_torch(
    kernel_size: Ints,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    dilation: Ints = 1,
    ndim: int | None = None,
) -> Geometry:
    """The geometry of a layer written with PyTorch's parameters; `Geometry.from_torch` describes them.

    Raises:
        PaddingError, OutputPaddingError: as their names say; and what `Geometry` raises.

    >>> print(from_torch(3, stride=2, padding=1, output_padding=1))
    1-D: kernel 3, stride 2, dilation 1, crop (1, 0)
    """
    return Geometry.from_torch(kernel_size, stride, padding, output_padding, dilation, ndim)


def to_torch(geometry: Geometry) -> dict[str, tuple[int, ...]]:
    """kernel_size, stride, padding, output_padding and dilation, one entry per axis.

    They are keywords of `torch.nn.ConvTransposeNd`, and without kernel_size of `torch.nn.functional.conv_transposeNd`.

    Raises:
        DialectError: PyTorch's padding cannot make this crop, or there are more than 3 axes.

    >>> to_torch(Geometry(3, stride=2, crop=(1, 0)))
    {'kernel_size': (3,), 'stride': (2,), 'padding': (1,), 'output_padding': (1,), 'dilation': (1,)}
    """
    if geometry.ndim > 3:
        raise errors.DialectError(
            f"PyTorch has conv_transpose1d, 2d and 3d, none for {geometry.ndim} spatial axes; compute it with tconv"
        )
    for number, axis in enumerate(geometry.axes):
        if broken := _broken_law(axis):
            raise errors.DialectError(
                f"axis {number}: crop ({axis.crop_lo}, {axis.crop_hi}) needs {broken}; {_detour(geometry)}"
            )
    return {
        "kernel_size": geometry.kernel,
        "stride": geometry.stride,
        "padding": tuple(lo for lo, _ in geometry.crop),
        "output_padding": tuple(lo - hi for lo, hi in geometry.crop),
        "dilation": geometry.dilation,
    }


def _broken_law(axis: Axis) -> str | None:
    """What PyTorch would need for this crop and does not allow; None if it can."""
    if axis.crop_lo < 0:
        return f"padding {axis.crop_lo}, and PyTorch's padding cannot be negative"
    output_padding = axis.crop_lo - axis.crop_hi
    if not 0 <= output_padding < max(axis.stride, axis.dilation):
        return (
            f"padding {axis.crop_lo} and output_padding {output_padding}, and PyTorch's output_padding must be at "
            f"least 0 and smaller than max(stride {axis.stride}, dilation {axis.dilation})"
        )
    return None


def _detour(geometry: Geometry) -> str:
    """Torch code that any crop can be written with; its pad counts axes from the last."""
    pads = tuple(-cells for pair in reversed(geometry.crop) for cells in pair)
    return (
        f"run the layer with padding 0, output_padding 0 and no bias, then torch.nn.functional.pad(y, {pads}), which "
        f"cuts where it is negative, then add the bias"
    )
