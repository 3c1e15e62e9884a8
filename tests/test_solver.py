"""`solve` finds exactly what an enumeration of PyTorch's law finds, ranks it, and says why there is nothing."""

from __future__ import annotations

import re
from itertools import pairwise, product
from typing import Any, TypeAlias

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tconv import errors
from tconv.geometry import Geometry
from tconv.solver import Chain, Layer, solve

NAMES = ("kernel", "stride", "padding", "output_padding", "dilation")


Parameters: TypeAlias = tuple[int, ...]
Limits: TypeAlias = dict[str, Any]  # pairs (lo, hi); Any, as mypy would match them to every keyword of solve


# an independent enumeration


def torch_size(n: int, layer: tuple[int, ...]) -> int | None:
    """The formula in the documentation of torch.nn.ConvTranspose1d; None where torch refuses."""
    kernel, stride, padding, output_padding, dilation = layer
    out = (n - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1
    return out if out >= 1 and output_padding < max(stride, dilation) else None


def all_layers(bounds: Limits) -> list[tuple[int, ...]]:
    return list(product(*(range(bounds[name][0], bounds[name][1] + 1) for name in NAMES)))


def canonical(layers: list[tuple[int, ...]], one_cell: bool) -> set[tuple[int, ...]]:
    """The first of all layers that differ only in what means nothing: dilation of one tap, stride of one input."""
    first: dict[tuple[int, ...], tuple[int, ...]] = {}
    for kernel, stride, padding, output_padding, dilation in sorted(layers):
        same = (kernel, 0 if one_cell else stride, padding, output_padding, 0 if kernel == 1 else dilation)
        first.setdefault(same, (kernel, stride, padding, output_padding, dilation))
    return set(first.values())


def expected(pairs: list[tuple[int, int]], bounds: Limits) -> set[tuple[int, ...]]:
    fitting = [layer for layer in all_layers(bounds) if all(torch_size(n, layer) == out for n, out in pairs)]
    return canonical(fitting, all(n == 1 for n, _ in pairs))


def expected_chains(n: int, out: int, layers: int, bounds: Limits) -> set[tuple[Parameters, ...]]:
    if layers == 0:
        return {()} if n == out else set()
    legal = [layer for layer in all_layers(bounds) if torch_size(n, layer)]
    found = set()
    for layer in canonical(legal, n == 1):
        size = torch_size(n, layer)
        assert size
        found |= {(layer, *rest) for rest in expected_chains(size, out, layers - 1, bounds)}
    return found


def rank(chain: Chain, *sizes: int) -> tuple[int, int, int, Chain]:
    return chain.uneven, chain.wasteful, sum(chain.macs(n) for n in sizes), chain


@st.composite
def bounds_of(draw: st.DrawFn, largest: int = 4) -> Limits:
    def pair(least: int, most: int) -> tuple[int, int]:
        lo = draw(st.integers(least, most))
        return lo, draw(st.integers(lo, most))

    return {
        "kernel": pair(1, largest + 1),
        "stride": pair(1, largest),
        "padding": pair(0, largest),
        "output_padding": pair(0, largest),
        "dilation": pair(1, 3),
    }


# laws


@given(n=st.integers(1, 9), out=st.integers(1, 30), bounds=bounds_of())
@settings(max_examples=150, deadline=None)
def test_one_layer_finds_all_and_only_what_maps(n: int, out: int, bounds: Limits) -> None:
    (chains,) = solve(n, out, **bounds)
    assert {tuple(layer) for (layer,) in chains} == expected([(n, out)], bounds)
    assert len(set(chains)) == len(chains)
    assert [rank(chain, n) for chain in chains] == sorted(rank(chain, n) for chain in chains)
    for (layer,) in chains:
        assert Geometry.from_torch(*layer).output_size(n) == (out,)


@given(n=st.integers(1, 5), more=st.integers(0, 3), size=st.data(), bounds=bounds_of())
@settings(max_examples=100, deadline=None)
def test_together_is_the_intersection(n: int, more: int, size: st.DataObject, bounds: Limits) -> None:
    example = size.draw(st.sampled_from(all_layers(bounds)))  # mostly solvable questions
    pairs = [(m, torch_size(m, example) or 1) for m in (n, n + more)]
    solutions = solve([n, n + more], [out for _, out in pairs], together=True, **bounds)
    assert {tuple(layer) for (layer,) in solutions[0]} == expected(pairs, bounds)
    assert solutions[0] == solutions[1]
    ranks = [rank(chain, n, n + more) for chain in solutions[0]]
    assert ranks == sorted(ranks)
    assert all(
        geometry.output_size([n, n + more]) == tuple(out for _, out in pairs) for (geometry,) in solutions.geometries()
    )


@given(n=st.integers(1, 4), out=st.integers(1, 16), layers=st.integers(2, 3), bounds=bounds_of(2))
@settings(max_examples=60, deadline=None)
def test_chains_are_all_found_in_order(n: int, out: int, layers: int, bounds: Limits) -> None:
    if layers == 3:
        bounds |= {"dilation": (1, 1), "kernel": (bounds["kernel"][0], bounds["kernel"][0])}
    (chains,) = solve(n, out, layers=layers, limit=10**6, **bounds)
    assert {tuple(map(tuple, chain)) for chain in chains} == expected_chains(n, out, layers, bounds)
    assert len(set(chains)) == len(chains)
    assert [rank(chain, n) for chain in chains] == sorted(rank(chain, n) for chain in chains)
    assert solve(n, out, layers=layers, limit=3, **bounds)[0] == chains[:3]
    for chain in chains[:20]:
        sizes = chain.sizes(n)
        assert (sizes[0], sizes[-1], len(sizes)) == (n, out, layers + 1)
        assert all(torch_size(m, layer) == after for layer, (m, after) in zip(chain, pairwise(sizes), strict=True))


@pytest.mark.parametrize("limit", [1, 5, 200])
def test_several_sizes_through_one_chain(limit: int) -> None:
    solutions = solve([4, 5, 7], [16, 20, 28], layers=2, together=True, limit=limit)
    assert len(solutions) == 3 and len(solutions[0]) == limit
    ranks = [rank(chain, 4, 5, 7) for chain in solutions[0]]
    assert ranks == sorted(ranks)
    assert all([chain.sizes(n)[-1] for n in (4, 5, 7)] == [16, 20, 28] for chain in solutions[0])


def test_together_misses_no_chain() -> None:
    bounds = {"kernel": (1, 3), "stride": (1, 2), "padding": (0, 1), "output_padding": (0, 1), "dilation": (1, 2)}
    found = solve([2, 3], [8, 12], layers=2, together=True, limit=10**6, **bounds)[0]
    both = expected_chains(2, 8, 2, bounds) & expected_chains(3, 12, 2, bounds)
    assert {tuple(map(tuple, chain)) for chain in found} == both and both


@given(n=st.integers(1, 6), out=st.integers(1, 25), bounds=bounds_of(), pick=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_torch_agrees(n: int, out: int, bounds: Limits, pick: object) -> None:
    (chains,) = solve(n, out, **bounds)
    for (layer,) in chains[:: max(1, len(chains) // 3)]:
        module = torch.nn.ConvTranspose1d(1, 1, *layer[:4], dilation=layer.dilation, device="meta")
        assert module(torch.empty(1, 1, n, device="meta")).shape[-1] == out


def test_torch_agrees_in_two_dimensions() -> None:
    solutions = solve((6, 5), (12, 11), layers=2)
    x = torch.empty(1, 1, 6, 5, device="meta")
    for layer in zip(*solutions.best, strict=True):
        kernel, stride, padding, output_padding, dilation = zip(*layer, strict=True)
        weight = torch.empty(1, 1, *kernel, device="meta")
        x = torch.nn.functional.conv_transpose2d(x, weight, None, stride, padding, output_padding, 1, dilation)
    assert x.shape == (1, 1, 12, 11)
    size: tuple[int, ...] = (6, 5)
    for geometry in solutions.geometries()[0]:
        size = geometry.output_size(size)
    assert size == (12, 11)


@given(n=st.integers(1, 8), out=st.integers(1, 40), bounds=bounds_of(3))
@settings(max_examples=60, deadline=None)
def test_a_repair_repairs(n: int, out: int, bounds: Limits) -> None:
    """Every cure of the form "kernel up to 8" in `why` is true, and no smaller step in that direction is."""
    why = solve(n, out, **bounds).why
    if why is None:
        return
    for name, direction, value in re.findall(r"(\w+) (up|down) to (\d+) \(", why):
        lo, hi = bounds[name]
        steps = range(hi + 1, int(value) + 1) if direction == "up" else range(lo - 1, int(value) - 1, -1)
        solvable = [bool(expected([(n, out)], bounds | {name: (min(lo, step), max(hi, step))})) for step in steps]
        assert solvable == [False] * (len(solvable) - 1) + [True]


# worked examples


def test_twice_the_size_with_kernel_3() -> None:
    (chains,) = solve(6, 12, kernel=3, stride=2)
    assert chains == ((Layer(3, 2, 1, 1),),)
    assert chains[0].macs(6) == 18 and chains[0].uneven == 1


def test_16_from_6_with_kernel_5_stride_3_padding_2() -> None:
    (chains,) = solve(6, 16, kernel=5, stride=3, padding=2)
    assert chains == ((Layer(5, 3, 2, 0),),)


def test_two_layers_from_2_to_4() -> None:
    (chains,) = solve(2, 4, kernel=2, stride=1, padding=0, layers=2)
    assert chains == ((Layer(2), Layer(2)),)
    assert chains[0].sizes(2) == (2, 3, 4)


def test_the_usual_layers_come_first() -> None:
    assert [tuple(chain[0]) for chain in solve(6, 12)[0][:3]] == [(2, 2, 0, 0, 1), (4, 2, 1, 0, 1), (6, 2, 2, 0, 1)]
    assert solve(4, 64, kernel=(4, 7), stride=2, padding=1, output_padding=0, layers=4).best == ((Layer(4, 2, 1),) * 4,)
    assert solve((1, 1), (4, 4)).best == ((Layer(4),),) * 2


# the value


def test_solutions_are_a_sequence_over_the_axes() -> None:
    solutions = solve((6, 6, 7), (12, 13, 14))
    assert len(solutions) == 3 and solutions and solutions.why is None
    assert solutions[0] == solve(6, 12)[0] and list(solutions) == list(solutions.axes)
    assert solutions.best == tuple(chains[0] for chains in solutions)
    assert [geometry.output_size((6, 6, 7)) for (geometry,) in solutions.geometries()] == [(12, 13, 14)]


def test_one_axis_without_a_solution_leaves_none() -> None:
    solutions = solve((6, 7), (12, 300))
    assert not solutions and solutions[0] and solutions.best == () and solutions.geometries() == ()
    assert solutions.why and solutions.why.startswith("axis 1: 7 -> 300 cannot be done within these bounds: ")


def test_bounds_are_written_as_int_pair_or_range() -> None:
    assert solve(6, 12, kernel=(3, 3)) == solve(6, 12, kernel=3) == solve(6, 12, kernel=range(3, 4))
    assert {layer.kernel for (layer,) in solve(6, 12, kernel=range(7, 0, -2))[0]} == {1, 3, 5, 7}
    assert solve(6, (12, 13)).pairs == ((6, 12), (6, 13))


def test_limit() -> None:
    assert len(solve(6, 12, limit=2)[0]) == 2
    assert len(solve(4, 64, layers=3)[0]) == 20
    assert str(solve(6, 12, limit=1)).splitlines()[0] == "6 -> 12: the best 1"


def test_dilation_of_one_tap_is_listed_only_where_output_padding_needs_it() -> None:
    """Torch accepts ConvTranspose1d(1, 1, 1, output_padding=1, dilation=2): 6 -> 7, which dilation 1 cannot do."""
    assert solve(6, 7, kernel=1, stride=1, dilation=(1, 3))[0] == ((Layer(1, 1, 0, 1, 2),),)
    assert {layer.dilation for (layer,) in solve(6, 6, kernel=1, dilation=(1, 3), output_padding=0)[0]} == {1}
    assert solve(6, 6, kernel=1, stride=1, padding=0, output_padding=0, dilation=2)[0] == ((Layer(1, dilation=2),),)


def test_stride_of_one_cell_is_listed_once() -> None:
    assert solve(1, 4, kernel=4, output_padding=0, padding=0)[0] == ((Layer(4),),)
    assert solve(1, 4, kernel=4, output_padding=0, padding=0, stride=2)[0] == ((Layer(4, 2),),)


def test_a_chain_of_100_layers() -> None:
    (chains,) = solve(4, 104, kernel=2, stride=1, padding=0, layers=100)
    assert chains == ((Layer(2),) * 100,)


def test_the_tables() -> None:
    assert str(solve((6, 6), (14, 14), kernel=(2, 3), stride=2)) == (
        "axes 0, 1: 6 -> 14: 1 solution, best first\n"
        "kernel  stride  padding  output_padding  dilation  coverage  MACs  remarks\n"
        "     3       2        0               1         1    uneven    18  ends with 1 bias-only cell"
    )
    assert str(solve(2, 4, kernel=2, stride=1, padding=0, layers=2)) == (
        "2 -> 4 by 2 layers: 1 solution, best first\n"
        "      sizes  kernel  stride  padding  output_padding  dilation    coverage  MACs\n"
        "2 -> 3 -> 4    2, 2    1, 1     0, 0            0, 0      1, 1  even, even    10"
    )
    assert str(solve((6, 7, 8), (12, 14, 16), kernel=(3, 4), padding=1, together=True)) == (
        "6 -> 12, 7 -> 14 and 8 -> 16: 2 solutions, best first\n"
        "kernel  stride  padding  output_padding  dilation  coverage  MACs\n"
        "     4       2        1               0         1      even    84\n"
        "     3       2        1               1         1    uneven    63"
    )


# why not, word by word


def test_too_large() -> None:
    assert solve(6, 14, kernel=(1, 3), stride=(1, 2), output_padding=0).why == (
        "6 -> 14 cannot be done within these bounds: the largest output is 13 (kernel 3, stride 2, padding 0, "
        "output_padding 0). What would do it: kernel up to 4 (kernel 4, stride 2, padding 0, output_padding 0); "
        "stride up to 3 (kernel 3, stride 3, padding 2, output_padding 0); "
        "output_padding up to 1 (kernel 3, stride 2, padding 0, output_padding 1); "
        "dilation up to 3 (kernel 2, stride 2, padding 0, output_padding 0, dilation 3); 2 layers (6 -> 7 -> 14)"
    )


def test_too_small() -> None:
    assert solve(6, 3, padding=(0, 1)).why == (
        "6 -> 3 cannot be done within these bounds: the smallest output is 4 (kernel 1, stride 1, padding 1, "
        "output_padding 0). What would do it: padding up to 2 (kernel 2, stride 1, padding 2, output_padding 0); "
        "2 layers (6 -> 4 -> 3)"
    )


def test_parity() -> None:
    assert solve(6, 12, kernel=3, stride=2, output_padding=0).why == (
        "6 -> 12 cannot be done within these bounds: the closest outputs are 11 (kernel 3, stride 2, padding 1, "
        "output_padding 0) and 13 (kernel 3, stride 2, padding 0, output_padding 0); padding moves the size in steps "
        "of 2. What would do it: kernel up to 4 (kernel 4, stride 2, padding 1, output_padding 0); "
        "kernel down to 2 (kernel 2, stride 2, padding 0, output_padding 0); "
        "stride up to 3 (kernel 3, stride 3, padding 3, output_padding 0); "
        "output_padding up to 1 (kernel 3, stride 2, padding 1, output_padding 1)"
    )


def test_output_padding_law() -> None:
    assert solve(6, 14, kernel=3, stride=2, padding=1).why == (
        "6 -> 14 cannot be done within these bounds: the largest output is 12 (kernel 3, stride 2, padding 1, "
        "output_padding 1). Kernel 3, stride 2, padding 1 needs output_padding 3, which must be below "
        "max(stride, dilation) = 2. What would do it: "
        "kernel up to 5 (kernel 5, stride 2, padding 1, output_padding 1); "
        "padding down to 0 (kernel 3, stride 2, padding 0, output_padding 1); "
        "dilation up to 2 (kernel 3, stride 2, padding 1, output_padding 1, dilation 2)"
    )


def test_no_legal_output_padding_at_all() -> None:
    assert solve(6, 7, output_padding=4).why == (
        "6 -> 7 cannot be done within these bounds: output_padding 4 must be below max(stride, dilation), which is at "
        "most 4. What would do it: output_padding down to 1 (kernel 2, stride 2, padding 3, output_padding 1)"
    )


def test_nothing_left() -> None:
    assert solve(2, 1, kernel=1, stride=1, padding=3).why == (
        "2 -> 1 cannot be done within these bounds: every output is below 1, as padding is at least 3. What would "
        "do it: kernel up to 6 (kernel 6, stride 1, padding 3, output_padding 0); "
        "stride up to 4 (kernel 1, stride 4, padding 3, output_padding 2)"
    )


def test_a_gap_in_a_range() -> None:
    why = solve(6, 7, kernel=range(1, 8, 2), stride=1, output_padding=0).why
    assert why and "What would do it: kernel also 2 (kernel 2, stride 1, padding 0, output_padding 0); kernel up" in why


def test_strides_far_apart() -> None:
    """The repairs lie far from the bounds: 501 taps, or a padding of 250."""
    why = solve(1000, 1500).why
    assert why and re.findall(r"\w+ up to \d+", why) == ["kernel up to 501", "padding up to 250", "dilation up to 83"]


def test_chains() -> None:
    assert solve(4, 200, layers=2).why == (
        "4 -> 200 cannot be done by 2 layers within these bounds: the largest output is 94 (4 -> 22 -> 94). "
        "What would do it: kernel up to 29 (4 -> 44 -> 200); stride up to 7 (4 -> 29 -> 200); "
        "dilation up to 5 (4 -> 46 -> 200); 3 layers (4 -> 13 -> 50 -> 200)"
    )
    assert solve(9, 1, layers=2, kernel=3, stride=2).why == (
        "9 -> 1 cannot be done by 2 layers within these bounds: the smallest output is 21 (9 -> 13 -> 21). "
        "What would do it: stride down to 1 (9 -> 5 -> 1); padding up to 8 (9 -> 3 -> 1)"
    )
    assert solve(4, 17, layers=2, kernel=4, stride=2, padding=(0, 1), output_padding=0).why == (
        "4 -> 17 cannot be done by 2 layers within these bounds: no combination of layers lands on it. What would "
        "do it: kernel up to 5 (4 -> 8 -> 17); kernel down to 3 (4 -> 8 -> 17); output_padding up to 1 (4 -> 8 -> 17)"
    )


APART = " can each be done within these bounds, but not by the same hyperparameters: "
NO_BOUND = ". No small change of one bound repairs it; change several"


@pytest.mark.parametrize(
    ("ins", "outs", "bounds", "why"),
    [
        (
            (6, 7),
            (12, 15),
            {"stride": (1, 2)},
            f"6 -> 12 and 7 -> 15{APART}stride would have to be 3 for 6 -> 12 and 7 -> 15, as each further input cell "
            "adds that many output cells. What would do it: stride up to 3 (kernel 3, stride 3, padding 3, "
            "output_padding 0)",
        ),
        (
            (6, 8),
            (12, 15),
            {},
            f"6 -> 12 and 8 -> 15{APART}stride would have to be 3/2 for 6 -> 12 and 8 -> 15, as each further input "
            f"cell adds that many output cells{NO_BOUND}",
        ),
        (
            (6, 7, 8),
            (12, 14, 17),
            {},
            f"6 -> 12, 7 -> 14 and 8 -> 17{APART}stride would have to be 2 for 6 -> 12 and 7 -> 14; stride would "
            f"have to be 5/2 for 6 -> 12 and 8 -> 17, as each further input cell adds that many output cells{NO_BOUND}",
        ),
        (
            (6, 6),
            (12, 13),
            {},
            f"6 -> 12 and 6 -> 13{APART}a layer makes one size of 6 cells, not both 12 and 13{NO_BOUND}",
        ),
    ],
)
def test_not_together(ins: tuple[int, ...], outs: tuple[int, ...], bounds: Limits, why: str) -> None:
    assert solve(ins, outs, together=True, **bounds).why == why


def test_not_together_though_the_stride_exists() -> None:
    """Stride 3 is allowed, but not with the paddings that each pair uses alone."""
    why = solve((6, 7), (7, 10), together=True, padding=(0, 2)).why
    assert why == (
        f"6 -> 7 and 7 -> 10{APART}stride would have to be 3 for 6 -> 7 and 7 -> 10, and with that the smallest "
        "output is 12 (kernel 1, stride 3, padding 2, output_padding 0). What would do it: padding up to 5 "
        "(kernel 1, stride 3, padding 5, output_padding 1); 2 layers (6 -> 2 -> 7)"
    )


def test_not_together_in_a_chain() -> None:
    why = solve((3, 4), (12, 17), together=True, layers=2, kernel=2, stride=2, padding=0).why
    assert why and "the product of the strides would have to be 5 for 3 -> 12 and 4 -> 17, and no combination" in why


def test_one_pair_of_several_is_impossible_alone() -> None:
    why = solve((6, 7), (12, 300), together=True).why
    assert why and why.startswith("7 -> 300 cannot be done within these bounds: the largest output is 34 (kernel 7, ")


# bad questions


@pytest.mark.parametrize(
    ("sizes", "arguments", "error", "message"),
    [
        ((0, 12), {}, errors.InputSizeError, "in_size 0 must be at least 1: a layer needs a cell"),
        ((6, -1), {}, errors.OutputSizeError, "out_size -1 must be at least 1: a layer needs a cell"),
        ((2**62, 5), {}, errors.SizeOverflowError, f"in_size {2**62} does not fit into 64 bits; give one below 2**62"),
        ((6.5, 12), {}, errors.ArgumentTypeError, "in_size must be an integer, not 6.5 (float); sizes are counted in "),
        ((6, "12"), {}, errors.ArgumentTypeError, "out_size must be an integer, not '12' (str); sizes are counted in "),
        (((6, 7), (1, 2, 3)), {}, errors.LengthError, "in_size has 2 entries, (6, 7), for 3 spatial axes; give 1 or 3"),
        (((6, 7), (1, 2, 3)), {"together": True}, errors.LengthError, "in_size has 2 entries, (6, 7), for 3 spatial"),
        (((), 5), {}, errors.LengthError, "in_size has 0 entries, (), for 1 spatial axis; give 1"),
        (((), ()), {}, errors.LengthError, "in_size has 0 entries, (), for 1 spatial axis; give 1"),
        ((6, 12), {"kernel": (5, 3)}, errors.KernelError, "kernel bounds (5, 3) are empty, as 5 is above 3; write (3"),
        ((6, 12), {"kernel": 0}, errors.KernelError, "kernel 0 must be at least 1; give 1 or more"),
        ((6, 12), {"stride": (0, 2)}, errors.StrideError, "stride 0 must be at least 1; begin its bounds (0, 2) at 1"),
        ((6, 12), {"padding": -1}, errors.PaddingError, "padding -1 must be at least 0; give 0 or more"),
        ((6, 12), {"output_padding": (-2, 1)}, errors.OutputPaddingError, "output_padding -2 must be at least 0; "),
        ((6, 12), {"dilation": range(3)}, errors.DilationError, "dilation 0 must be at least 1; begin its bounds r"),
        ((6, 12), {"dilation": range(3, 3)}, errors.DilationError, "dilation bounds range(3, 3) are empty; a range"),
        ((6, 12), {"kernel": (1, 2, 3)}, errors.LengthError, "kernel bounds (1, 2, 3) must be one int, a pair (lo"),
        ((6, 12), {"kernel": 10**12}, errors.KernelError, "kernel 1000000000000 is above 2048, the largest that is"),
        ((6, 12), {"kernel": (1, 700), "stride": (1, 300)}, errors.TooLargeError, "the bounds leave 210,000 combina"),
        ((6, 12), {"kernel": "3"}, errors.ArgumentTypeError, "kernel must be an integer, not '3' (str)"),
        ((6, 12), {"kernel": (1.5, 2)}, errors.ArgumentTypeError, "a bound of kernel must be an integer, not 1.5 ("),
        ((6, 12), {"layers": 0}, errors.LengthError, "layers 0 must be at least 1"),
        ((6, 12), {"layers": 101}, errors.LengthError, "layers 101 must be at most 100; solve a long chain in parts"),
        ((6, 12), {"layers": 1.0}, errors.ArgumentTypeError, "layers must be an integer, not 1.0 (float)"),
        ((6, 12), {"limit": 0}, errors.LengthError, "limit 0 must be at least 1"),
    ],
)
def test_bad_questions(sizes: tuple[object, object], arguments: dict[str, object], error: type, message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        solve(*sizes, **arguments)
