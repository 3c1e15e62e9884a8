"""Plans against the definition, executed by NumPy; what is refused; the heuristic over published layers."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, IDS, Case
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.triton.executor import execute

from tconv import Geometry, errors
from tconv.benchmark.suite import SUITE
from tconv.forms import taps
from tconv.geometry import Axis
from tconv.nn.engines.triton.arguments import launches
from tconv.nn.engines.triton.axes import axis_plan, own_phase
from tconv.nn.engines.triton.cards import Card, known
from tconv.nn.engines.triton.choices import Choice, candidates
from tconv.nn.engines.triton.packing import pack
from tconv.nn.engines.triton.plan import Plan, Refusal, plan
from tconv.nn.engines.triton.strides import lying
from tconv.nn.engines.triton.task import Task

CARD = known("sm_90", 132)
SMALL = [
    Choice(cells=16, columns=16, depth=16),
    Choice(cells=16, columns=32, depth=16, store="rows", group=3),
    Choice(cells=16, columns=16, depth=16, store="pair", split=3, group=2),
    Choice(cells=32, columns=16, depth=16, together=False, split=2),
    Choice("few", 16, 16, 16, stages=1, store="rows", padded=True, patch=4),
    Choice("few", 16, 64, 16, stages=1, padded=True, patch=8, repack=True),
    Choice("depthwise", 8, 4),
    Choice("depthwise", 16, 2, store="rows"),
    Choice("depthwise", 8, 1, store="pair"),
]


def task_of(case: Case, **more: Any) -> Task:
    counts = case.batch, case.in_channels, case.out_channels, case.groups
    return Task(case.geometry, case.in_size, *counts, "float32", **more)


def made(task: Task, choice: Choice | None = None, card: Card = CARD) -> Plan:
    found = plan(task, card, choice)
    assert isinstance(found, Plan), found
    return found


def check(case: Case, choice: Choice) -> None:
    """Every output is written once, and is what the definition says, exactly."""
    x, w, b = case.arrays(np.float32)
    found = made(task_of(case), choice)
    packed = pack(found.layout, torch.from_numpy(w), torch.from_numpy(b))
    assert packed.bias is not None
    y, written = execute(found, x, packed.weight.numpy(), packed.bias.numpy())
    assert (written == 1).all()
    if 0 in case.in_size:  # which arrays of users may not have; then there is nothing but the bias
        expected = np.broadcast_to(b.reshape(-1, *(1,) * case.geometry.ndim), y.shape)
    else:
        expected = taps.run(case.geometry, x, w, b, case.groups)
    assert np.array_equal(y, expected)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_plans_are_the_definition_on_the_catalogue(case: Case) -> None:
    if case.geometry.ndim > 3:
        assert plan(task_of(case), CARD) == Refusal("4 spatial axes, only up to 3")
        return
    for choice in SMALL:
        check(case, choice)


@st.composite
def drawn(draw: st.DrawFn) -> Case:
    ndim = draw(st.integers(1, 3))
    axes, in_size = [], []
    for _ in range(ndim):
        kernel, stride, dilation = (draw(st.integers(1, most)) for most in (4, 4, 3))
        size = draw(st.integers(0, 4))
        full = stride * (size - 1) + dilation * (kernel - 1) + 1
        low = draw(st.integers(-3, 4))
        out = draw(st.integers(1, max(1, min(7, full + 2))))
        axes.append(Axis(kernel, stride, dilation, low, full - low - out))
        in_size.append(size)
    groups, ins, outs = (draw(st.integers(1, most)) for most in (2, 3, 3))
    batch = draw(st.integers(0, 2))
    return Case("drawn", Geometry.from_axes(axes), tuple(in_size), batch, groups * ins, groups * outs, groups)


@settings(max_examples=400, deadline=None)
@given(drawn(), st.sampled_from(SMALL))
def test_plans_are_the_definition(case: Case, choice: Choice) -> None:
    check(case, choice)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(-20, 20))
def test_phases_of_their_own_are_those_of_the_relation(kernel: int, stride: int, dilation: int, crop: int) -> None:
    axis = Axis(kernel, stride, dilation, crop, -30 - crop)
    constants = axis_plan(axis, 5, axis.output_size(5), together=False).constants
    for phase in range(stride):
        found = own_phase(constants, phase)
        met = {
            (q + found.start - t * constants.step, found.first + t * constants.every)
            for q in [phase % 3]
            for t in range(found.taps)
        }
        o = stride * (phase % 3) + phase
        pairs = ((divmod(o + crop - dilation * k, stride), k) for k in range(kernel))
        assert met == {(i, k) for (i, rest), k in pairs if rest == 0}


REFUSED = [
    (Task(Geometry(2, 2), (4,), 1, 2, 2, dtype="float64"), "dtype float64, only float16, bfloat16, float32"),
    (Task(Geometry((1, 1, 1, 1)), (1, 1, 1, 1), 1, 1, 1), "4 spatial axes, only up to 3"),
    (
        Task(Geometry(2, 2, 1, (9, 9)), (4,), 1, 2, 2),
        "these sizes: axis 0: output size -10 must be at least 1: stride*(in-1) + dilation*(kernel-1) + 1 - crop_lo - "
        "crop_hi = 2*(4-1) + 1*(2-1) + 1 - (9) - (9); crop (pad) less, or give a larger input",
    ),
    (Task(Geometry(2, 2**30), (1,), 1, 2, 2), "sizes, strides or crops of 1073741824 and more"),
    (
        Task(Geometry((2, 2), 2), (2**15, 2**15), 2, 2, 2, output_last=True),
        "a layer with 2147483712 cells or weights, more than 32 bits count",
    ),
]


@pytest.mark.parametrize(("task", "reason"), REFUSED, ids=[reason[:20] for _, reason in REFUSED])
def test_refusals_say_why(task: Task, reason: str) -> None:
    choice = Choice(cells=64, columns=16, depth=16, store="columns" if task.output_last else "rows")
    assert plan(task, CARD, choice) == Refusal(reason)


def test_bfloat16_needs_tensor_cores() -> None:
    task = Task(Geometry(2, 2), (4,), 1, 2, 2, dtype="bfloat16")
    assert plan(task, known("sm_75")) == Refusal("bfloat16 on sm_75, which does not multiply it")
    assert isinstance(plan(task, known("gfx942")), Plan)


def test_a_table_may_leave_a_layer_to_pytorch() -> None:
    task = Task(Geometry(2, 2), (4,), 1, 2, 2)
    reason = "a layer that PyTorch's own operator was measured to compute faster on this card"
    assert plan(task, CARD, Choice("pytorch")) == Refusal(reason)


def tasks(dtype: str = "float16", tf32: bool = False) -> list[Task]:
    """The published layers, at two batch sizes, in both layouts."""
    return [
        Task(c.geometry, c.in_size, c.batch * b, c.in_channels, c.out_channels, c.groups, dtype, tf32, last, last)
        for c in SUITE
        for b in (1, 16)
        for last in (False, True)
    ]


KINDS = [("float16", False), ("bfloat16", False), ("float32", True), ("float32", False)]


@pytest.mark.parametrize(("dtype", "tf32"), KINDS, ids=["float16", "bfloat16", "tf32", "float32"])
def test_the_heuristic_over_published_layers(dtype: str, tf32: bool) -> None:
    """All candidates make plans; the first fits into shared memory and gives all processors something to do."""
    for card in (CARD, known("sm_86", 84), known("gfx942", 304)):
        for task in tasks(dtype, tf32):
            found = [made(task, choice, card) for choice in candidates(task, card)]
            assert 4 <= len(found) <= 32 and len({p.choice for p in found}) > 3, task
            for each in found:
                choice = each.choice
                if each.way != "depthwise":
                    shared = choice.stages * (choice.cells + choice.columns) * choice.depth * task.itemsize
                    assert shared <= card.shared_memory, (task, choice)
                assert (each.choice.store == "columns") == (task.output_last and task.out_channels > 1)
            first = found[0]
            least = min(card.processors, task.bytes // 2**16)
            assert 4 * first.programs >= least, (task, first.describe())


def test_few_kernels_are_compiled_for_a_model() -> None:
    """All layers of a published model, at one batch size and in one layout, take no more than twelve."""
    compiled: dict[Any, set[Any]] = {}
    for case, task in zip((c for c in SUITE for _ in range(4)), tasks(), strict=True):
        shapes = (task.batch, task.in_channels, *task.in_size), (task.batch, task.out_channels, *task.out_size)
        x, y = (lying(s, torch.empty(s, device="meta").stride()) for s in shapes)
        for each in launches(made(task), x, y):
            key = each.kernel, each.warps, each.stages, tuple(each.constants.items())
            compiled.setdefault((case.source, task.batch // case.batch, task.input_last), set()).add(key)
    assert 2 < max(len(kernels) for kernels in compiled.values()) <= 12


def test_what_does_not_fit_a_choice_is_replaced() -> None:
    task = Task(Geometry(3, 3), (6,), 1, 8, 8, input_last=True)
    found = made(task, Choice(cells=8, columns=8, depth=8, store="pair", patch=4, repack=True, split=99))
    expected = Choice(cells=16, columns=16, depth=16, store="rows", split=1)
    assert found.choice == expected and found.repacked == 0 and found.workspace == 0
    with_patch = made(replace(task, geometry=Geometry((3, 3), 3), in_size=(4, 4)), Choice(cells=16, patch=32))
    assert with_patch.choice.patch == 0


def test_workspace_is_what_the_parts_and_the_repacked_input_take() -> None:
    task = Task(Geometry.from_torch((4, 4), 2, 1), (8, 8), 2, 20, 12)
    found = made(task, Choice(cells=32, columns=16, depth=16, store="pair", split=4, repack=True))
    assert found.repacked == 24 and found.repacked_bytes == 2 * 64 * 24 * 2
    assert found.programs == 4 * prod(found.tiles) and (found.choice.split, found.own_phases) == (4, 1)
    assert found.workspace == found.repacked_bytes + found.programs * 32 * 16 * 4 * 2
    assert made(task, replace(found.choice, split=1, repack=False)).workspace == 0


def test_texts() -> None:
    task = Task(Geometry.from_torch((4, 4), 2, 1), (8, 8), 2, 16, 16, 2, "float32", True, False, True)
    assert str(task) == (
        "2-D: kernel 4x4, stride 2, dilation 1, crop (1, 1); 2 of 8x8, 16 to 16 channels in 2 groups, tf32, "
        "channels-first to last"
    )
    found = made(task, Choice(cells=32, columns=16, depth=16, split=2, repack=True, together=False))
    assert found.describe() == (
        "cells: 128 cells of 1 phase x 8 channels, tiles of 32x16x16, 64 blocks; 4 phases apart; the sum in 2 parts; "
        "channels brought together first; stores columns"
    )
    depthwise = made(Task(Geometry(2, 2), (9,), 1, 5, 5, 5), Choice("depthwise", 16, 4, store="rows"))
    assert depthwise.describe() == "depthwise: 18 cells of 1 phase x 1 channels, tiles of 16x4, 4 blocks; stores rows"
    assert (task.bytes, task.flop, task.taps, task.itemsize) == (
        task.geometry.bytes((8, 8), 16, 16, 2, 2, 4),
        2 * task.geometry.macs((8, 8), 16, 16, 2, 2),
        16,
        4,
    )
    with pytest.raises(errors.EmptyOutputError):
        _ = Task(Geometry(2, 2, 1, (9, 9)), (4,), 1, 2, 2).out_size
