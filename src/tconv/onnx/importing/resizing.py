"""Resize: PyTorch's own interpolation where it means the same, else the standard's arithmetic, axis by axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tconv.onnx.importing.operators import Attributes, Operator, Table

MODES = {"linear": {1: "linear", 2: "bilinear", 3: "trilinear"}, "cubic": {2: "bicubic"}}
PLACES = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "asymmetric", "align_corners")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def resize(
    x: Tensor,
    roi: Any = None,
    scales: list[float] | None = None,
    sizes: list[int] | None = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    antialias: int = 0,
    axes: list[int] | None = None,
    keep_aspect_ratio_policy: str = "stretch",
) -> Tensor:
    """`x` in another size, by scales or by sizes."""
    chosen = [axis % x.dim() for axis in axes] if axes is not None else list(range(x.dim()))
    if sizes:
        given = dict(zip(chosen, sizes, strict=True))
        after = [given.get(axis, x.shape[axis]) for axis in range(x.dim())]
        ratios = [after[axis] / x.shape[axis] for axis in range(x.dim())]
    else:
        factors = dict(zip(chosen, scales or [], strict=True))
        ratios = [factors.get(axis, 1.0) for axis in range(x.dim())]
        after = [math.floor(x.shape[axis] * ratio) for axis, ratio in enumerate(ratios)]
    plain = not exclude_outside and (mode != "cubic" or cubic_coeff_a == -0.75)
    quick = _interpolated(x, after, ratios, mode, coordinate_transformation_mode, nearest_mode) if plain else None
    if quick is not None:
        return quick
    for axis, ratio in enumerate(ratios):
        if ratio != 1 or after[axis] != x.shape[axis]:
            places = _places(x.shape[axis], after[axis], ratio, coordinate_transformation_mode)
            if mode == "nearest":
                x = x.index_select(axis, _rounded(places, nearest_mode).clamp(0, x.shape[axis] - 1))
            else:
                x = _weighed(x, axis, places, cubic_coeff_a if mode == "cubic" else None, bool(exclude_outside))
    return x


def _interpolated(
    x: Tensor, after: Sequence[int], ratios: Sequence[float], mode: str, places: str, rounding: str
) -> Tensor | None:
    """By PyTorch, if it has the same places and weights; else None."""
    ndim = x.dim() - 2
    true = all(ratio * before == size for ratio, before, size in zip(ratios, x.shape, after, strict=True))
    if not true or not 1 <= ndim <= 3 or any(ratio != 1 for ratio in ratios[:2]) or not x.is_floating_point():
        return None
    if mode == "nearest":
        whole = [int(ratio) for ratio in ratios[2:]]
        if all(ratio == n for ratio, n in zip(ratios[2:], whole, strict=True)) and all(
            takes_the_same(n, places, rounding) for n in whole
        ):
            return F.interpolate(x, scale_factor=[float(n) for n in whole], mode="nearest-exact")
        return None
    theirs = MODES[mode].get(ndim)
    aligned = places == "align_corners"
    if theirs is None or not (aligned or places in ("half_pixel", "pytorch_half_pixel")):
        return None
    if places == "pytorch_half_pixel" and min(after[2:]) == 1:
        return None
    return F.interpolate(x, size=list(after[2:]), mode=theirs, align_corners=aligned)


def takes_the_same(scale: int, places: str, rounding: str) -> bool:
    """Whether nearest upsampling by a whole number takes x[floor(j/scale)] for every j.

    Output scale*i + a reads at i + f, where f does not depend on i: it must round to i for every a.
    """
    if places == "align_corners" or places not in PLACES or scale < 1:
        return False
    for a in range(scale):
        # Twice the scale times f: whole numbers, so that nothing is lost before it is rounded.
        twice = 2 * a if places == "asymmetric" else 2 * a + 1 - scale
        if {
            "floor": twice // (2 * scale),
            "ceil": -(-twice // (2 * scale)),
            "round_prefer_floor": -((scale - twice) // (2 * scale)),
            "round_prefer_ceil": (twice + scale) // (2 * scale),
        }[rounding]:
            return False
    return True


def _places(before: int, after: int, ratio: float, how: str) -> Tensor:
    """Where each output lies among the inputs."""
    at = torch.arange(after, dtype=torch.float64)
    if how == "asymmetric":
        return at / ratio
    if how == "align_corners":
        return at * ((before - 1) / (after - 1)) if after > 1 else at * 0
    if how == "pytorch_half_pixel" and after == 1:
        return at * 0
    middle = (at + 0.5) / ratio - 0.5
    if how == "half_pixel_symmetric":
        # What is lost where a size is not a whole multiple is lost at both ends.
        return middle + before / 2 * (1 - after / (ratio * before))
    return middle


def _rounded(places: Tensor, how: str) -> Tensor:
    if how == "round_prefer_floor":
        return torch.ceil(places - 0.5).long()
    if how == "round_prefer_ceil":
        return torch.floor(places + 0.5).long()
    return (torch.floor(places) if how == "floor" else torch.ceil(places)).long()


def _weighed(x: Tensor, axis: int, places: Tensor, coefficient: float | None, only_inside: bool) -> Tensor:
    """Linear interpolation along an axis, or cubic with a coefficient; what lies outside is its nearest number."""
    first = torch.floor(places)
    t = places - first
    if coefficient is None:
        offsets, weights = [0, 1], [1 - t, t]
    else:
        offsets, weights = [-1, 0, 1, 2], [_cubic((t - n).abs(), coefficient) for n in (-1, 0, 1, 2)]
    size = x.shape[axis]
    if only_inside:
        inside = [((first + n >= 0) & (first + n < size)).double() for n in offsets]
        weights = [w * one for w, one in zip(weights, inside, strict=True)]
        whole = torch.stack(weights).sum(0)
        weights = [w / whole for w in weights]
    shape = [-1] + [1] * (x.dim() - 1 - axis)
    parts = [
        x.index_select(axis, (first + n).clamp(0, size - 1).long()) * w.to(x.dtype).reshape(shape)
        for n, w in zip(offsets, weights, strict=True)
    ]
    return torch.stack(parts).sum(0)


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Keys' cubic kernel (1981) at these distances."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))


def _refuses(attributes: Attributes) -> str | None:
    places = attributes.get("coordinate_transformation_mode", "half_pixel")
    if places not in PLACES:
        return f"coordinate_transformation_mode {places!r}"
    if attributes.get("antialias"):
        return "antialias 1"
    policy = attributes.get("keep_aspect_ratio_policy", "stretch")
    return None if policy == "stretch" else f"keep_aspect_ratio_policy {policy!r}"


TABLE: Table = {"Resize": Operator(resize, python=(1, 2, 3), refuses=_refuses)}
