"""What users give: images, masks, kernels, codes; judged once, and brought into the form that the solvers work on.

Images are (images, channels, *size), as everywhere in tconv; or a list of (channels, *size), which may differ in size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array, as_array

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def images(X: Any, ndim: int | None = None, channels: int | None = None, masked: bool = False) -> list[Array]:
    """Groups of images of one size: the array itself, or every image of a list as a batch of one.

    float32 and float64 stay, in native byte order; integers and booleans become float64, half precision float32.

    Args:
        ndim: spatial axes that they must have; None: any, at least one.
        channels: that they must have; None: any.
        masked: whether NaN and Inf are for the mask to judge.

    Raises:
        RankError, ChannelError, InputSizeError, DtypeError: as their names say.
        TconvError: no images, or NaN or Inf in one.
    """
    if isinstance(X, list | tuple):
        groups = [_image(as_array(f"X[{n}]", one), f"X[{n}]", ndim)[None] for n, one in enumerate(X)]
        names = [f"X[{n}]" for n in range(len(groups))]
    else:
        array = as_array("X", X)
        if array.ndim < 3 if ndim is None else array.ndim != ndim + 2:
            count = "3 dimensions or more" if ndim is None else f"{ndim + 2} dimensions"
            raise errors.RankError(
                f"X has shape {array.shape}; it must be (images, channels, *size), {count}: for one image of one "
                f"channel pass X[None, None]"
            )
        groups, names = [array], ["X"]
    if not groups or not len(groups[0]):
        raise errors.TconvError("X has no images; give at least one")
    return [_judged(group, name, channels, masked) for group, name in zip(groups, names, strict=True)]


def _image(array: Array, name: str, ndim: int | None) -> Array:
    if array.ndim < 2 if ndim is None else array.ndim != ndim + 1:
        raise errors.RankError(
            f"{name} has shape {array.shape}; an image in a list must be (channels, *size): for one channel pass "
            f"{name}[None]"
        )
    return array


def _judged(array: Array, name: str, channels: int | None, masked: bool) -> Array:
    if channels is not None and array.shape[1] != channels:
        raise errors.ChannelError(
            f"{name} has {array.shape[1]} channels, the kernels have {channels}; give images and kernels as many"
        )
    if 0 in array.shape:
        raise errors.InputSizeError(f"{name} has shape {array.shape}; every size must be at least 1")
    if array.dtype.kind not in "biuf":
        raise errors.DtypeError(f"{name} has dtype {array.dtype}; give real numbers, such as {name}.astype('float32')")
    array = np.ascontiguousarray(array, computed_in(array.dtype))
    if not masked and not np.isfinite(array).all():
        raise errors.TconvError(
            f"{name} has {int((~np.isfinite(array)).sum())} values that are NaN or Inf; leave them out with "
            f"mask=numpy.isfinite(X)"
        )
    return array


def computed_in(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that numbers of a dtype are computed in."""
    native = dtype.newbyteorder("=")
    if native in FLOATS:
        return np.dtype(native.type)
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize == 2 else np.float64)


def masks(mask: Any, groups: Sequence[Array], listed: bool) -> list[Array | None]:
    """Weights for each group, (images, channels, *size), and None where everything counts once.

    Args:
        mask: None, or what can be broadcast to the images: True or 1 for what is known, False or 0 for what is missing,
            or weights from 0 to 1. For a list of images, a list of such.
        listed: whether the images came as a list.

    Raises:
        RankError: a mask of another shape.
        TconvError: weights outside 0..1, nothing known, or NaN where the mask says that it is known.
    """
    if mask is None:
        return [None] * len(groups)
    given = list(mask) if listed else [mask]
    if len(given) != len(groups):
        raise errors.RankError(f"there are {len(groups)} images and {len(given)} masks; give one mask for each image")
    names = [f"mask[{n}]" if listed else "mask" for n in range(len(given))]
    return [_mask(one, group, name) for one, group, name in zip(given, groups, names, strict=True)]


def _mask(mask: Any, group: Array, name: str) -> Array | None:
    weights = as_array(name, mask).astype(group.dtype)
    try:
        weights = np.broadcast_to(weights, group.shape)
    except ValueError:
        raise errors.RankError(
            f"{name} has shape {weights.shape}, the images have {group.shape}; give one that can be broadcast to them"
        ) from None
    if not ((weights >= 0) & (weights <= 1)).all():
        raise errors.TconvError(
            f"{name} must hold weights from 0 (missing) to 1 (known); {_outside(weights)} is outside"
        )
    if not weights.any():
        raise errors.TconvError(f"{name} says that every pixel is missing; something must be known")
    if not np.isfinite(group[weights > 0]).all():
        raise errors.TconvError(f"X has NaN or Inf where {name} says that it is known; set the mask to 0 there")
    return None if (weights == 1).all() else weights


def _outside(weights: Array) -> float:
    return float(weights[~((weights >= 0) & (weights <= 1))][0])


def kernels(value: Any) -> Array:
    """Kernels (kernels, channels, *kernel), float32 or float64, C-contiguous.

    Raises:
        RankError, KernelError, DtypeError: as their names say.
        TconvError: NaN or Inf, or a kernel of zeros.
    """
    array = as_array("kernels", value)
    if array.ndim < 3:
        raise errors.RankError(
            f"kernels have shape {array.shape}; they must be (kernels, channels, *kernel): for one channel pass "
            f"kernels[:, None]"
        )
    if 0 in array.shape:
        raise errors.KernelError(f"kernels have shape {array.shape}; every size must be at least 1")
    if array.dtype.kind not in "biuf":
        raise errors.DtypeError(
            f"kernels have dtype {array.dtype}; give real numbers, such as kernels.astype('float32')"
        )
    array = np.ascontiguousarray(array, computed_in(array.dtype))
    if not np.isfinite(array).all():
        raise errors.TconvError("kernels hold NaN or Inf; they must be finite")
    empty = np.flatnonzero(~array.reshape(len(array), -1).any(axis=1))
    if len(empty):
        raise errors.TconvError(f"kernel {empty[0]} is zero everywhere and explains nothing; leave it out")
    return array


def number(name: str, value: Any, above: bool = True) -> float:
    """`value` as a finite float, above 0 or at least 0.

    Raises:
        TconvError: it is none.
    """
    bad = isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer)
    if bad or not np.isfinite(value) or value < 0 or (above and value == 0):
        raise errors.TconvError(f"{name} {value!r} must be a number {'above 0' if above else 'of at least 0'}")
    return float(value)


def generator(random_state: Any) -> np.random.Generator:
    """The source of random numbers that a seed stands for.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise errors.ArgumentTypeError(
            f"random_state {random_state!r} must be a seed, a numpy.random.Generator or None"
        ) from None


def flag(name: str, value: Any) -> bool:
    """`value` as a bool; anything else is refused."""
    if not isinstance(value, bool | np.bool_):
        raise errors.ArgumentTypeError(f"{name} {value!r} must be True or False")
    return bool(value)
