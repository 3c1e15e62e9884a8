"""`plan_unet`: the sizes of a U-Net, against the paper, against torch, and for every size."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tconv import errors
from tconv.unet_plan import UNetPlan, plan_unet

AS_LARGE = [(2, 2, 0), (4, 2, 1), (3, 3, 0), (5, 3, 1), (1, 1, 0)]  # kernel - 2*padding = stride

sizes = st.integers(1, 300)


def test_the_original_unet() -> None:
    plan = plan_unet(572, 4, shrink=4)
    assert (plan.in_size, plan.out_size, plan.bottom) == ((572,), (388,), (28,))
    assert [level.skip for level in plan.levels] == [(568,), (280,), (136,), (64,)]
    assert [level.crop for level in plan.levels] == [((88, 88),), ((40, 40),), ((16, 16),), ((4, 4),)]
    assert {level.output_padding for level in plan.levels} == {(0,)}


@settings(deadline=None)
@given(size=sizes, depth=st.integers(1, 5), layer=st.sampled_from(AS_LARGE))
def test_padded_blocks_give_the_size_of_the_input(size: int, depth: int, layer: tuple[int, int, int]) -> None:
    kernel, stride, padding = layer
    assume(size >= stride**depth)
    plan = plan_unet(size, depth, kernel=kernel, stride=stride, padding=padding)
    assert plan.out_size == (size,)
    assert {level.crop for level in plan.levels} == {((0, 0),)}


@settings(deadline=None)
@given(
    size=sizes,
    depth=st.integers(1, 3),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 1),
    shrink=st.integers(0, 4),
)
def test_torch_agrees(size: int, depth: int, kernel: int, stride: int, padding: int, shrink: int) -> None:
    """The plan, run: pooling, transposed convolutions, crops and concatenations on a real (meta) tensor."""
    try:
        plan = plan_unet(size, depth, kernel=kernel, stride=stride, padding=padding, shrink=shrink)
    except errors.InputSizeError:
        assume(False)
    assert run(plan, size, kernel, stride, padding, shrink) == plan.out_size


def run(plan: UNetPlan, size: int, kernel: int, stride: int, padding: int, shrink: int) -> tuple[int, ...]:
    def block(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv1d(x, torch.empty(1, x.shape[1], shrink + 1, device="meta"))

    x = torch.empty(1, 1, size, device="meta")
    skips = []
    for level in plan.levels:
        assert x.shape[2:] == level.in_size
        skips.append(block(x))
        assert skips[-1].shape[2:] == level.skip
        x = torch.nn.functional.max_pool1d(skips[-1], stride, stride)
        assert x.shape[2:] == level.pooled
    x = block(x)
    assert x.shape[2:] == plan.bottom
    for level, skip in zip(reversed(plan.levels), reversed(skips), strict=True):
        assert x.shape[2:] == level.up_in
        up = torch.nn.ConvTranspose1d(1, 1, kernel, stride, padding, device="meta")
        assert up(x).shape[2:] == level.up_out
        up = torch.nn.ConvTranspose1d(1, 1, kernel, stride, padding, level.output_padding[0], device="meta")
        lo, hi = level.crop[0]
        assert 0 <= abs(hi) - abs(lo) <= 1
        x = torch.cat([torch.nn.functional.pad(skip, (-lo, -hi)), up(x)], dim=1)
        assert x.shape[2:] == level.joined
        x = block(x)
        assert x.shape[2:] == level.out
    return tuple(x.shape[2:])


@settings(deadline=None)
@given(shape=st.tuples(sizes, sizes, sizes), shrink=st.integers(0, 2))
def test_axes_do_not_mix(shape: tuple[int, int, int], shrink: int) -> None:
    assume(min(shape) >= 40)
    plan, single = plan_unet(shape, 2, shrink=shrink), [plan_unet(n, 2, shrink=shrink) for n in shape]
    for level, *alone in zip(plan.levels, *(one.levels for one in single), strict=True):
        for name in ("in_size", "skip", "pooled", "up_in", "up_out", "output_padding", "crop", "joined", "out"):
            assert getattr(level, name) == tuple(getattr(other, name)[0] for other in alone)
    assert plan.out_size == tuple(one.out_size[0] for one in single)


def test_arguments_per_axis() -> None:
    """nnU-Net pools an anisotropic axis with stride 1."""
    plan = plan_unet((20, 101, 101), 2, kernel=(1, 2, 2), stride=(1, 2, 2))
    assert plan.out_size == (20, 101, 101) and plan.bottom == (20, 25, 25)
    assert [geometry.crop for geometry in plan.geometries()] == [((0, 0), (0, -1), (0, -1)), ((0, 0), (0, 0), (0, 0))]


@pytest.mark.parametrize(
    ("depth", "kernel", "stride", "padding", "shrink"),
    [
        (1, 2, 2, 0, 0),
        (3, 2, 2, 0, 0),
        (2, 2, 2, 0, 4),
        (3, 2, 2, 1, 0),
        (2, 1, 3, 0, 1),
        (3, 3, 1, 1, 2),
        (2, 4, 2, 0, 5),
    ],
)
def test_the_smallest_size_is_the_smallest(depth: int, kernel: int, stride: int, padding: int, shrink: int) -> None:
    """The message names it; everything below is refused with the same number, everything above is planned."""

    def plan(size: int) -> UNetPlan:
        return plan_unet(size, depth, kernel=kernel, stride=stride, padding=padding, shrink=shrink)

    with pytest.raises(errors.InputSizeError) as refused:
        plan(0)
    smallest = int(re.findall(r"give (\d+) or more", str(refused.value))[0])
    for size in range(1, smallest):
        with pytest.raises(errors.InputSizeError, match=f"give {smallest} or more"):
            plan(size)
    for size in range(smallest, smallest + 60):
        assert min(plan(size).out_size) >= 1


def test_the_smallest_original_unet() -> None:
    assert plan_unet(188, 4, shrink=4).out_size == (4,)
    with pytest.raises(errors.InputSizeError) as refused:
        plan_unet((188, 187), 4, shrink=4)
    assert str(refused.value) == (
        "size 187 on axis 1 is too small for a U-Net of depth 4 (stride 2, a block loses 4); give 188 or more, "
        "or depth 3"
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 5, "depth": 4}, errors.InputSizeError, "size 5 is too small for a U-Net of depth 4 (stride 2, a "),
        ({"size": 1, "depth": 1}, errors.InputSizeError, "size 1 is too small for a U-Net of depth 1 (stride 2, a "),
        ({"size": -3, "depth": 2}, errors.InputSizeError, "size -3 is too small for a U-Net of depth 2 (stride 2, a "),
        (
            {"size": 8, "depth": 100},
            errors.InputSizeError,
            "size 8 is too small for a U-Net of depth 100, as is every size that fits into 64 bits; give a ",
        ),
        ({"size": 2**62, "depth": 2}, errors.SizeOverflowError, f"size {2**62} does not fit into 64 bits"),
        ({"size": 64, "depth": 0}, errors.LengthError, "depth 0 must be at least 1 and at most 100"),
        ({"size": 64, "depth": 1.0}, errors.ArgumentTypeError, "depth must be an integer, not 1.0 (float)"),
        ({"size": (), "depth": 1}, errors.LengthError, "size has 0 entries, (), for 1 spatial axis; give 1"),
        ({"size": (64, 64), "depth": 1, "kernel": (2, 2, 2)}, errors.LengthError, "size has 2 entries, (64, 64), "),
        ({"size": 64, "depth": 2, "shrink": -1}, errors.PaddingError, "shrink (-1,) must not be negative; a block "),
        ({"size": 64, "depth": 2, "stride": 0}, errors.StrideError, "stride 0 must be at least 1"),
        ({"size": 64, "depth": 2, "padding": -1}, errors.PaddingError, "padding (-1,) must not be negative"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], error: type, message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        plan_unet(**arguments)


def test_the_table() -> None:
    assert str(plan_unet((101, 64), 2, kernel=(2, 3), shrink=0)) == (
        "U-Net of depth 2: 101x64 -> 101x67; up by 2-D: kernel 2x3, stride 2, dilation 1, crop (0, 0)\n"
        " level   input    skip  pooled  up from   up to  output_padding      crop skip  joined  output\n"
        "     0  101x64  101x64   50x32    50x33  100x67            1, 0  0, pad (1, 2)  101x67  101x67\n"
        "     1   50x32   50x32   25x16    25x16   50x33               0  0, pad (0, 1)   50x33   50x33\n"
        "bottom   25x16                                                                           25x16"
    )
    assert str(plan_unet(100, 2, shrink=2)) == (
        "U-Net of depth 2: 100 -> 78; up by 1-D: kernel 2, stride 2, dilation 1, crop (0, 0); a block loses 2 cells\n"
        " level  input  skip  pooled  up from  up to  output_padding  crop skip  joined  output\n"
        "     0    100    98      49       40     80               0     (9, 9)      80      78\n"
        "     1     49    47      23       21     42               0     (2, 3)      42      40\n"
        "bottom     23                                                                       21"
    )
