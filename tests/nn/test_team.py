"""PyTorch's threads and the core's are the same ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tconv.nn.engines import team

COUNT = """
import os, torch, tconv.nn
torch.set_num_threads(2)
x, w = torch.randn(1, 64, 64, 64), torch.randn(64, 64, 3, 3)
with torch.no_grad():
    torch.nn.functional.conv2d(x, w)
    before = len(os.listdir("/proc/self/task"))
    for _ in range(10):
        tconv.nn.functional.conv_transpose2d(x, w)
    print(before, len(os.listdir("/proc/self/task")))
    if os.fork() == 0:
        tconv.nn.functional.conv_transpose2d(x, w)  # where PyTorch's threads are no more
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_no_further_threads_start_and_a_child_gets_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True, timeout=120)
    counts, child = done.stdout.splitlines()
    before, after = counts.split()
    assert before == after and child == "7"


OF_EACH_CALL = """
import os, torch, tconv, tconv.nn
torch.set_num_threads(2)
x, w = torch.randn(1, 64, 64, 64), torch.randn(64, 64, 3, 3)
def tasks(): return len(os.listdir("/proc/self/task"))
with torch.no_grad():
    torch.nn.functional.conv2d(x, w)
    before = tasks()
    tconv.set_num_threads(1)
    for _ in range(3):
        tconv.nn.functional.conv_transpose2d(x, w)
        tconv.conv_transpose2d(x.numpy(), w.numpy())
    print(tconv.native.num_threads(), tasks() - before)  # nothing changed, and no thread of tconv's own started
    tconv.set_num_threads(2)
    tconv.conv_transpose2d(x.numpy(), w.numpy())
    print(tasks() - before)  # which a NumPy call does: PyTorch's team is not its business
"""


def test_threads_belong_to_a_call() -> None:
    command = [sys.executable, "-c", OF_EACH_CALL]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["1", "0", "1"]


def test_the_library_that_pytorch_uses() -> None:
    found = team.openmp_of(Path(torch.__file__).parent, team.loaded())
    assert found is not None and Path(found).exists()


@pytest.mark.parametrize(
    ("libraries", "expected"),
    [
        ([], None),
        (["/s/scikit_learn.libs/libgomp-1.so.1", "/s/torch/lib/libgomp-2.so.1"], "/s/torch/lib/libgomp-2.so.1"),
        (["/s/scikit_learn.libs/libgomp-1.so.1", "/s/torch.libs/libgomp-2.so.1"], "/s/torch.libs/libgomp-2.so.1"),
        (["/usr/lib/libgomp.so.1"], "/usr/lib/libgomp.so.1"),
        (["/usr/lib/libgomp.so.1", "/opt/libiomp5.so"], None),
    ],
)
def test_which_library(libraries: list[str], expected: str | None) -> None:
    assert team.openmp_of(Path("/s/torch"), libraries) == expected
