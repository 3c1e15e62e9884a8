"""The suite's layers, and that every contender computes the layer that it is timed on."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from tconv import errors
from tconv.benchmark import contenders, process
from tconv.benchmark.suite import SUITE, VARIED, WEIGHED, Case, select
from tconv.functional import conv_transpose

# Grouped, dilated, cropped unevenly: one per number of axes.
CASES = (
    Case("1-D", "", 2, 4, 6, (7,), 5, 3, 2, 1, 2, 1),
    Case("2-D", "", 1, 3, 2, (5, 4), 3, 2, 2, 1, 1, 2),
    Case("3-D", "", 1, 4, 4, (2, 3, 2), 4, 2, 1, 0, 4, 1),
)


def test_the_suite() -> None:
    assert len({case.name for case in SUITE}) == len(SUITE) == 61
    assert {*VARIED, *WEIGHED} <= {case.name for case in SUITE}


@pytest.mark.parametrize("case", SUITE, ids=lambda case: case.name)
def test_sizes_are_consistent(case: Case) -> None:
    assert case.in_channels % case.groups == case.out_channels % case.groups == 0
    k, s, p = case.kernel, case.stride, case.padding
    out = tuple((n - 1) * s - 2 * p + case.dilation * (k - 1) + case.output_padding + 1 for n in case.in_size)
    assert case.result_shape(case.in_size) == (case.batch, case.out_channels, *out)
    everything = 2 * case.batch * np.prod([n * k for n in case.in_size]) * case.in_channels * case.weight_shape[1]
    assert 0 < case.flop <= everything  # pairs that are cropped away do not count
    assert p or case.output_padding or case.flop == everything
    assert case.bytes > 4 * np.prod(case.result_shape(case.in_size))


def test_known_numbers() -> None:
    (up,) = select(["u-net UP4"])
    assert up.result_shape(up.in_size) == (1, 64, 512, 512)
    assert up.flop == 2 * 128 * 64 * 4 * 256 * 256


def test_select() -> None:
    assert select([]) == SUITE
    assert {case.name.partition(" ")[0] for case in select(["dcgan", "NVlabs"])} == {"DCGAN", "StyleGAN2"}
    with pytest.raises(errors.TconvError, match="--only 'nothing' matches no layer; the layers are seed 32->16, "):
        select(["dcgan", "nothing"])


@pytest.mark.parametrize("name", [name for name in contenders.PREPARE if not contenders.lacking(name)])
def test_a_contender_computes_the_layer(name: str) -> None:
    """In a process: the peers' libraries warn and leave threads behind."""
    with process.Contestant(name, 2) as contestant:
        for case in CASES:
            assert 0 <= contestant.ask("prepare", case)["error"] < 1e-6, case.name
            assert contestant.ask("turn")["seconds"] > 0


def test_a_case_survives_the_pipe() -> None:
    for case in SUITE[:9]:
        assert process._case(json.loads(json.dumps({"case": asdict(case)}))) == [case]


def test_input_and_parameters() -> None:
    case = CASES[0]
    weight, bias = case.parameters()
    x = case.input((9,))
    y = conv_transpose(x, weight, bias, case.stride, case.padding, case.output_padding, case.groups, case.dilation)
    assert y.shape == case.result_shape((9,)) and y.dtype == np.float32


def test_layouts() -> None:
    layouts = {name: contenders.layout(name) for name in contenders.PREPARE}
    assert [name for name, layout in layouts.items() if layout == "cl"] == ["tconv_cl", "torch_cl", "jax"]
    assert {*contenders.OWN, *contenders.PEERS} == {*contenders.PREPARE}
