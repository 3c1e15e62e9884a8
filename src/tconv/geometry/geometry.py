"""`Geometry`: the relation of `axis.py` on every spatial axis at once. The noun that the rest of tconv is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, TypeVar

from tconv import errors
from tconv.geometry.arguments import Ints, Padding, is_sequence, pairs_per_axis, per_axis
from tconv.geometry.axis import Axis, AxisCoverage, AxisPhase, FourSteps

T = TypeVar("T")
Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Phase:
    """One of the prod(stride) interleaved sub-outputs; a small dense convolution of the input computes it."""

    axes: tuple[AxisPhase, ...]

    @property
    def residue(self) -> Sizes:
        """Which outputs: (o + crop_lo) % stride, per axis."""
        return tuple(axis.residue for axis in self.axes)

    def taps(self) -> tuple[tuple[Sizes, Sizes], ...]:
        """All (tap k, offset) of this phase; the cell q reads input q - offset through tap k."""
        ks = product(*(axis.taps for axis in self.axes))
        offsets = product(*(axis.offsets for axis in self.axes))
        return tuple(zip(ks, offsets, strict=True))


@dataclass(frozen=True)
class Coverage:
    """How many (i, k) pairs reach each output cell: the product over the axes.

    >>> Geometry(3, stride=2).coverage(3).axes[0].counts
    (1, 1, 2, 1, 2, 1, 1)
    """

    axes: tuple[AxisCoverage, ...]

    @property
    def period(self) -> Sizes:
        """The period of the pattern per axis, far from the borders; all 1 means none."""
        return tuple(axis.period for axis in self.axes)

    @property
    def is_even(self) -> bool:
        """No axis has a pattern: the geometry draws no checkerboard. "kernel divisible by stride" is not sufficient:
        kernel 4, stride 2, dilation 2 leaves every second cell empty."""
        return all(axis.is_even for axis in self.axes)

    @property
    def hole_count(self) -> int:
        """Output cells that nothing reaches: bias only."""
        sizes = [len(axis.counts) for axis in self.axes]
        reached = [len(axis.counts) - len(axis.holes) for axis in self.axes]
        return prod(sizes) - prod(reached)

    def count_at(self, o: Sequence[int]) -> int:
        """Pairs that reach output cell `o`."""
        return prod(axis.counts[at] for axis, at in zip(self.axes, o, strict=True))


@dataclass(frozen=True, init=False)
class Geometry:
    """Where every input goes: kernel, stride, dilation and crop of a transposed convolution, on every spatial axis.

    Each argument is an int (used for every axis) or one entry per axis; `crop` is a pair (lo, hi) or one pair per axis.
    PyTorch's `padding p, output_padding op` is `crop=(p, p - op)`; see `from_torch`. Channels, groups and batch are
    not geometry.

    Attributes:
        axes: one `Axis` per spatial axis.

    Raises:
        LengthError, ArgumentTypeError, KernelError, StrideError, DilationError: as their names say.

    >>> geometry = Geometry((3, 3), stride=2, crop=(1, 0))
    >>> print(geometry)
    2-D: kernel 3x3, stride 2, dilation 1, crop (1, 0)
    >>> geometry.output_size((6, 6))
    (12, 12)
    >>> eval(repr(geometry)) == geometry
    True
    """

    axes: tuple[Axis, ...]

    def __init__(self, kernel: Ints, stride: Ints = 1, dilation: Ints = 1, crop: Any = (0, 0)) -> None:
        ndim = _ndim(kernel=kernel, stride=stride, dilation=dilation, crop=_per_axis_only(crop))
        entries = zip(
            per_axis("kernel", kernel, ndim),
            per_axis("stride", stride, ndim),
            per_axis("dilation", dilation, ndim),
            pairs_per_axis("crop", crop, ndim),
            strict=True,
        )
        axes: list[Axis] = []
        try:
            for k, s, d, (lo, hi) in entries:
                axes.append(Axis(k, s, d, lo, hi))
        except errors.TconvError as error:
            raise type(error)(f"axis {len(axes)}: {error}") from None
        object.__setattr__(self, "axes", tuple(axes))

    @classmethod
    def from_axes(cls, axes: Sequence[Axis]) -> Geometry:
        """The geometry with these axes."""
        return cls(
            tuple(a.kernel for a in axes),
            tuple(a.stride for a in axes),
            tuple(a.dilation for a in axes),
            tuple((a.crop_lo, a.crop_hi) for a in axes),
        )

    @classmethod
    def from_torch(
        cls,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        output_padding: Ints = 0,
        dilation: Ints = 1,
        ndim: int | None = None,
    ) -> Geometry:
        """The geometry of a layer written with PyTorch's parameters (docs of torch.nn.ConvTranspose2d).

        Args:
            padding: an int or one per axis (cells cropped at both ends); or (lo, hi) pairs per axis, where a negative
                entry extends the output by bias-only cells; or Keras's "same" (out = in*stride) or "valid".
            output_padding: cells added at the high end, `0 <= output_padding < max(stride, dilation)`.
            ndim: number of spatial axes, where every argument is a plain int (default 1).

        Raises:
            PaddingError, OutputPaddingError: as their names say; and what the constructor raises.

        >>> Geometry.from_torch(3, stride=2, padding=1, output_padding=1, ndim=2)
        Geometry((3, 3), stride=(2, 2), dilation=(1, 1), crop=((1, 0), (1, 0)))
        """
        if ndim is None:
            lengths = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
            ndim = _ndim(**lengths, padding=padding, output_padding=output_padding)
        uncropped = cls(
            per_axis("kernel_size", kernel_size, ndim),
            per_axis("stride", stride, ndim),
            per_axis("dilation", dilation, ndim),
        )
        extra = per_axis("output_padding", output_padding, ndim)
        for number, (axis, op) in enumerate(zip(uncropped.axes, extra, strict=True)):
            if not 0 <= op < max(axis.stride, axis.dilation):
                raise errors.OutputPaddingError(
                    f"axis {number}: output_padding {op} must be at least 0 and smaller than max(stride {axis.stride}, "
                    f"dilation {axis.dilation}); it only chooses among the sizes that one stride leaves open"
                )
        return cls(uncropped.kernel, uncropped.stride, uncropped.dilation, _crops(padding, extra, uncropped.axes))

    # the parameters, one entry per axis

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.axes)

    @property
    def kernel(self) -> Sizes:
        return tuple(axis.kernel for axis in self.axes)

    @property
    def stride(self) -> Sizes:
        return tuple(axis.stride for axis in self.axes)

    @property
    def dilation(self) -> Sizes:
        return tuple(axis.dilation for axis in self.axes)

    @property
    def crop(self) -> tuple[tuple[int, int], ...]:
        return tuple((axis.crop_lo, axis.crop_hi) for axis in self.axes)

    # sizes

    def output_size(self, in_size: Ints) -> Sizes:
        """Output size per axis; raises `EmptyOutputError` or `SizeOverflowError`, naming the axis."""
        return self._each(Axis.output_size, self.sizes("in_size", in_size))

    def check_numbers(self) -> None:
        """Raise `SizeOverflowError` if a stride, dilation, crop or extent is too large for 64-bit arithmetic."""
        self._each(lambda axis, _: axis.check_numbers(), self.axes)

    def full_size(self, in_size: Ints) -> Sizes:
        """Size of the canvas before the crop, per axis."""
        return self._each(Axis.full_size, self.sizes("in_size", in_size))

    def input_sizes(self, out_size: Ints) -> tuple[Sizes, ...]:
        """All input sizes that give `out_size`."""
        return tuple(product(*self._each(Axis.input_sizes, self.sizes("out_size", out_size))))

    def reachable(self, in_size: Ints) -> tuple[range, ...]:
        """The output sizes per axis that output_padding can choose from."""
        return self._each(Axis.reachable, self.sizes("in_size", in_size))

    def output_padding_for(self, in_size: Ints, out_size: Ints) -> Sizes:
        """The output_padding per axis that turns `in_size` into `out_size`; raises `OutputSizeError` if none does.

        >>> Geometry(3, stride=2, crop=(1, 1)).output_padding_for(6, 12)
        (1,)
        """
        sizes = zip(self.sizes("in_size", in_size), self.sizes("output_size", out_size), strict=True)
        return self._each(lambda axis, size: axis.output_padding_for(*size), tuple(sizes))

    def padded_by(self, output_padding: Ints) -> Geometry:
        """This geometry with `output_padding` more cells kept at the high end of each axis."""
        return Geometry.from_axes(self._each(Axis.padded_by, per_axis("output_padding", output_padding, self.ndim)))

    def four_steps(self, in_size: Ints) -> tuple[FourSteps, ...]:
        """Sizes of the zero-insertion recipe, per axis."""
        return self._each(Axis.four_steps, self.sizes("in_size", in_size))

    def macs(self, in_size: Ints, in_channels: int = 1, out_channels: int = 1, groups: int = 1, batch: int = 1) -> int:
        """Multiplications that the result needs (pairs inside the window, times channels and batch)."""
        pairs = prod(self._each(Axis.pair_count, self.sizes("in_size", in_size)))
        return batch * pairs * in_channels * out_channels // groups

    def bytes(
        self,
        in_size: Ints,
        in_channels: int = 1,
        out_channels: int = 1,
        groups: int = 1,
        batch: int = 1,
        itemsize: int = 4,
    ) -> int:
        """Bytes of input, weight and output: what any implementation has to move at least."""
        read = batch * in_channels * prod(self.sizes("in_size", in_size))
        weight = in_channels * out_channels // groups * prod(self.kernel)
        written = batch * out_channels * prod(self.output_size(in_size))
        return itemsize * (read + weight + written)

    # the relation

    def phases(self) -> tuple[Phase, ...]:
        """The prod(stride) interleaved sub-outputs; their taps partition the kernel."""
        return tuple(Phase(axes) for axes in product(*(axis.phases() for axis in self.axes)))

    def coverage(self, in_size: Ints) -> Coverage:
        """Pairs per output cell."""
        return Coverage(self._each(Axis.coverage, self.sizes("in_size", in_size)))

    def sources(self, o: Sequence[int], in_size: Ints) -> tuple[tuple[Sizes, Sizes], ...]:
        """All (input index, tap) that meet at output `o`."""
        size = self.sizes("in_size", in_size)
        found = [axis.sources(at, n) for axis, at, n in zip(self.axes, o, size, strict=True)]
        return tuple((tuple(i for i, _ in pairs), tuple(k for _, k in pairs)) for pairs in product(*found))

    def meeting(self, k: Sequence[int], in_size: Sizes) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Inputs that meet tap `k`, and the outputs they meet at, as slices per axis."""
        found = [axis.meeting(tap, n) for axis, tap, n in zip(self.axes, k, in_size, strict=True)]
        return tuple(i for i, _ in found), tuple(o for _, o in found)

    def sizes(self, name: str, value: Ints) -> Sizes:
        """`value` as one non-negative size per axis."""
        sizes = per_axis(name, value, self.ndim)
        if min(sizes) < 0:
            raise errors.InputSizeError(f"{name} {sizes} must not be negative")
        return sizes

    def _each(self, of: Callable[[Axis, Any], T], values: tuple[Any, ...]) -> tuple[T, ...]:
        """`of(axis, value)` on every axis; an error says on which."""
        results: list[T] = []
        try:
            for axis, value in zip(self.axes, values, strict=True):
                results.append(of(axis, value))
        except errors.TconvError as error:
            raise type(error)(f"axis {len(results)}: {error}") from None
        return tuple(results)

    def __repr__(self) -> str:
        return f"Geometry({self.kernel}, stride={self.stride}, dilation={self.dilation}, crop={self.crop})"

    def __str__(self) -> str:
        kernel = "x".join(map(str, self.kernel))
        rest = (("stride", self.stride), ("dilation", self.dilation), ("crop", self.crop))
        return f"{self.ndim}-D: kernel {kernel}, " + ", ".join(f"{name} {_short(value)}" for name, value in rest)


def _short(entries: tuple[Any, ...]) -> str:
    """The common value where all axes agree, else all of them."""
    return str(entries[0]) if len(set(entries)) == 1 else str(entries)


def _per_axis_only(pairs: Any) -> Any:
    """A sequence whose length says the number of axes: not a single (lo, hi) pair, not text."""
    if is_sequence(pairs) and len(pairs) == 2 and not any(is_sequence(p) for p in pairs):
        return 0
    return pairs


def _ndim(**arguments: Any) -> int:
    """The number of axes that the longest argument speaks of."""
    ndim = max([len(value) for value in arguments.values() if is_sequence(value)] or [1])
    if ndim == 0:
        raise errors.LengthError(f"there must be at least one spatial axis, not {arguments}")
    return ndim


def _crops(padding: Any, output_padding: Sizes, axes: tuple[Axis, ...]) -> tuple[tuple[int, int], ...]:
    """(crop_lo, crop_hi) per axis from a padding in any of its spellings."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise errors.PaddingError(
                f"padding {padding!r} is unknown; give an int, one per axis, (lo, hi) pairs, 'same' or 'valid'"
            )
        if any(output_padding):
            raise errors.PaddingError(
                f"padding {padding!r} fixes the output size, output_padding {output_padding} would change it; drop one"
            )
        return tuple(_keras_crop(padding, axis) for axis in axes)
    if is_sequence(padding) and any(is_sequence(p) for p in padding):
        pairs = pairs_per_axis("padding", padding, len(axes))
    else:
        each = per_axis("padding", padding, len(axes))
        if min(each) < 0:
            raise errors.PaddingError(
                f"padding {each} must not be negative; to extend the output by {-min(each)} give pairs, (lo, hi) per "
                f"axis: padding={[(p, p) for p in each]}"
            )
        pairs = tuple((p, p) for p in each)
    return tuple((lo, hi - op) for (lo, hi), op in zip(pairs, output_padding, strict=True))


def _keras_crop(padding: str, axis: Axis) -> tuple[int, int]:
    """Keras's "same" makes out = in*stride; its "valid" keeps the whole canvas, and at least in*stride of it."""
    surplus = axis.extent - axis.stride
    if padding == "valid":
        return 0, min(surplus, 0)
    lo = max(surplus, 0) // 2
    return lo, surplus - lo
