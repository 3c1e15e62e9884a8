"""The engine for GPUs as a whole, without one: in Triton's interpreter, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tconv.nn import private
from tconv.nn.engines.triton import interpreted, streams
from tconv.nn.engines.triton.layer import dense

ROOT = Path(__file__).parents[3]
FILES = ("gpu_results.py", "gpu_memory.py", "gpu_surroundings.py")


def interpreting(*command: str) -> subprocess.CompletedProcess[str]:
    """A process in which Triton interprets kernels, and nothing of these tests' own settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment = inherited | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


FEW = "not drawn and not layouts and not activations and not compiled and not accelerated"


@pytest.mark.parametrize("which", [FEW, pytest.param("", marks=pytest.mark.slow)])
def test_what_is_to_run_on_a_gpu_runs_in_the_interpreter(which: str) -> None:
    files = [f"tests/gpu/{name}" for name in FILES]
    options = ["-q", "-p", "no:cacheprovider", "-o", "python_files=gpu_*.py", *(["-k", which] if which else [])]
    done = interpreting("-m", "pytest", *options, *files)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr


def test_without_the_interpreter_nothing_is_computed_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(
        RuntimeError, match=r"^kernels run on the CPU in Triton's interpreter only: set TRITON_INTERPRET=1 first$"
    ):
        interpreted.compute_on_the_cpu()


def test_where_there_is_no_triton_all_but_a_launch_works() -> None:
    """PyTorch's counter of operations imports Triton where it can, so that tconv.nn is tried where nobody can."""
    code = (
        "import sys; sys.modules['triton'] = None; import torch, tconv.nn\n"
        "from tconv.nn.engines.triton import enabled, engine, layer\n"
        "print(engine.ENGINE.refusal(torch.ones(1)), enabled.installed())\n"
        "print(enabled.disabled('sm_90', None, 'try', {}))"
    )
    says = (
        "is on a GPU (sm_90), for which the engine needs Triton, and that is not installed; PyTorch's builds for GPUs "
    )
    done = interpreting("-c", code)
    assert done.stdout == f"is on a GPU, and PyTorch sees none None\n{says}on Linux bring it\n", done.stderr


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 5, 7), (1, 4, 3, 2, 6), (2, 1, 1, 1)])
def test_dense_strides(shape: tuple[int, ...], last: bool) -> None:
    x = torch.empty(shape)
    x = x.movedim(1, -1).contiguous().movedim(-1, 1) if last else x
    assert dense(shape, last) == x.stride()


class Device:
    """Streams that note what is asked of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.capturing, self.noted = 0, False, list[str]()
        monkeypatch.setattr(streams, "_captured", [])
        monkeypatch.setattr(private, "capturing", lambda: self.capturing)
        monkeypatch.setattr(private, "raw_stream", lambda _: self.now)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda _: self._stream())
        event = SimpleNamespace(record=lambda stream: self.noted.append(f"written on {stream.number}"))
        monkeypatch.setattr(torch.cuda, "Event", lambda: event)

    def _stream(self) -> Any:
        number = self.now
        return SimpleNamespace(number=number, wait_event=lambda _: self.noted.append(f"{number} waits"))


def test_streams_wait_for_packed_weights_once_and_graphs_keep_them(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch)
    read = SimpleNamespace(get_device=lambda: 0, record_stream=lambda s: device.noted.append(f"read on {s.number}"))
    tensor: Any = read
    shared = streams.Shared([tensor])
    shared.meet()
    assert device.noted == ["written on 0"]
    device.now = 1
    shared.meet()
    shared.meet()
    assert device.noted == ["written on 0", "1 waits", "read on 1"] and not streams._captured
    device.now, device.capturing = 2, True
    shared.meet()
    shared.meet()
    assert len(device.noted) == 3 and streams._captured == [(read,)]
    device.capturing = False
    shared.meet()
    assert device.noted[3:] == ["2 waits", "read on 2"]
