"""What the arrays of a call must be: ranks, channels, groups, bias and dtype, judged once for every path.

input (batch, in_channels, *in_size)  or unbatched  (in_channels, *in_size)
weight (in_channels, out_channels/groups, *kernel)
bias (out_channels,)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tconv import errors
from tconv.geometry.arguments import integer

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The sizes that a call's arrays agree on; spatial geometry apart."""

    batched: bool
    batch: int
    groups: int
    in_channels: int
    out_channels: int
    in_size: Shape
    kernel: Shape

    def result_shape(self, out_size: Shape) -> Shape:
        """Shape of the output array."""
        return (*([self.batch] if self.batched else []), self.out_channels, *out_size)


# How to make a NumPy array of what is one of another package and would lose its gradient or its device by itself.
_NUMPY_OF = {
    "torch": ("torch.Tensor", "{}.detach().numpy()"),
    "cupy": ("cupy.ndarray, on a GPU", "cupy.asnumpy({})"),
    "tensorflow": ("tensorflow.Tensor", "{}.numpy()"),
}


def package_of(value: Any) -> str:
    """The package that the array type of `value` comes from, also if a subclass of it is somebody else's."""
    packages = [base.__module__.partition(".")[0] for base in type(value).__mro__]
    return next((name for name in packages if name in (*_NUMPY_OF, "jax", "jaxlib")), packages[0])


def as_array(name: str, value: Any) -> Array:
    """`value` as a NumPy array whose dtype can be computed with."""
    if type(value) is not np.ndarray:
        if (package := package_of(value)) in _NUMPY_OF:
            kind, cure = _NUMPY_OF[package]
            raise errors.ArgumentTypeError(
                f"{name} is a {kind}; this operator takes NumPy arrays: pass {cure.format(name)}"
            )
        if isinstance(value, np.ma.MaskedArray):
            raise errors.ArgumentTypeError(
                f"{name} is a masked array, and no number stands for its masked cells; choose one: {name}.filled(0)"
            )
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise errors.ArgumentTypeError(f"{name} cannot be read as an array: {error}") from None
    if value.dtype.kind not in "biufcO" and value.dtype.name != "bfloat16":
        raise errors.DtypeError(
            f"{name} has dtype {value.dtype}, which has no arithmetic here; use a float, integer or complex dtype"
        )
    array: Array = value
    return array


def same_dtype(weight: np.dtype[Any], **others: Array | None) -> None:
    """Refuse arrays whose dtype is not the weight's (byte order apart): what to round is the caller's decision."""
    for name, array in others.items():
        if array is None or array.dtype is weight:
            continue
        dtype = weight.newbyteorder("=")
        if array.dtype.newbyteorder("=") != dtype:
            raise errors.DtypeError(
                f"{name} has dtype {array.dtype} but the weight has {weight}; convert one: "
                f"{name}.astype({str(dtype)!r})"
            )


def check_weight(weight: Shape, bias: Shape | None, groups: int, ndim: int | None = None) -> int:
    """The number of output channels of a weight and bias with these shapes.

    Args:
        ndim: number of spatial axes, where the operator fixes it (conv_transpose2d: 2).

    Raises:
        RankError, ChannelError, BiasError, KernelError: as their names say.
    """
    if len(weight) < 3 if ndim is None else len(weight) != ndim + 2:
        axes = "" if ndim is None else f"for {ndim} spatial axes "
        count = "3 dimensions or more" if ndim is None else f"{ndim + 2} dimensions"
        bare = len(weight) == (2 if ndim is None else ndim)
        raise errors.RankError(
            f"weight has shape {weight}; {axes}it must be (in_channels, out_channels/groups, *kernel), {count}"
            f"{': weight[None, None] gives a kernel of one channel its two axes' if bare else ''}"
        )
    if 0 in weight[:2]:
        raise errors.ChannelError(f"weight {weight} has no channels; both channel counts must be at least 1")
    if 0 in weight[2:]:
        raise errors.KernelError(f"weight {weight} has an empty kernel; every kernel size must be at least 1")
    groups = integer("groups", groups)
    if groups < 1:
        raise errors.ChannelError(f"groups {groups} must be at least 1")
    if weight[0] % groups:
        raise errors.ChannelError(
            f"groups {groups} does not divide the {weight[0]} input channels; choose a divisor of {weight[0]}"
        )
    out_channels = weight[1] * groups
    if bias is not None and bias != (out_channels,):
        raise errors.BiasError(
            f"bias has shape {bias}; it must be ({out_channels},), one value per output channel "
            f"(weight {weight}, groups {groups})"
        )
    return out_channels


def layout(input: Shape, weight: Shape, bias: Shape | None, groups: int, ndim: int | None = None) -> Layout:
    """The `Layout` of arrays with these shapes; checks what `check_weight` does, and the input.

    Raises:
        RankError, ChannelError, InputSizeError: as their names say.
    """
    out_channels = check_weight(weight, bias, groups, ndim)
    ndim = len(weight) - 2
    if len(input) not in (ndim + 1, ndim + 2):
        bare = ": input[None] gives one channel its axis"
        raise errors.RankError(
            f"input has shape {input}; for {ndim} spatial axes it must be (batch, channels, *sizes) or (channels, "
            f"*sizes), {ndim + 2} or {ndim + 1} dimensions{bare if len(input) == ndim else ''}"
        )
    batched = len(input) == ndim + 2
    batch, in_channels, in_size = input[0] if batched else 1, input[-ndim - 1], input[-ndim:]
    if in_channels != weight[0]:
        raise errors.ChannelError(
            f"input has {in_channels} channels but weight {weight} takes {weight[0]}; "
            f"the weight's layout is (in_channels, out_channels/groups, *kernel)"
        )
    if 0 in in_size and batch:
        raise errors.InputSizeError(
            f"input has shape {input}; every spatial size must be at least 1 (only the batch may be empty)"
        )
    return Layout(batched, batch, int(groups), in_channels, out_channels, in_size, weight[2:])
