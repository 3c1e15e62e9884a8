"""Packed weights, tables of choices, and what a launch tells of a tensor's memory."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from tconv import Geometry
from tconv.nn.engines.triton import choices
from tconv.nn.engines.triton.cards import known
from tconv.nn.engines.triton.choices import Choice, TableError, choose, layer_key, lookup, read, save, table_path
from tconv.nn.engines.triton.packing import finite, pack, rounded
from tconv.nn.engines.triton.plan import Layout, Plan, plan
from tconv.nn.engines.triton.strides import Lying, lying, unit
from tconv.nn.engines.triton.task import Task

CARD = known("sm_90", 132, "a card")


def layout(task: Task, choice: Choice | None = None) -> Layout:
    made = plan(task, CARD, choice)
    assert isinstance(made, Plan)
    return made.layout


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_weights_lie_tap_by_tap_with_input_channels_innermost(dtype: torch.dtype) -> None:
    name = str(dtype).removeprefix("torch.")
    task = Task(Geometry((2, 3), 2), (4, 4), 1, 10, 6, 2, name)
    weight, bias = torch.randn(10, 3, 2, 3).to(dtype), torch.randn(6).to(dtype)
    packed = pack(layout(task, Choice()), weight, bias)
    pitch = 8
    assert packed.weight.shape == (2, 6, 3, pitch) and packed.weight.is_contiguous()
    assert packed.bias is not None and torch.equal(packed.bias, bias.float())
    for group, tap, out, i in ((0, 0, 0, 0), (1, 5, 2, 4), (0, 3, 1, 2)):
        assert packed.weight[group, tap, out, i] == weight[group * 5 + i, out, tap // 3, tap % 3]
    assert not packed.weight[..., 5:].any()


def test_depthwise_weights_lie_tap_by_tap_with_output_channels_innermost() -> None:
    task = Task(Geometry((2, 3), 2), (4, 4), 1, 6, 9, 3, "float16", bias=False)
    weight = torch.randn(6, 3, 2, 3, dtype=torch.float16)
    packed = pack(layout(task), weight, None)
    assert packed.weight.shape == (6, 2, 9) and packed.weight.is_contiguous() and packed.bias is None
    assert packed.weight[4, 1, 5] == weight[1 * 2 + 1, 2, 1, 1]


def test_a_pack_is_new_memory() -> None:
    for groups in (1, 4):
        task = Task(Geometry(1), (4,), 1, 8 if groups == 1 else 4, 8 if groups == 1 else 4, groups, "float32")
        weight = torch.randn(task.in_channels, task.outs, 1)
        bias = torch.randn(task.out_channels)
        packed = pack(layout(task), weight, bias)
        assert packed.bias is not None
        kept = packed.weight.clone(), packed.bias.clone()
        weight.zero_()
        bias.zero_()
        assert torch.equal(packed.weight, kept[0]) and torch.equal(packed.bias, kept[1])


def test_the_wrong_weight_is_refused() -> None:
    task = Task(Geometry(2, 2), (4,), 1, 8, 8, dtype="float16")
    with pytest.raises(ValueError) as caught:
        pack(layout(task), torch.zeros(8, 8, 3), None)
    assert str(caught.value) == (
        "the layout is for a weight (8, 8, 2) of float16, not (8, 8, 3) of torch.float32; plan for that weight"
    )


def test_tf32_weights_are_rounded_to_the_nearest() -> None:
    ulp = 2.0**-10  # of a number between 1 and 2
    given = [
        1 + ulp / 2,
        1 + 3 * ulp / 2,
        1 + ulp * 0.51,
        -1 - ulp * 0.49,
        0.0,
        -0.0,
        float("inf"),
        3.4028235e38,
        1e-40,
    ]
    expected = [1.0, 1 + 2 * ulp, 1 + ulp, -1.0, 0.0, -0.0, float("inf"), 3.4011621342146535e38, None]
    got = rounded(torch.tensor([*given, float("nan"), -float("inf")]))
    for number, value in zip(got.tolist(), expected, strict=False):
        assert value is None or (number == value and str(number)[0] == str(value)[0])
    assert torch.isnan(got[-2]) and got[-1] == -float("inf")
    assert not (got[:-2].view(torch.int32) & 0x1FFF).any()
    task = Task(Geometry(2, 2), (4,), 1, 8, 8, dtype="float32", tf32=True)
    weight = torch.randn(8, 8, 2)
    packed = pack(layout(task), weight, None).weight
    assert torch.equal(
        packed, rounded(pack(layout(Task(Geometry(2, 2), (4,), 1, 8, 8, dtype="float32")), weight, None).weight)
    )
    assert (packed != weight.permute(2, 1, 0)[None]).any()


def test_finite() -> None:
    task = Task(Geometry(2, 2), (4,), 1, 8, 8, dtype="float32")
    weight = torch.zeros(8, 8, 2)
    assert finite(pack(layout(task), weight, None))
    weight[3, 3, 1] = float("inf")
    assert not finite(pack(layout(task), weight, None))


def test_a_table_is_what_was_saved(tmp_path: Path) -> None:
    task = Task(Geometry.from_torch((4, 4), 2, 1), (16, 16), 8, 64, 32)
    small = Task(task.geometry, (4, 4), 8, 64, 32)
    measured = [(task, Choice(cells=128)), (small, Choice("pytorch"))]
    path = save(CARD, measured, tmp_path, "on a day")
    assert path == table_path(CARD, tmp_path) and path.name == "sm_90-132.json"
    stored = json.loads(path.read_text())
    assert stored["card"] == "a card" and stored["made"] == "on a day"
    table = read(path)
    assert set(table) == {f"{layer_key(task)} 11", f"{layer_key(task)} 7"}
    assert layer_key(task) == "k4s2d1c1,k4s2d1c1 64>32/1 float16 first-first"
    assert lookup(table, task) == Choice(cells=128) and lookup(table, small) == Choice("pytorch")
    between = Task(task.geometry, (8, 14), 8, 64, 32)
    assert lookup(table, between) == Choice(cells=128)
    assert choose(task, CARD, table) == Choice(cells=128)
    assert lookup(table, Task(task.geometry, (16, 16), 8, 64, 33)) is None


def test_shipped_tables_are_tables() -> None:
    paths = list(choices.TABLES.glob("*.json"))
    assert all(read(path) for path in paths)
    assert choices.load(known("sm_1", 1)) == {}


GOOD = asdict(Choice())
WRONG: list[tuple[Any, str]] = [
    ([], "TypeError('list indices must be integers or slices, not str')"),
    ({}, "KeyError('choices')"),
    ({"choices": {"a": GOOD}}, "ValueError(\"invalid literal for int() with base 10: 'a'\")"),
    ({"choices": {"a 1": {**GOOD, "cells": 48}}}, "ValueError('cells 48')"),
    ({"choices": {"a 1": {**GOOD, "split": 0}}}, "ValueError('split 0')"),
    ({"choices": {"a 1": {**GOOD, "warps": "4"}}}, "ValueError(\"warps '4'\")"),
    ({"choices": {"a 1": {**GOOD, "way": "some"}}}, "ValueError(\"way 'some', store 'columns', patch 0\")"),
]


@pytest.mark.parametrize(("content", "why"), WRONG, ids=[why for _, why in WRONG])
def test_wrong_tables_say_why(tmp_path: Path, content: Any, why: str) -> None:
    path = tmp_path / "sm_90-132.json"
    path.write_text(json.dumps(content))
    with pytest.raises(TableError) as caught:
        read(path)
    assert str(caught.value) == f"sm_90-132.json is no table of choices ({why}); write it anew by measuring"


def test_lying_is_told_by_strides() -> None:
    """Whether units and nearness are those of the very addresses."""
    base = torch.zeros(2, 24, 6, 8)
    views = [base, base.to(memory_format=torch.channels_last), base[:, 4:], base[:, :, 1:, ::2], base[:, :1], base[:1]]
    views += [base.transpose(2, 3), base[:, :, :1, :1], base.movedim(1, 0)]
    for view in views:
        found = lying(tuple(view.shape), view.stride())
        moving = [s if n > 1 else 0 for n, s in zip(view.shape, view.stride(), strict=True)]
        batch, channel, first, second, third = found.strides
        assert first == 0 and not found.far
        units = [batch, channel, second, third]
        near = {"channel": 1, "place": 3}.get(found.near)
        for at, (stride, number) in enumerate(zip(moving, units, strict=True)):
            assert stride == (1 if at == near else number * found.unit)
    assert lying((1, 8, 4), (32, 1, 8), "place").near == "channel"
    assert lying((1, 8, 1), (8, 1, 1)) == Lying((0, 0, 0, 0, 0), 16, "channel", False)
    assert lying((1, 8, 2), (8, 1, 1), "place").near == "place"  # overlapping memory, which an input may have
    assert lying((1, 2, 2**15, 2**15), (2**31, 2**30, 2**15, 1)).far
    assert lying((1, 2, 3), (6, 1, 2)).in_ones() == Lying((0, 1, 0, 0, 2), 1, "", False)
    assert (unit(3), unit(4, 6), unit(0, 0), unit(32, 64)) == (1, 2, 16, 16)
