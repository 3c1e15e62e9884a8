"""`occlusion`: how much a score falls when a part of the image is covered."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from tconv import errors
from tconv.arrays import Array
from tconv.geometry import Axis, Geometry, Sizes
from tconv.geometry.arguments import Ints, per_axis
from tconv.insight.running import as_input, as_result, first_tensor, run, untouched
from tconv.layer import prepare

Score: TypeAlias = int | Callable[[Any], Tensor]


def occlusion(
    model: nn.Module,
    x: Any,
    score: Score,
    size: Ints | None = None,
    stride: Ints | None = None,
    *,
    value: float | Sequence[float] = 0.0,
    batch: int = 16,
) -> Tensor:
    """Where covering the image lowers a score: a square slides over it, and the model judges what is left.

    Each pixel gets the mean fall of the score over the squares that cover it: the falls, one per square, stamped by a
    transposed convolution with a kernel of ones and divided by its coverage. Squares lie evenly, and those at the
    border reach beyond it by as much on both sides. Source: Zeiler and Fergus, arXiv:1311.2901, section 4.2.

    Args:
        model, x: as for `project`.
        score: a class or channel of what the model gives, (batch, classes, ...), averaged over all places; or a
            function of what the model gives, with one number per image.
        size: of the square, in pixels; an int or one per axis; default an eighth of each side.
        stride: between neighbouring squares, at most `size`; default half of it.
        value: what covers, one number or one per channel; default 0, which is the mean colour of normalised images.
        batch: covered images that are run at a time.

    Returns:
        (batch, *size), on the device of `x`: positive where the score needs the pixel; float64 if the model computes in
        that, else float32.

    Raises:
        ProjectionError: the model cannot compute `x`, or gives no score.
        InputSizeError, LengthError, ChannelError: as their names say.
    """
    image = as_input(model, x)
    shape = tuple(image.shape[2:])
    sides = per_axis("size", max(1, min(shape) // 8) if size is None else size, len(shape))
    steps = per_axis("stride", tuple(max(1, n // 2) for n in sides) if stride is None else stride, len(shape))
    geometry, grid = _squares(shape, sides, steps)
    cover = torch.as_tensor(value, dtype=image.dtype, device=image.device)
    if cover.dim() > 1 or (cover.dim() == 1 and len(cover) not in (1, image.shape[1])):
        raise errors.ChannelError(f"value {value} must be one number, or one for each of {image.shape[1]} channels")
    if batch < 1:
        raise errors.TconvError(f"batch {batch} must be at least 1")
    cover = cover.reshape(-1, *[1] * len(shape))
    with untouched(model, gradients=False):
        whole = _scores(model, image, score)
        falls = torch.empty(len(image), prod(grid), dtype=torch.float64)
        for n, sample in enumerate(image):
            for start in range(0, prod(grid), batch):
                chosen = range(start, min(start + batch, prod(grid)))
                covered = sample.repeat(len(chosen), *[1] * sample.dim())
                for row, number in enumerate(chosen):
                    covered[(row, slice(None), *_window(geometry, grid, number, shape))] = cover
                falls[n, start : chosen.stop] = whole[n] - _scores(model, covered, score)
    return as_result(torch.from_numpy(_spread(falls.reshape(len(image), *grid).numpy(), geometry)).to(image.dtype), x)


def _squares(shape: Sizes, sides: Sizes, steps: Sizes) -> tuple[Geometry, Sizes]:
    """Squares that cover the image evenly, as a transposed convolution from their grid to it; and that grid."""
    axes, grid = [], []
    for n, side, step in zip(shape, sides, steps, strict=True):
        if not 1 <= side <= n:
            raise errors.InputSizeError(f"size {sides} must be at least 1 and at most the image's {shape}")
        if not 1 <= step <= side:
            raise errors.InputSizeError(
                f"stride {steps} must be at least 1 and at most size {sides}, to leave nothing out"
            )
        count = -((side - n) // step) + 1
        surplus = Axis(side, step).full_size(count) - n
        axes.append(Axis(side, step, 1, surplus // 2, surplus - surplus // 2))
        grid.append(count)
    return Geometry.from_axes(axes), tuple(grid)


def _window(geometry: Geometry, grid: Sizes, number: int, shape: Sizes) -> tuple[slice, ...]:
    """What a square covers."""
    found = []
    for axis, at, n in zip(geometry.axes, np.unravel_index(number, grid), shape, strict=True):
        start = axis.stride * int(at) - axis.crop_lo
        found.append(slice(max(0, start), min(n, start + axis.extent)))
    return tuple(found)


def _scores(model: nn.Module, images: Tensor, score: Score) -> Tensor:
    """One number per image, float64 on the CPU."""
    output, _ = run(model, images, {}, gradients=False)
    if callable(score):
        found = torch.as_tensor(score(output))
        what = "score gives"
    else:
        scores = first_tensor(output)
        if scores is None or scores.dim() < 2:
            raise errors.ProjectionError("the model gives no tensor (batch, classes, ...); give score as a function")
        classes = scores.shape[1]
        if not -classes <= operator.index(score) < classes:
            raise errors.ChannelError(
                f"score {score} is not there: the model gives {classes} classes, 0 to {classes - 1}"
            )
        found = scores[:, score].reshape(len(scores), -1).mean(dim=1)
        what = "the model gives"
    if found.shape != (len(images),):
        raise errors.ProjectionError(
            f"{what} the shape {tuple(found.shape)} for {len(images)} images; it must be one number per image"
        )
    return found.detach().to("cpu", torch.float64)


def _spread(falls: Array, geometry: Geometry) -> Array:
    """(batch, *grid) -> (batch, *size): the mean of the falls of the squares that cover a pixel."""
    stamped = prepare(np.ones((1, 1, *geometry.kernel)), geometry=geometry)(falls[:, None])[:, 0]
    for axis, counts in enumerate(geometry.coverage(falls.shape[1:]).axes):
        stamped /= np.array(counts.counts).reshape([-1 if n == axis else 1 for n in range(geometry.ndim)])
    return stamped
