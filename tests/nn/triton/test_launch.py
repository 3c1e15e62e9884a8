"""The way from a call to a launch, compiled in earnest and launched on a device that only notes what it is given."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from tconv import Geometry
from tconv.nn.engines.triton import launch as launch_module
from tconv.nn.engines.triton.cards import Card, card, known
from tconv.nn.engines.triton.choices import Choice
from tconv.nn.engines.triton.launch import Launcher, LaunchError, kernel_of, launch, launcher
from tconv.nn.engines.triton.packing import Packed, pack
from tconv.nn.engines.triton.plan import Plan, plan
from tconv.nn.engines.triton.task import Task

INDEX, STREAM, FUNCTION = 7, 12345, 99


class Device:
    """A driver of Triton's without a device: it notes launches, and loads of machine code."""

    def __init__(self) -> None:
        self.launches: list[tuple[tuple[int, int, int], int, tuple[Any, ...]]] = []
        self.loaded: list[str] = []
        properties = {"max_shared_mem": 232448, "warpSize": 32}
        self.utils = SimpleNamespace(
            get_device_properties=lambda _: properties, load_binary=self.load, unload_module=lambda _: None
        )

    def load(self, name: str, binary: bytes, shared: int, device: int) -> tuple[int, int, int, int, int]:
        assert device == INDEX and binary.startswith(b"\x7fELF")
        self.loaded.append(name)
        return 1, FUNCTION, 32, 0, 1024

    def launcher_cls(self, source: Any, metadata: Any) -> Any:
        def run(x: int, y: int, z: int, stream: int, function: int, packed: Any, *rest: Any) -> None:
            assert function == FUNCTION
            self.launches.append(((x, y, z), stream, rest[3:]))

        return run

    def get_current_device(self) -> int:
        return INDEX

    def get_current_stream(self, index: int) -> int:
        assert index == INDEX
        return STREAM

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """Triton and PyTorch see such a device; what one test has compiled the next one finds."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "launched"))
    made = Device()
    monkeypatch.setattr(driver, "_active", made)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: INDEX)
    yield made
    for name in ("cells", "adding", "repacking", "depthwise"):
        kernel_of(name).device_caches.pop(INDEX, None)
    launch_module._launcher.cache_clear()
    gc.collect()  # kernels are unloaded, as long as there is a driver to be asked


def made(task: Task, choice: Choice) -> Plan:
    found = plan(task, known("sm_90", 132), choice)
    assert isinstance(found, Plan)
    return found


TASK = Task(Geometry.from_torch((4, 4), 2, 1), (8, 8), 2, 32, 16)
CHOICE = Choice(cells=64, columns=16, depth=32, store="pair", split=2, repack=True)


def tensors(found: Plan) -> tuple[torch.Tensor, Packed, torch.Tensor]:
    task, half = found.task, torch.float16
    x = torch.zeros(task.batch, task.in_channels, *task.in_size, dtype=half)
    y = torch.zeros(task.batch, task.out_channels, *task.out_size, dtype=half)
    weight = torch.zeros(task.in_channels, task.outs, *task.geometry.kernel, dtype=half)
    return x, pack(found.layout, weight, torch.zeros(task.out_channels, dtype=half)), y


def test_what_a_kernel_is_launched_with(device: Device) -> None:
    found = made(TASK, CHOICE)
    x, packed, y = tensors(found)
    workspace = torch.zeros(found.workspace, dtype=torch.uint8)
    run = Launcher(found, torch.device("cuda", INDEX))
    run(x, packed, y, workspace)
    assert device.loaded == ["repacking", "cells", "adding"]
    assert [(grid, stream) for grid, stream, _ in device.launches] == [
        ((2, 1, 1), STREAM),
        ((found.programs, 1, 1), STREAM),
        ((found.programs // 2, 1, 1), STREAM),
    ]
    first, main, last = (arguments for *_, arguments in device.launches)
    repacked = workspace.data_ptr()
    partial = repacked + found.repacked_bytes
    assert packed.bias is not None
    weight, bias = packed.weight.data_ptr(), packed.bias.data_ptr()
    assert first[:2] == (x.data_ptr(), repacked)
    assert main[:5] == (repacked, weight, bias, y.data_ptr(), partial)
    assert last[:3] == (partial, bias, y.data_ptr())
    for name, arguments in (("repacking", first), ("cells", main), ("adding", last)):
        assert len(arguments) == len(kernel_of(name).arg_names)
        given = dict(zip(kernel_of(name).arg_names, arguments, strict=True))
        if name != "repacking":
            assert given["A2"] == found.axes[2].constants and given["batch"] == 2 and given["STORE"] == "pair"


def test_what_was_compiled_is_kept_by_strides_and_alignment(device: Device) -> None:
    found = made(TASK, Choice(cells=64, columns=16, depth=32, store="rows"))
    x, packed, y = tensors(found)
    run = launcher(found, torch.device("cuda"))
    assert run is launcher(found, torch.device("cuda", INDEX))
    run(x, packed, y)
    run(x.clone(), packed, y.clone())
    assert device.loaded == ["cells"] and len(device.launches) == 2
    odd = torch.zeros(x.numel() + 1, dtype=x.dtype)[1:].view(x.shape)
    assert odd.data_ptr() % 16
    run(odd, packed, y)
    assert len(device.loaded) == 2 and len(device.launches) == 3
    run(torch.zeros(2, 32, 8, 9, dtype=x.dtype)[..., 1:], packed, y)
    assert len(device.loaded) == 3 and len(device.launches) == 4


def test_a_workspace_is_allocated_where_none_is_given(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(TASK, CHOICE)
    x, packed, y = tensors(found)
    run = Launcher(found, torch.device("cuda", INDEX))
    run(x, packed, y)
    assert len(device.launches) == 3
    with pytest.raises(
        LaunchError, match=r"^the workspace has 1 bytes at 0x[0-9a-f]+; the plan needs \d+, aligned to 16$"
    ):
        run(x, packed, y, torch.zeros(1, dtype=torch.uint8))
    with pytest.raises(LaunchError, match=r"^the weights are packed for another layout than the plan's; pack them for"):
        run(x, pack(made(TASK, Choice("depthwise")).layout, torch.zeros(32, 16, 4, 4).half(), None), y)
    assert len(device.launches) == 3


def test_a_launch_is_on_the_device_of_the_plan(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = []

    @contextmanager
    def guard(index: int) -> Iterator[None]:
        entered.append(index)
        yield

    monkeypatch.setattr(torch.cuda, "device", guard)
    found = made(TASK, CHOICE)
    run = Launcher(found, torch.device("cuda", INDEX))
    run.warm()
    assert entered == [INDEX] and device.loaded == ["repacking", "cells", "adding"] and not device.launches
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    run(*tensors(found))
    assert entered == [INDEX, INDEX] and len(device.launches) == 3
    assert device.loaded == ["repacking", "cells", "adding"], "what was warm is compiled and loaded once"


def test_an_empty_batch_launches_nothing(device: Device) -> None:
    found = made(Task(TASK.geometry, (8, 8), 0, 32, 16), CHOICE)
    run = Launcher(found, torch.device("cuda", INDEX))
    run.warm()
    run(*tensors(found))
    assert not device.launches and not device.loaded


def test_the_cpu_is_for_the_interpreter_alone() -> None:
    found = made(TASK, Choice(cells=64, columns=16, depth=32))
    message = (
        "tensors on cpu are computed by Triton's interpreter alone; set TRITON_INTERPRET=1 before Triton is imported"
    )
    with pytest.raises(LaunchError) as caught:
        launch(found, *tensors(found))
    assert str(caught.value) == message


def test_cards_are_read_from_properties(monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia = SimpleNamespace(
        major=9, minor=0, multi_processor_count=132, name="A", shared_memory_per_block_optin=232448
    )
    amd = SimpleNamespace(major=9, minor=4, multi_processor_count=304, name="B", gcnArchName="gfx942:sramecc+:xnack-")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: nvidia if index == 50 else amd)
    found = card(torch.device("cuda", 50))
    assert found == Card("sm_90", 132, 232448, "A") and found.tensor_cores and not found.amd and found.capability == 90
    monkeypatch.setattr(torch.version, "hip", "6.3")
    other = card(torch.device("cuda", 51))
    assert other == Card("gfx942", 304, 65536, "B") and other.tensor_cores and other.amd and other.capability == 0
    assert (
        not known("sm_75").tensor_cores
        and known("sm_75").shared_memory == 65536
        and known("sm_1").shared_memory == 49152
    )
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 51)
    assert card(torch.device("cuda")) == other
