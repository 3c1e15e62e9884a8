"""Sizes, phases and coverage of `Geometry`, against the relation written out by hand."""

from __future__ import annotations

import itertools
import pickle
from math import gcd, prod
from typing import Any

import pytest

from tconv import Axis, Geometry, errors, receptive_field
from tconv.geometry import Forward
from tconv.geometry.countable import check_countable

# kernel, stride, padding, in, out
WORKED_SIZES = [
    (3, 1, 0, 2, 4),
    (3, 2, 0, 2, 5),
    (3, 2, 1, 3, 5),
    (3, 2, 1, 6, 11),
    (5, 3, 2, 6, 16),
    (2, 2, 0, 28, 56),
]

AXES = [
    Axis(*parameters) for parameters in itertools.product((1, 2, 3, 4), (1, 2, 3), (1, 2, 3), (-2, 0, 1, 3), (-1, 0, 2))
]


def pairs(axis: Axis, in_size: int) -> list[tuple[int, int, int]]:
    """The relation, literally."""
    out = axis.output_size(in_size)
    met = (
        (i, k, axis.stride * i + axis.dilation * k - axis.crop_lo) for i in range(in_size) for k in range(axis.kernel)
    )
    return [(i, k, o) for i, k, o in met if 0 <= o < out]


def possible(in_size: int) -> list[Axis]:
    return [axis for axis in AXES if axis.full_size(in_size) > axis.crop_lo + axis.crop_hi]


@pytest.mark.parametrize(("kernel", "stride", "padding", "in_size", "out"), WORKED_SIZES)
def test_worked_sizes(kernel: int, stride: int, padding: int, in_size: int, out: int) -> None:
    geometry = Geometry.from_torch(kernel, stride, padding, ndim=2)
    assert geometry.output_size(in_size) == (out, out)
    assert geometry.input_sizes(out) == ((in_size, in_size),)


def test_down_and_up_again() -> None:
    geometry = Geometry.from_torch(3, stride=2, padding=1)
    assert Forward(geometry).output_size(12) == (6,)
    assert geometry.output_size(6) == (11,)
    assert geometry.output_padding_for(6, 12) == (1,)
    assert geometry.padded_by(1).output_size(6) == (12,)


def test_same_parameters_do_not_always_restore_the_size() -> None:
    geometry = Geometry.from_torch(5, stride=3, padding=2)
    assert [geometry.output_size(Forward(geometry).output_size(n)) for n in (14, 15, 16)] == [(13,), (13,), (16,)]


def test_mirror_of_a_chain() -> None:
    geometry = Geometry(2)
    assert geometry.output_size(geometry.output_size(2)) == (4,)


@pytest.mark.parametrize(
    ("padding", "stride", "in_size", "expected"), [(1, 2, 3, (5, 1, 1, 7, 5)), (0, 1, 2, (2, 2, 2, 6, 4))]
)
def test_four_steps(padding: int, stride: int, in_size: int, expected: tuple[int, ...]) -> None:
    assert Geometry.from_torch(3, stride, padding).four_steps(in_size) == (expected,)


def test_every_direction_of_the_relation() -> None:
    for in_size in (1, 2, 4):
        for axis in possible(in_size):
            met, out = pairs(axis, in_size), axis.output_size(in_size)
            assert all(
                list(axis.sources(o, in_size)) == sorted((i, k) for i, k, at in met if at == o) for o in range(out)
            )
            assert all(axis.stamp(i, in_size) == tuple((k, o) for at, k, o in met if at == i) for i in range(in_size))
            for k in range(axis.kernel):
                inputs, outputs = axis.meeting(k, in_size)
                expected = [(i, o) for i, tap, o in met if tap == k]
                assert list(zip(range(in_size)[inputs], range(out)[outputs], strict=True)) == expected
            assert axis.pair_count(in_size) == len(met)
            assert axis.coverage(in_size).counts == tuple(sum(o == at for *_, at in met) for o in range(out))


def test_phases_partition_taps_and_outputs() -> None:
    for in_size in (1, 3):
        for axis in possible(in_size):
            phases = axis.phases()
            assert sorted(k for phase in phases for k in phase.taps) == list(range(axis.kernel))
            cells = [(p, q) for p in phases for q in axis.cells(p.residue, in_size)]
            outputs = [axis.stride * q + p.residue - axis.crop_lo for p, q in cells]
            assert sorted(outputs) == list(range(axis.output_size(in_size)))
            for (phase, q), o in zip(cells, outputs, strict=True):
                read = [(q - offset, k) for k, offset in zip(phase.taps, phase.offsets, strict=True)]
                assert sorted((i, k) for i, k in read if 0 <= i < in_size) == list(axis.sources(o, in_size))


def test_phases_of_several_axes() -> None:
    phases = Geometry((3, 2), stride=(2, 1)).phases()
    assert [phase.residue for phase in phases] == [(0, 0), (1, 0)]
    assert phases[1].taps() == (((1, 0), (0, 0)), ((1, 1), (0, 1)))
    assert sum(len(phase.taps()) for phase in phases) == 6


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "per_phase", "period"),
    [
        (3, 2, 1, (2, 1), 2),
        (4, 2, 1, (2, 2), 1),
        (4, 2, 2, (4, 0), 2),
        (2, 3, 1, (1, 1, 0), 3),
        (3, 3, 2, (1, 1, 1), 1),
    ],
)
def test_coverage(kernel: int, stride: int, dilation: int, per_phase: tuple[int, ...], period: int) -> None:
    axis = Axis(kernel, stride, dilation)
    coverage = axis.coverage(8)
    assert (coverage.per_phase, coverage.period, coverage.is_even) == (per_phase, period, period == 1)
    assert axis.empty_phases == per_phase.count(0)
    assert bool(axis.empty_phases) == (gcd(stride, dilation) > 1 or kernel < stride)


def test_coverage_of_several_axes() -> None:
    coverage = Geometry((3, 4), stride=2, dilation=(1, 2)).coverage((3, 2))
    assert coverage.period == (2, 2)
    assert not coverage.is_even
    assert coverage.count_at((2, 2)) == coverage.axes[0].counts[2] * coverage.axes[1].counts[2] == 4
    cells = itertools.product(range(7), range(9))
    assert coverage.hole_count == sum(coverage.count_at(o) == 0 for o in cells) == 7 * 4


def test_macs_and_bytes() -> None:
    geometry = Geometry.from_torch((3, 2), (2, 1), (1, 0))
    per_axis = [len(pairs(axis, n)) for axis, n in zip(geometry.axes, (4, 5), strict=True)]
    assert geometry.macs((4, 5), in_channels=6, out_channels=4, groups=2, batch=3) == prod(per_axis) * 3 * 6 * 2
    cells = 3 * 6 * 20 + 6 * 2 * 6 + 3 * 4 * prod(geometry.output_size((4, 5)))
    assert geometry.bytes((4, 5), in_channels=6, out_channels=4, groups=2, batch=3, itemsize=8) == 8 * cells


def test_forward_sizes() -> None:
    for axis in AXES:
        forward = Forward(Geometry.from_axes([axis]))
        for out in (1, 3):
            for size in forward.input_sizes(out)[0]:
                assert forward.output_size(size) == (out,)
    assert (
        str(Forward(Geometry(3, 2, crop=(1, 1)))) == "convolution, 1-D: kernel 3, stride 2, dilation 1, padding (1, 1)"
    )


def test_receptive_field_against_dependence() -> None:
    """Follow every output cell of a stack back through the relation; the widest span is the receptive field."""
    stacks = [[Geometry(4, 2)], [Geometry(3, 2), Geometry(4, 2, crop=(1, 1))], [Geometry(3, 3, 2), Geometry(2, 2)]]
    for stack in stacks:
        sizes = list(itertools.accumulate(stack, lambda n, g: g.output_size(n)[0], initial=12))
        widest = 0
        for o in range(sizes[-1]):
            seen = {o}
            for geometry, n in zip(reversed(stack), reversed(sizes[:-1]), strict=True):
                span = range(min(seen), max(seen) + 1) if seen else ()
                seen = {i for at in span for i, _ in geometry.axes[0].sources(at, n)}
            widest = max(widest, max(seen) - min(seen) + 1 if seen else 0)
        assert receptive_field(stack) == (widest,)


def test_receptive_field_of_an_encoder_and_decoder() -> None:
    down, up = Forward(Geometry((2, 2), 2)), Geometry((2, 2), 2)
    assert receptive_field([down, up]) == (2, 2)
    assert receptive_field([Forward(Geometry(3)), Forward(Geometry(3))]) == (5,)
    with pytest.raises(errors.TooLargeError, match="strides with the product 1,000,000,000 needs 3,000,000,000 steps"):
        receptive_field([Geometry(3, 10**9)])
    with pytest.raises(errors.LengthError, match="at least one layer"):
        receptive_field([])
    with pytest.raises(errors.LengthError, match=r"\[1, 2\] spatial axes"):
        receptive_field([down, Geometry(3)])


def test_value_semantics() -> None:
    geometry = Geometry((3, 2), stride=(2, 1), crop=((1, 0), (0, -1)))
    same = Geometry([3, 2], (2, 1), 1, [(1, 0), [0, -1]])
    assert geometry == same and hash(geometry) == hash(same)
    assert eval(repr(geometry)) == geometry
    assert pickle.loads(pickle.dumps(geometry)) == geometry
    assert str(geometry) == "2-D: kernel 3x2, stride (2, 1), dilation 1, crop ((1, 0), (0, -1))"
    assert str(Geometry(3)) == "1-D: kernel 3, stride 1, dilation 1, crop (0, 0)"
    with pytest.raises(AttributeError):
        geometry.axes = ()


def test_ints_spread_over_axes() -> None:
    assert Geometry(3, stride=(2, 1)) == Geometry((3, 3), (2, 1))
    assert Geometry((3,), stride=(2, 1)) == Geometry((3, 3), (2, 1))
    assert Geometry.from_torch(3, padding=[1, 0]).crop == ((1, 1), (0, 0))
    assert Geometry.from_torch(3, padding=[(1, 0), (0, -2)]).crop == ((1, 0), (0, -2))
    assert Geometry.from_torch(3, padding=[(1, 0)], ndim=2).crop == ((1, 0), (1, 0))


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_same_and_valid(kernel: int, stride: int) -> None:
    for in_size in (1, 4, 5):
        assert Geometry.from_torch(kernel, stride, "same").output_size(in_size) == (in_size * stride,)
        valid = in_size * stride + max(kernel - stride, 0)
        assert Geometry.from_torch(kernel, stride, "valid").output_size(in_size) == (valid,)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (((1,), (1,), (2**62 + 1,), (0,), (2**62,), (1,)), "axis 0: stride 4611686018427387905"),
        (((1, 5), (1, 1), (1, 1), (0, 2**62), (0, 0), (1, 1)), "axis 1: padding 4611686018427387904"),
        (((1,), (1,), (2**61,), (0,), (2**63,), (2,)), "axis 0: output_padding 9223372036854775808"),
        (((1,), (1,), (1,), (0,), (0,), (2**64,)), "axis 0: dilation 18446744073709551616"),
        (((4,), (3,), (2**61,), (2**61,), (0,), (1,)), "axis 0: canvas size 6917529027641081859"),
        (((1,), (3,), (1,), (0,), (2**61,), (2**60 + 2**59,)), "axis 0: output size 5764607523034234881"),
    ],
)
def test_numbers_that_64_bits_cannot_count(numbers: Any, message: str) -> None:
    with pytest.raises(errors.SizeOverflowError) as refused:
        check_countable(*numbers)
    assert str(refused.value) == f"{message} does not fit into 64 bits; it must be below 2**62"


def test_numbers_that_64_bits_can_count() -> None:
    check_countable((1, 2), (3, 3), (2**29, 2**40), (0, 0), (5, 2**39), (1, 2**59))
    check_countable((3,), (2,), (1,), (-5,), (-1,), (0,))  # which others refuse
    check_countable((3, 3), (2, 2), (1,), (2**40,), (), (1, 1, 1))
    check_countable((2**31,), (2**14,), (2**29,), (2**60,), (0,), (2**29,))
