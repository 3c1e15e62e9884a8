"""What users write behind the options, as geometry, sizes and arrays."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np
from cyclopts import Parameter

from tconv import errors
from tconv.arrays import Array
from tconv.geometry import Geometry, Sizes
from tconv.geometry.arguments import Pairs

Written: TypeAlias = Annotated[str, Parameter(allow_leading_hyphen=True)]  # text that may be a negative number


@Parameter(name="*")
@dataclass(frozen=True)
class GeometryOptions:
    """The options that every geometry has, the kernel apart."""

    stride: Written | None = None
    """Distance between the stamps of neighbouring inputs; an integer, or one per axis as in 2,1. Without it 1."""

    padding: Written = "0"
    """Cells cropped at both ends; or lo:hi pairs as in 1:0,0:1, negative ones extend; or same or valid, as Keras's."""

    output_padding: Written = "0"
    """Cells added at the high end, fewer than the stride or the dilation."""

    dilation: Written = "1"
    """Distance between neighbouring taps of the kernel."""

    def geometry(self, kernel: Sizes, ndim: int = 1) -> Geometry:
        """The geometry with this kernel, in `ndim` axes or as many as the longest option speaks of."""
        stride = integers("--stride", "1" if self.stride is None else self.stride)
        output_padding = integers("--output-padding", self.output_padding)
        padding, dilation = read_padding(self.padding), integers("--dilation", self.dilation)
        lengths = [len(each) for each in (kernel, stride, output_padding, dilation)]
        ndim = max(ndim, 1 if isinstance(padding, str) else len(padding), *lengths)
        return Geometry.from_torch(kernel, stride, padding, output_padding, dilation, ndim)


DEFAULTS = GeometryOptions()


def integers(option: str, text: str) -> Sizes:
    """`2`, or `2,1`, or `2x1`.

    >>> integers("--stride", "2"), integers("--in", "6x8")
    ((2,), (6, 8))
    """
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise errors.ArgumentTypeError(
            f"{option} {_short(text)} is not an integer; write one, or one per axis as in 2,1"
        ) from None


def read_padding(text: str) -> Pairs | Sizes | str:
    """Integers as above, `lo:hi` pairs, or a word; `Geometry.from_torch` judges it."""
    if text.isalpha():
        return text
    if ":" not in text:
        return integers("--padding", text)
    pairs = [part.split(":") for part in text.split(",")]
    try:
        return tuple((int(lo), int(hi)) for lo, hi in pairs)
    except ValueError:
        raise errors.PaddingError(
            f"--padding {_short(text)} is not a list of lo:hi pairs; write one pair per axis, as in 1:0,0:1"
        ) from None


def read_array(option: str, text: str) -> Array:
    """Numbers written out, as in `[[2,3],[1,3]]`, or those in a .npy file; nothing in either is executed.

    Raises:
        ArgumentTypeError: not an array of numbers, or not a file with one.
    """
    array = _load(option, text) if text.endswith(".npy") else _literal(option, text)
    if array.dtype.kind not in "biuf":
        raise errors.ArgumentTypeError(
            f"--{option} {_short(text)} holds something that is not a real number of 64 bits (dtype {array.dtype})"
        )
    return array


def _load(option: str, path: str) -> Array:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise errors.ArgumentTypeError(f"--{option} {path}: {error.strerror or error}") from None
    except (ValueError, EOFError, SyntaxError) as error:
        raise errors.ArgumentTypeError(f"--{option} {path} is not a .npy file of numbers: {error}") from None
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise errors.ArgumentTypeError(f"--{option} {path} holds several arrays (.npz); save one with numpy.save")
    array: Array = loaded
    return array


def _literal(option: str, text: str) -> Array:
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError):
        raise errors.ArgumentTypeError(
            f"--{option} {_short(text)} is not an array; write numbers in brackets, as in [[2,3],[1,3]], or name a "
            f".npy file"
        ) from None
    try:
        return np.asarray(value)
    except (ValueError, OverflowError):
        raise errors.ArgumentTypeError(
            f"--{option} {_short(text)} is ragged; all its rows must have the same length"
        ) from None


def _short(text: str) -> str:
    """`text` quoted, and cut where it is long."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
