"""A transposed convolution as a convolution that computes all phases of a cell, and their weaving together.

On one axis, with stride s, dilation d and crop lo, input i and tap m meet at output o = s*i + d*m - lo. Write
o + b = s*q + r with 0 <= r < s, where b is a number of cells that are computed in vain and cut off. Then

    r = (d*m - lo + b) mod s,    q = i + e,    e = floor((d*m - lo + b) / s)

so that tap m belongs to phase r alone, and cell q of that phase reads input q - e. The offsets e of all phases go from
e_min = floor((b - lo) / s) to e_max = floor((d*(k-1) - lo + b) / s): a convolution with e_max - e_min + 1 taps, which
reads x[q - e_max + t] with tap t = e_max - e, has all phases among its channels. It pads e_max zeros before the input;
and as out = s*(n-1) + d*(k-1) + 1 - lo - hi for n inputs, there are n - 1 + ceil(u/s) cells, u = d*(k-1) + 1 - lo - hi
+ b, for which it pads ceil(u/s) - 1 - e_min behind, and s*ceil(u/s) - u outputs are cut off there: for every n. Beyond
the border x is absent, as zeros are: exact everywhere.

With b = lo mod s the phases need the fewest taps, k/s of a kernel that is a multiple of the stride; with b = 0 nothing
is cut off at the low end, which may be the larger cost where there are few channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tconv.geometry import Axis
from tconv.nn.folding.laws import Transposed
from tconv.onnx.folds.chains import Chain, as_array
from tconv.onnx.folds.place import Candidate, Writer

FAR = 2**31 - 1  # as the end of a slice: the end of the axis
MOST = 2**28  # numbers of a weight, beyond which nothing is gained


@dataclass(frozen=True)
class Cells:
    """The phases of one axis as one convolution.

    Attributes:
        stride: the number of phases.
        taps: of the convolution.
        pad: zeros (before, behind).
        cut: outputs (low, high) that are computed in vain.
        places: for every tap of the kernel its phase and the tap of the convolution.
    """

    stride: int
    taps: int
    pad: tuple[int, int]
    cut: tuple[int, int]
    places: tuple[tuple[int, int], ...]


def cells_of(axis: Axis, aligned: bool) -> Cells | None:
    """The phases of an axis, with fewest taps or, if `aligned`, nothing to cut off at the low end.

    None where cells would have to be cut off the input: a convolution in ONNX pads no negative number of zeros.
    """
    s, d, lo = axis.stride, axis.dilation, axis.crop_lo
    b = 0 if aligned else lo % s
    first, last = (b - lo) // s, (d * (axis.kernel - 1) - lo + b) // s
    u = d * (axis.kernel - 1) + 1 - lo - axis.crop_hi + b
    cells = -(-u // s)
    behind = cells - 1 - first
    if last < 0 or behind < 0:
        return None
    where = [((d * m - lo + b) % s, last - (d * m - lo + b) // s) for m in range(axis.kernel)]
    return Cells(s, last - first + 1, (last, behind), (b, s * cells - u), tuple(where))


def as_phases(chain: Chain, place: str, sizes: tuple[int, ...] | None) -> Iterator[Candidate]:
    """The chain as a convolution, its activation and DepthToSpace, cut to size.

    Args:
        chain: any.
        place: a prefix for names.
        sizes: of the spatial axes of its input, if the file fixes them: they are needed for three axes and for strides
            that differ, where nodes that weave for every size are slow.
    """
    layer = chain.layer
    if not isinstance(layer, Transposed) or layer.phase_bias is not None or max(layer.geometry.stride) == 1:
        return
    if "DepthToSpace" in {node.op_type for node in chain.nodes}:  # it is written so already
        return
    found: list[list[Cells]] = []
    for aligned in (False, True):
        cells = [cells_of(axis, aligned) for axis in layer.geometry.axes]
        whole = [each for each in cells if each is not None]
        if len(whole) == len(cells) and whole not in found:
            found.append(whole)
    for number, axes in enumerate(found):
        square = len(axes) == 2 and axes[0].stride == axes[1].stride
        few = layer.weight.shape[0] * layer.out_channels * prod(each.stride * each.taps for each in axes) <= MOST
        if few and (square or len(axes) == 1 or sizes is not None):
            yield _written(chain, layer, axes, f"{place}.phases{number}", sizes)


def _written(
    chain: Chain, layer: Transposed, axes: list[Cells], place: str, sizes: tuple[int, ...] | None
) -> Candidate:
    cuts = [each.cut for each in axes]
    name = "Conv + DepthToSpace" if len(axes) == 2 else "Conv + Transpose"
    name += f", {' x '.join(str(each.taps) for each in axes)} taps" + (", Slice" if any(map(any, cuts)) else "")
    writer = Writer(name, place, chain.nodes[0].input[0], chain.nodes[-1].output[0])
    constants = [writer.weight("weight", as_array(phase_weight(layer, axes), chain.weight))]
    if layer.bias is not None:
        bias = layer.bias.repeat_interleave(prod(each.stride for each in axes))
        constants.append(writer.weight("bias", as_array(bias, chain.weight)))
    pads = [each.pad[0] for each in axes] + [each.pad[1] for each in axes]
    writer.then("Conv", *constants, kernel_shape=[each.taps for each in axes], pads=pads, group=layer.groups)
    if chain.activation is not None:  # which the runtime computes in the convolution's store
        writer.copy(chain.activation)
    _weave(writer, layer.out_channels, axes, sizes)
    if any(map(any, cuts)):
        lows = writer.weight("starts", np.array([low for low, _ in cuts], np.int64))
        highs = writer.weight("ends", np.array([-high if high else FAR for _, high in cuts], np.int64))
        over = writer.weight("axes", np.arange(2, 2 + len(axes), dtype=np.int64))
        writer.then("Slice", lows, highs, over)
    return writer.done()


def _weave(writer: Writer, channels: int, axes: list[Cells], sizes: tuple[int, ...] | None) -> None:
    """Phases among the channels to pixels."""
    strides = [each.stride for each in axes]
    if len(axes) == 2 and strides[0] == strides[1]:
        writer.then("DepthToSpace", blocksize=strides[0], mode="CRD")
        return
    ndim = len(axes)
    counts = [-1] if sizes is None else [_count(each, size) for each, size in zip(axes, sizes, strict=True)]
    apart = np.array([0, channels, *strides, *counts], np.int64)
    together = [-1] if sizes is None else [s * n for s, n in zip(strides, counts, strict=True)]
    writer.then("Reshape", writer.weight("apart", apart))
    order = [0, 1] + [at for n in range(ndim) for at in (2 + ndim + n, 2 + n)]
    writer.then("Transpose", perm=order)
    writer.then("Reshape", writer.weight("together", np.array([0, channels, *together], np.int64)))


def _count(axis: Cells, size: int) -> int:
    """The cells that the convolution computes."""
    return size + sum(axis.pad) - axis.taps + 1


def phase_weight(layer: Transposed, axes: list[Cells]) -> Tensor:
    """(out * phases, in/groups, *taps): the phases of an output channel one after the other, the last axis fastest."""
    groups, strides, taps = layer.groups, [each.stride for each in axes], [each.taps for each in axes]
    into, out = layer.weight.shape[0] // groups, layer.weight.shape[1]
    kernel = layer.weight.reshape(groups, into, out, *layer.weight.shape[2:]).transpose(1, 2)
    result = torch.zeros(groups, out, *strides, into, *taps, dtype=layer.weight.dtype)
    for tap in product(*(range(len(each.places)) for each in axes)):
        where = [axis.places[m] for axis, m in zip(axes, tap, strict=True)]
        phase, at = tuple(r for r, _ in where), tuple(t for _, t in where)
        into_place: Any = (slice(None), slice(None), *phase, slice(None), *at)
        read: Any = (..., *tap)
        result[into_place] = kernel[read]
    return result.reshape(groups * out * prod(strides), into, *taps)
