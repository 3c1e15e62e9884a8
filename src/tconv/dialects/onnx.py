"""ONNX: operator ConvTranspose-22 (and -11; the text of -1 has UPPER and LOWER the other way round, runtimes do not).

    pads and output_padding     crop = (begin, end - output_padding)
    output_shape                surplus = full size - output_shape
    auto_pad SAME_*             surplus = extent - stride, so that out = in * stride
    the last two                total = surplus + output_padding is split between begin and end

An odd total gives its extra cell to the end for SAME_UPPER, else to the beginning. All are resolved to explicit crops
here: the specification has deprecated auto_pad, and leaves room at the edges, where this module follows ONNX Runtime:

* total < 0: pads cannot be negative, so nothing is cut. output_shape then appends the missing cells at the high end;
  SAME_* (extent < stride) appends none, and out is less than the in * stride of the text and of TensorFlow's SAME.
  OpenVINO and onnx's shape inference agree; onnx's reference evaluator halves the negative total: a shift.
* SAME_UPPER with output_shape: OpenVINO (2026.4) splits as for SAME_LOWER. output_shape alone: onnx's reference
  evaluator (1.23) fails. SAME_* with output_padding: onnx's shape inference adds it to the size, ONNX Runtime does not.
* stride <= output_padding < dilation is legal, here as in PyTorch; ONNX Runtime (1.31) refuses it.

The weight layout of input W, (in_channels, out_channels/group, *kernel), is tconv's own: there is nothing to convert.
"""

from __future__ import annotations

from collections.abc import Sequence

from tconv import errors
from tconv.geometry import Axis, Geometry, Sizes
from tconv.geometry.arguments import Ints, integer, is_sequence, per_axis

AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def from_onnx(
    kernel_shape: Ints,
    in_size: Ints | None = None,
    *,
    strides: Ints | None = None,
    pads: Sequence[int] | None = None,
    dilations: Ints | None = None,
    output_padding: Ints | None = None,
    auto_pad: str | bytes = "NOTSET",
    output_shape: Ints | None = None,
) -> Geometry:
    """The geometry of a ConvTranspose node with these attributes (all but `group`, which is not geometry).

    Args:
        kernel_shape: the weight's `shape[2:]` where the node does not have the attribute.
        in_size: the input's spatial sizes; needed for `output_shape` only. The geometry then is for that size.
        pads: all beginnings, then all ends; ignored where there is an `output_shape`, as the operator says.
        auto_pad: not together with pads. As text, or as the bytes that an ONNX file stores.
        output_shape: spatial sizes only.

    Raises:
        PaddingError: negative pads, an unknown auto_pad, or both.
        InputSizeError: `output_shape` without `in_size`.
        OutputSizeError: an `output_shape` that these parameters cannot reach.
        LengthError, OutputPaddingError: as their names say; and what `Geometry` raises.

    >>> from_onnx([3], strides=[2], pads=[1, 1], output_padding=[1]).crop
    ((1, 0),)
    >>> from_onnx([3], strides=[2], auto_pad="SAME_UPPER").crop
    ((0, 1),)
    >>> from_onnx([3], 6, strides=[2], output_shape=[12]).crop
    ((1, 0),)
    """
    ndim = len(kernel_shape) if is_sequence(kernel_shape) else 1
    extra = per_axis("output_padding", 0 if output_padding is None else output_padding, ndim)
    strides, dilations = 1 if strides is None else strides, 1 if dilations is None else dilations
    node = Geometry.from_torch(kernel_shape, strides, 0, extra, dilations, ndim)
    auto_pad = _auto_pad(auto_pad, pads)
    crop = tuple((lo, hi - op) for (lo, hi), op in zip(_pairs(pads, ndim), extra, strict=True))
    if output_shape is not None:
        crop = _split(_surplus(node, in_size, per_axis("output_shape", output_shape, ndim)), extra, auto_pad)
    elif auto_pad.startswith("SAME"):
        surplus = [max(axis.extent - axis.stride, -op) for axis, op in zip(node.axes, extra, strict=True)]
        crop = _split(surplus, extra, auto_pad)
    return Geometry(node.kernel, node.stride, node.dilation, crop)


def to_onnx(geometry: Geometry) -> dict[str, list[int]]:
    """kernel_shape, strides, dilations, pads and output_padding of a ConvTranspose node; no auto_pad, no output_shape.

    Cells that are missing at the high end are output_padding.

    Raises:
        DialectError: neither pads nor output_padding can make this crop.

    >>> to_onnx(Geometry(3, stride=2, crop=(1, -1)))
    {'kernel_shape': [3], 'strides': [2], 'dilations': [1], 'pads': [1, 0], 'output_padding': [1]}
    """
    for number, axis in enumerate(geometry.axes):
        if broken := _broken_law(axis):
            raise errors.DialectError(
                f"axis {number}: crop ({axis.crop_lo}, {axis.crop_hi}) needs {broken}; {_detour(geometry)}"
            )
    return {
        "kernel_shape": list(geometry.kernel),
        "strides": list(geometry.stride),
        "dilations": list(geometry.dilation),
        "pads": [lo for lo, _ in geometry.crop] + [max(hi, 0) for _, hi in geometry.crop],
        "output_padding": [max(-hi, 0) for _, hi in geometry.crop],
    }


def _auto_pad(auto_pad: str | bytes, pads: Sequence[int] | None) -> str:
    name = auto_pad.decode() if isinstance(auto_pad, bytes) else auto_pad
    if name not in AUTO_PADS:
        raise errors.PaddingError(f"auto_pad {name!r} is unknown; ONNX has {', '.join(AUTO_PADS)}")
    if name != "NOTSET" and pads is not None:
        raise errors.PaddingError(
            f"auto_pad {name!r} and pads {list(pads)} contradict each other, ONNX allows one of them; drop the other"
        )
    return name


def _pairs(pads: Sequence[int] | None, ndim: int) -> tuple[tuple[int, int], ...]:
    """(begin, end) per axis from ONNX's flat list."""
    if pads is None:
        return ((0, 0),) * ndim
    if not is_sequence(pads) or len(pads) != 2 * ndim:
        raise errors.LengthError(
            f"pads {pads!r} must have {2 * ndim} entries for {ndim} spatial axes: all beginnings, then all ends"
        )
    entries = [integer("pads", value) for value in pads]
    if min(entries) < 0:
        raise errors.PaddingError(f"pads {entries} must not be negative; cells are added by output_padding")
    return tuple(zip(entries[:ndim], entries[ndim:], strict=True))


def _surplus(node: Geometry, in_size: Ints | None, out_size: Sizes) -> list[int]:
    """Cells of the uncropped result that `out_size` has no room for; negative where it asks for more."""
    if in_size is None:
        raise errors.InputSizeError(
            f"output_shape {out_size} needs in_size: it cuts what stride*(in_size-1) + dilation*(kernel-1) + 1 has too "
            f"many, which depends on the input; give its spatial sizes"
        )
    sizes = node.full_size(in_size)
    for number, (axis, size, out) in enumerate(zip(node.axes, sizes, out_size, strict=True)):
        largest = size + max(axis.stride, axis.dilation) - 1
        if not 1 <= out <= largest:
            raise errors.OutputSizeError(
                f"axis {number}: output_shape {out} must be from 1 to {largest}: the {size} cells without pads, and "
                f"fewer than max(stride {axis.stride}, dilation {axis.dilation}) more"
            )
    return [size - out for size, out in zip(sizes, out_size, strict=True)]


def _split(surplus: Sequence[int], output_padding: Sizes, auto_pad: str) -> tuple[tuple[int, int], ...]:
    """(crop_lo, crop_hi) per axis that cut `surplus` cells, distributed as the operator distributes its pads."""
    totals = [max(cells + op, 0) for cells, op in zip(surplus, output_padding, strict=True)]
    begins = [total // 2 if auto_pad == "SAME_UPPER" else total - total // 2 for total in totals]
    return tuple((lo, cells - lo) for lo, cells in zip(begins, surplus, strict=True))


def _broken_law(axis: Axis) -> str | None:
    """What ONNX would need for this crop and does not allow; None if it can."""
    if axis.crop_lo < 0:
        return f"pads {axis.crop_lo} at the beginning, and ONNX's pads cannot be negative"
    if -axis.crop_hi >= max(axis.stride, axis.dilation):
        return (
            f"output_padding {-axis.crop_hi}, and ONNX's output_padding must be smaller than max(stride {axis.stride}, "
            f"dilation {axis.dilation})"
        )
    return None


def _detour(geometry: Geometry) -> str:
    """Nodes that any crop can be written with."""
    pads = [-lo for lo, _ in geometry.crop] + [-hi for _, hi in geometry.crop]
    return (
        f"use a ConvTranspose without pads and B, then a Pad with pads {pads} on axes "
        f"{list(range(2, 2 + geometry.ndim))}, which cuts where it is negative, then an Add of the bias"
    )
