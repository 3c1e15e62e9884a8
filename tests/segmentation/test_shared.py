"""Batch norm and losses of two processes, in half and mixed precision: those of one with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

import pytest
import torch
from torch import Tensor, nn

from tconv.segmentation import shared

PROGRAM = Path(__file__).with_name("in_parts.py")
Found: TypeAlias = dict[str, dict[str, Tensor]]


def run(folder: Path, processes: int) -> list[Found]:
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-m", *torchrun, str(PROGRAM), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"{processes}-{rank}.pt") for rank in range(processes)]


@pytest.fixture(scope="module")
def ones_and_twos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Found, list[Found]]:
    folder = tmp_path_factory.mktemp("parts")
    return run(folder, 1)[0], run(folder, 2)


def whole(name: str, values: list[Tensor]) -> Tensor:
    """What the batch has, from what its parts have."""
    if name in ("y", "grad"):
        return torch.cat(values)
    if name.startswith("sum"):
        return values[0].double() + values[1].double()
    assert values[0].equal(values[1]), name
    return values[0]


def test_two_processes_are_one_in_every_precision(ones_and_twos: tuple[Found, list[Found]]) -> None:
    one, two = ones_and_twos
    for kind, expected in one.items():
        for name, value in expected.items():
            found = whole(name, [of_rank[kind][name] for of_rank in two])
            assert two[0][kind][name].dtype == value.dtype, (kind, name)
            # A sum of 180,000 numbers keeps fewer digits than its dtype has, and PyTorch's fewer than those here.
            exact = {"sum": 1e-2, "mea": 1e-6, "var": 2e-5}.get(name[:3], torch.finfo(torch.float32).eps)
            eps = torch.finfo(torch.bfloat16 if kind == "autocast" else value.dtype).eps
            tolerance = {"y": 2, "grad": 4}.get(name, 32) * eps
            found, value = found.double(), value.double()
            assert found.isfinite().all(), (kind, name)
            assert (found - value).abs().max() <= tolerance * value.abs().max() + exact, (kind, name)


def test_half_precision_is_what_the_numbers_say(ones_and_twos: tuple[Found, list[Found]]) -> None:
    """Not only that of one process: that of float64, but for the rounding of the input and of the result."""
    _, two = ones_and_twos
    exact = {name: whole(name, [of_rank["float64"][name] for of_rank in two]) for name in ("y", "mean", "var")}
    for kind in ("float16 input", "bfloat16 input", "float16", "bfloat16", "autocast"):
        for name, value in exact.items():
            found = whole(name, [of_rank[kind][name] for of_rank in two])
            eps = torch.finfo(torch.float16 if "float16" in kind and "b" not in kind else torch.bfloat16).eps
            assert (found.double() - value).abs().max() <= 4 * eps * max(1, value.abs().max()), (kind, name)


def test_totals_are_wide() -> None:
    ones = torch.ones(3, dtype=torch.float16)
    assert shared.total(ones).dtype == torch.float32
    for dtype in (torch.float32, torch.float64, torch.int64):
        x = ones.to(dtype)
        assert shared.total(x) is x


def test_share_norms_keeps_dtypes_and_names() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3, eps=0.5, momentum=0.25)).half()
    before = model.state_dict()
    shared.share_norms(model)
    assert isinstance(model[1], shared.SharedNorm) and (model[1].eps, model[1].momentum) == (0.5, 0.25)
    after = model.state_dict()
    assert list(after) == list(before)
    for name, value in before.items():
        assert after[name].equal(value) and after[name].dtype == value.dtype
