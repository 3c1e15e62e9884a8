"""Operators that move numbers and compute none."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tconv.onnx.importing.operators import DTYPES, Operator, Table, as_tensor, refused_values

FAR = 2**62  # beyond any size: how exporters write "to the end"


def reshape(x: Tensor, shape: list[int], *, allowzero: int = 0) -> Tensor:
    """In another shape, in which -1 is what is left, and 0 the size that `x` has there, unless zeros are allowed."""
    if not allowzero:
        shape = [x.shape[n] if size == 0 else size for n, size in enumerate(shape)]
    return x.reshape(shape)


def transpose(x: Tensor, *, perm: list[int] | None = None) -> Tensor:
    """Axes in another order, by default the reverse one."""
    return x.permute(perm if perm is not None else list(range(x.dim()))[::-1])


def squeeze(x: Tensor, more: list[int] | None = None, *, axes: list[int] | None = None) -> Tensor:
    """Without these axes, by default without all of size 1."""
    chosen = axes if axes is not None else more
    if chosen is None:
        return x.squeeze()
    return x.squeeze(tuple(chosen)) if chosen else x


def unsqueeze(x: Tensor, more: list[int] | int = 0, *, axes: list[int] | None = None) -> Tensor:
    """With axes of size 1 at these places of the result."""
    chosen = axes if axes is not None else more if isinstance(more, list) else [more]
    ndim = x.dim() + len(chosen)
    for axis in sorted(axis % ndim for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """As a matrix: the axes before `axis`, and the others."""
    rows = 1
    for size in x.shape[: axis if axis >= 0 else x.dim() + axis]:
        rows = rows * size
    return x.reshape(rows, -1) if x.numel() else x.reshape(rows, 0 if rows else 1)


def expand(x: Tensor, shape: list[int]) -> Tensor:
    """Broadcast together with this shape."""
    own = [1] * (len(shape) - x.dim()) + list(x.shape)
    asked = [1] * (x.dim() - len(shape)) + list(shape)
    return x.expand([have if want == 1 else want for have, want in zip(own, asked, strict=True)])


def tile(x: Tensor, repeats: list[int]) -> Tensor:
    """Repeated along each axis."""
    return x.repeat(repeats)


def concat(*tensors: Tensor, axis: int) -> Tensor:
    """One after the other along an axis."""
    return torch.cat(tensors, axis)


def split(
    x: Tensor,
    sizes: list[int] | None = None,
    *,
    outputs: int,
    axis: int = 0,
    split: list[int] | None = None,
    num_outputs: int | None = None,
) -> tuple[Tensor, ...]:
    """Parts of the given sizes along an axis; by default of one size, the last of which may be smaller."""
    given = split if split is not None else sizes
    if given is None:
        each = -(-x.shape[axis] // outputs)
        given = [each] * (outputs - 1) + [x.shape[axis] - each * (outputs - 1)]
    return torch.split(x, given, axis)


def cut(
    x: Tensor, starts: list[int], ends: list[int], axes: list[int] | None = None, steps: list[int] | None = None
) -> Tensor:
    """Every step-th place from start to before end; a negative step goes backwards."""
    axes = axes if axes is not None else list(range(len(starts)))
    steps = steps if steps is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = x.shape[axis]
        if step > 0:
            low, high = _within(start, size, 0, size), _within(end, size, 0, size)
            at: list[Any] = [slice(None)] * (axis % x.dim()) + [slice(low, high if high > low else low, step)]
            x = x[tuple(at)]
        else:
            places = range(_within(start, size, -1, size - 1), _within(end, size, -1, size - 1), step)
            x = x.index_select(axis, torch.tensor(list(places), dtype=torch.int64))
    return x


def _within(place: int, size: int, least: int, most: int) -> int:
    """A place that may count from the end, held within limits."""
    if place >= FAR or place <= -FAR:
        return most if place > 0 else least
    return min(max(place + size if place < 0 else place, least), most)


def gather(x: Tensor, index: Tensor | int, *, axis: int = 0) -> Tensor:
    """The slices of an axis with these numbers, negative ones from its end; the index's axes stand in its place."""
    if isinstance(index, int):
        return x.select(axis, index)
    axis = axis % x.dim()
    index = torch.where(index < 0, index + x.shape[axis], index)
    found = x.index_select(axis, index.reshape(-1))
    return found if index.dim() == 1 else found.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def gather_elements(x: Tensor, index: Tensor, *, axis: int = 0) -> Tensor:
    """For each place of the index, the number at that place of the axis."""
    return torch.gather(x, axis, torch.where(index < 0, index + x.shape[axis], index).long())


def gather_nd(x: Tensor, index: Tensor, *, batch_dims: int = 0) -> Tensor:
    """The slices at the places whose coordinates stand in the index's last axis."""
    whole = torch.where(index < 0, index + torch.tensor(x.shape[batch_dims : batch_dims + index.shape[-1]]), index)
    lead = []
    for n, size in enumerate(x.shape[:batch_dims]):
        lead.append(torch.arange(size).reshape([-1] + [1] * (index.dim() - 2 - n)))
    return x[(*lead, *whole.unbind(-1))]


def scatter_elements(x: Tensor, index: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none") -> Tensor:
    """A copy with the updates at the places of the index along an axis, or joined with what was there."""
    index = torch.where(index < 0, index + x.shape[axis], index).long()
    if reduction == "none":
        return x.scatter(axis, index, updates)
    how = {"add": "sum", "mul": "prod", "min": "amin", "max": "amax"}[reduction]
    return x.scatter_reduce(axis, index, updates, how)


def scatter_nd(x: Tensor, index: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """A copy with the updates at the places whose coordinates stand in the index's last axis."""
    whole = torch.where(index < 0, index + torch.tensor(x.shape[: index.shape[-1]]), index)
    return x.index_put(whole.unbind(-1), updates, accumulate=reduction == "add")


def pad(
    x: Tensor, pads: list[int], value: Any = None, axes: list[int] | None = None, *, mode: str = "constant"
) -> Tensor:
    """With cells added at both ends of axes, or cut off where a number is negative."""
    axes = [axis % x.dim() for axis in axes] if axes is not None else list(range(len(pads) // 2))
    pairs = {axis: (pads[n], pads[n + len(axes)]) for n, axis in enumerate(axes)}
    if mode == "constant":
        flat = [each for axis in range(x.dim())[::-1] for each in pairs.get(axis, (0, 0))]
        filled = 0 if value is None else value
        return F.pad(x, flat, "constant", filled.item() if isinstance(filled, Tensor) else filled)
    for axis, (low, high) in pairs.items():
        if low or high:
            size = x.shape[axis]
            x = x.index_select(axis, as_tensor([_mirrored(n, size, mode) for n in range(-low, size + high)]))
    return x


def _mirrored(place: int, size: int, mode: str) -> int:
    """The place inside from which a place beyond the border is filled."""
    if mode == "edge":
        return min(max(place, 0), size - 1)
    if mode == "wrap" or size == 1:
        return place % size
    place = place % (2 * size - 2)
    return place if place < size else 2 * size - 2 - place


def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Channels as pixels of blocks; CRD is PyTorch's pixel shuffle, in DCR the place in the block changes slowest."""
    if mode == "CRD":
        return F.pixel_shuffle(x, blocksize)
    batch, channels, height, width = x.shape
    blocks = x.reshape(batch, blocksize, blocksize, channels // blocksize**2, height, width)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, height * blocksize, width * blocksize)


def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Pixels of blocks as channels; CRD is PyTorch's pixel unshuffle, in DCR the place in the block changes slowest."""
    if mode == "CRD":
        return F.pixel_unshuffle(x, blocksize)
    batch, channels, height, width = x.shape
    blocks = x.reshape(batch, channels, height // blocksize, blocksize, width // blocksize, blocksize)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(batch, -1, height // blocksize, width // blocksize)


def constant_of_shape(shape: list[int], *, value: tuple[Any, int] = (0.0, 1)) -> Tensor:
    """A tensor of one number, which is given with ONNX's number of its dtype."""
    return torch.full(shape, value[0], dtype=DTYPES[value[1]])


def arange(start: Any, limit: Any, delta: Any) -> Tensor:
    """From start to before limit in steps of delta; nothing, where the steps lead away from it."""
    dtype = next((each.dtype for each in (start, limit, delta) if isinstance(each, Tensor)), None)
    low, high, step = (each.item() if isinstance(each, Tensor) else each for each in (start, limit, delta))
    return torch.arange(low, high if (high - low) * step > 0 else low, step, dtype=dtype)


def trilu(x: Tensor, k: int = 0, *, upper: int = 1) -> Tensor:
    """The triangle above the k-th diagonal, or below it."""
    return torch.triu(x, k or 0) if upper else torch.tril(x, k or 0)


def one_hot(index: Tensor, depth: int | list[int], values: Tensor, *, axis: int = -1) -> Tensor:
    """The second value where an axis's number is the index, else the first."""
    depth = int(depth[0] if isinstance(depth, list) else depth)
    index = torch.where(index < 0, index + depth, index).unsqueeze(axis)
    places = torch.arange(depth).reshape([-1] + [1] * (index.dim() - 1 - axis % index.dim()))
    return torch.where(index == places, values[1], values[0])


def non_zero(x: Tensor) -> Tensor:
    """The coordinates of all numbers that are not zero, a column for each."""
    return torch.nonzero(x).T


def shape_of(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """The shape, as a tensor."""
    return torch.tensor(list(x.shape)[start:end], dtype=torch.int64)


def size_of(x: Tensor) -> Tensor:
    """The number of elements, as a tensor."""
    return torch.tensor(x.numel(), dtype=torch.int64)


TABLE: Table = {
    "Concat": Operator(concat),
    "ConstantOfShape": Operator(constant_of_shape, python=(0,)),
    "DepthToSpace": Operator(depth_to_space),
    "Expand": Operator(expand, python=(1,)),
    "Flatten": Operator(flatten),
    "Gather": Operator(gather, scalars=True),
    "GatherElements": Operator(gather_elements),
    "GatherND": Operator(gather_nd),
    "NonZero": Operator(non_zero),
    "OneHot": Operator(one_hot, python=(1,)),
    "Pad": Operator(pad, python=(1, 3), scalars=True),
    "Range": Operator(arange, scalars=True),
    "Reshape": Operator(reshape, python=(1,)),
    "ScatterElements": Operator(scatter_elements),
    "ScatterND": Operator(scatter_nd, refuses=refused_values(reduction=("none", "add"))),
    "Shape": Operator(shape_of),
    "Size": Operator(size_of),
    "Slice": Operator(cut, python=(1, 2, 3, 4)),
    "SpaceToDepth": Operator(space_to_depth),
    "Split": Operator(split, python=(1,), several=True),
    "Squeeze": Operator(squeeze, python=(1,)),
    "Tile": Operator(tile, python=(1,)),
    "Transpose": Operator(transpose),
    "Trilu": Operator(trilu, python=(1,)),
    "Unsqueeze": Operator(unsqueeze, python=(1,)),
}
