"""Every kernel in Triton's interpreter, against the definition. Run by test_kernels.py, in a process of its own.

The numbers are small integers, whose sums are exact, so that results are compared bit by bit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, Case
from torch import Tensor

from tconv import Geometry
from tconv.forms import taps
from tconv.nn.engines.triton import arguments, strides
from tconv.nn.engines.triton.cards import known
from tconv.nn.engines.triton.choices import Choice
from tconv.nn.engines.triton.launch import Launcher, LaunchError, launch, launcher, warm
from tconv.nn.engines.triton.packing import DTYPES, pack
from tconv.nn.engines.triton.plan import Plan, plan
from tconv.nn.engines.triton.task import Task

# NumPy, which computes for Triton here, warns of what kernels compute in lanes that are not stored, and of NaN.
pytestmark = pytest.mark.filterwarnings("ignore:(invalid|overflow|divide by zero):RuntimeWarning")

CARD = known("sm_90", 132)
POISON = -77.0
WAYS = [
    Choice(cells=16, columns=16, depth=16),
    Choice(cells=16, columns=16, depth=16, store="rows", repack=True),
    Choice(cells=16, columns=32, depth=16, store="pair", split=3),
    Choice("depthwise", 16, 8),
    Choice(cells=32, columns=16, depth=16, together=False, split=2, group=2),
    Choice("few", 16, 16, 16, stages=1, store="rows", padded=True, patch=4),
    Choice("depthwise", 64, 4, store="rows"),
    Choice("few", 16, 32, 16, stages=1, padded=True, patch=8),
    Choice("depthwise", 32, 4, store="pair"),
    Choice(cells=16, columns=16, depth=16, store="pair", padded=True),
]
NAMES = [f"{w.way}-{w.store}-{i}" for i, w in enumerate(WAYS)]
LAYERS = [case for case in CASES if case.geometry.ndim < 4]
SOME = {case.name: case for case in LAYERS}


def dense(shape: tuple[int, ...], dtype: torch.dtype, last: bool) -> Tensor:
    """Poisoned memory, channels-last or not."""
    if last:
        return torch.full((shape[0], *shape[2:], shape[1]), POISON, dtype=dtype).movedim(-1, 1)
    return torch.full(shape, POISON, dtype=dtype)


def made(task: Task, choice: Choice) -> Plan:
    found = plan(task, CARD, choice)
    assert isinstance(found, Plan), found
    return found


def task_of(case: Case, dtype: str = "float32", last: bool = False, **more: Any) -> Task:
    counts = case.batch, case.in_channels, case.out_channels, case.groups
    return Task(case.geometry, case.in_size, *counts, dtype, False, last, last, **more)


def computed(
    case: Case, choice: Choice, dtype: str = "float32", x: Tensor | None = None, y: Tensor | None = None
) -> Tensor:
    """The layer's result by kernels, in memory that was poisoned before."""
    last = choice.store == "columns"
    given, w, b = (torch.from_numpy(a).to(DTYPES[dtype]) for a in case.arrays(np.float32))
    if x is None:
        x = dense(tuple(given.shape), DTYPES[dtype], last)
    x.copy_(given)
    found = made(task_of(case, dtype, last), choice)
    shape = (case.batch, case.out_channels, *found.task.out_size)
    y = dense(shape, DTYPES[dtype], last) if y is None else y
    workspace = torch.full((found.workspace,), 255, dtype=torch.uint8)  # NaN in every dtype
    launch(found, x, pack(found.layout, w, b), y, workspace)
    return y


def defined(case: Case) -> Any:
    return taps.run(case.geometry, *case.arrays(np.float32), case.groups)


def same(y: Tensor, case: Case) -> bool:
    return np.array_equal(y.float().numpy(), defined(case))


@pytest.mark.parametrize("at", range(len(LAYERS)), ids=[case.name for case in LAYERS])
def test_some_ways_on_each_layer(at: int) -> None:
    for choice in [WAYS[(3 * at + step) % len(WAYS)] for step in range(1 + at % 2)]:
        assert same(computed(LAYERS[at], choice), LAYERS[at]), choice


@pytest.mark.slow
@pytest.mark.parametrize("choice", WAYS, ids=NAMES)
@pytest.mark.parametrize("case", LAYERS, ids=[case.name for case in LAYERS])
def test_all_ways_on_each_layer(case: Case, choice: Choice) -> None:
    assert same(computed(case, choice), case)
    assert same(computed(case, choice, "float16"), case)


@pytest.mark.parametrize("choice", WAYS, ids=NAMES)
def test_half_precision(choice: Choice) -> None:
    for name in ("kernel 3 stride 2 padding 1", "depthwise with multiplier"):
        assert same(computed(SOME[name], choice, "float16"), SOME[name])


@pytest.mark.parametrize("choice", [w for w in WAYS if w.way == "depthwise"])
def test_bfloat16_where_the_interpreter_computes_it(choice: Choice) -> None:
    """Its products of matrices of bfloat16 are wrong; without a GPU kernels with such products are only compiled."""
    assert same(computed(SOME["groups"], choice, "bfloat16"), SOME["groups"])


@pytest.mark.parametrize("choice", WAYS, ids=NAMES)
def test_offsets_of_64_bits(choice: Choice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strides, "FAR", 1)
    monkeypatch.setattr(arguments, "FAR", 1)
    assert same(computed(SOME["3-D mixed"], choice), SOME["3-D mixed"])


@pytest.mark.parametrize("choice", WAYS, ids=NAMES)
def test_views_with_gaps_and_odd_addresses(choice: Choice) -> None:
    """All of the view is written, and nothing between; an input may lie anyhow, too."""
    case = replace(SOME["kernel 4 stride 2 padding 1"], batch=2)
    shape, out = (2, 3, 3, 3), (2, 4, 6, 6)
    memory = torch.full((2, 9, 9, 17), POISON)
    views = memory[:, 1:5, 2:8, 1:13:2], memory[:, 3:9, :6, 7:11].movedim(3, 1), memory[:, 4:8, 1:7, 3:9]
    view = views[WAYS.index(choice) % 3]
    x = torch.full((2, 5, 4, 5), POISON)[:, 1:4, 1:, 1:4]
    assert view.shape == out and x.shape == shape
    assert same(computed(case, choice, x=x, y=view), case)
    view.fill_(POISON)
    assert (memory == POISON).all()
    cut = torch.full((2, 4, 6, 12), POISON)
    reversed_axes = torch.full((3, 3, 3, 2), POISON).permute(3, 2, 1, 0)
    assert same(computed(case, choice, x=reversed_axes, y=cut[..., 6:]), case)
    assert (cut[..., :6] == POISON).all()


@pytest.mark.parametrize("choice", WAYS, ids=NAMES)
def test_nan_and_inf_stay_where_the_definition_has_them(choice: Choice) -> None:
    for name in ("kernel 3 stride 2 padding 1", "kernel 5 stride 3 padding 2"):
        case = SOME[name]
        given, w, _ = case.arrays(np.float32)
        given[0, 0, 1, 1], given[0, 1, 3, 2] = np.nan, np.inf
        w[w == 0] = 1
        last = choice.store == "columns"
        x = dense(given.shape, torch.float32, last).copy_(torch.from_numpy(given))
        found = made(task_of(case, last=last, bias=False), choice)
        y = dense((1, case.out_channels, *found.task.out_size), torch.float32, last)
        launch(found, x, pack(found.layout, torch.from_numpy(w), None), y)
        with np.errstate(invalid="ignore"):
            expected = taps.run(case.geometry, given, w, None)
        assert np.isnan(expected).any() and not np.isnan(expected).all()
        assert np.array_equal(y.numpy(), expected, equal_nan=True)


@pytest.mark.parametrize("choice", [w for w in WAYS if w.way == "depthwise"])
def test_weights_that_are_not_finite_stay_where_the_definition_has_them(choice: Choice) -> None:
    case = SOME["depthwise"]
    x, w, b = case.arrays(np.float32)
    w[0, 0, 0, 0], w[1, 0, 3, 3], x[x == 0] = np.inf, np.nan, 1
    found = made(task_of(case), choice)
    y = dense((1, case.out_channels, *found.task.out_size), torch.float32, False)
    launch(found, torch.from_numpy(x), pack(found.layout, torch.from_numpy(w), torch.from_numpy(b)), y)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(y.numpy(), taps.run(case.geometry, x, w, b, case.groups), equal_nan=True)


ACTIVATIONS: dict[str, Any] = {
    "relu": torch.relu,
    "leaky_relu": lambda v: torch.nn.functional.leaky_relu(v, 0.3),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
}


@pytest.mark.parametrize("way", ["cells", "depthwise"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str, way: str) -> None:
    special = [0.0, -0.0, 1e-6, -1e-4, 0.2499, 0.2501, -90.0, 90.0, -200.0, float("inf"), -float("inf"), float("nan")]
    x = torch.cat([torch.tensor(special), torch.linspace(-6, 6, 116)]).reshape(1, 1, -1)
    task = Task(Geometry(1), (x.shape[2],), 1, 1, 1, 1, "float32", activation=name, slope=0.3)
    found = made(task, Choice(way, 16, 16, 16, store="rows"))
    y = torch.empty_like(x)
    launch(found, x, pack(found.layout, torch.ones(1, 1, 1), torch.zeros(1)), y)
    expected = ACTIVATIONS[name](x.double()).float()
    finite = torch.isfinite(expected)
    assert torch.equal(y[~finite].nan_to_num(5), expected[~finite].nan_to_num(5))
    error = (y - expected)[finite].abs()
    if name == "gelu":  # 1 + erf, which PyTorch computes, too, loses what is small
        assert error.max() < 5e-7
    else:
        assert (error / expected[finite].abs().clamp_min(1e-30)).max() < 2e-6


def test_the_bias_is_rounded_once_with_the_sum() -> None:
    """1 + 2^-11 is no number of half precision: rounded before the bias is added, the sum would be 0."""
    task = Task(Geometry(1), (3,), 1, 2, 1, 1, "float16")
    found = made(task, Choice(cells=16, columns=16, depth=16, store="rows"))
    x = torch.tensor([1.0, 2.0**-11], dtype=torch.float16).reshape(1, 2, 1).expand(1, 2, 3)
    y = torch.empty(1, 1, 3, dtype=torch.float16)
    packed = pack(found.layout, torch.ones(2, 1, 1, dtype=torch.float16), torch.tensor([-1.0], dtype=torch.float16))
    launch(found, x, packed, y)
    assert (y == 2.0**-11).all()


def test_nothing_is_launched_for_an_empty_batch_and_all_for_an_empty_input() -> None:
    case = SOME["empty batch"]
    assert computed(case, WAYS[0]).numel() == 0
    geometry = Geometry((3, 2), 2, 1, ((-2, 0), (-1, -1)))
    for choice in WAYS:
        found = made(Task(geometry, (0, 2), 1, 2, 3, 1, "float32"), choice)
        y = torch.full((1, 3, *found.task.out_size), POISON)
        launch(found, torch.empty(1, 2, 0, 2), pack(found.layout, torch.ones(2, 3, 3, 2), torch.arange(3.0)), y)
        assert torch.equal(y, torch.arange(3.0).reshape(1, 3, 1, 1).expand_as(y))


def test_what_does_not_fit_a_plan_is_refused() -> None:
    found = made(Task(Geometry(2, 2), (4,), 1, 8, 8, 1, "float32"), Choice(cells=16, depth=16, split=2))
    x, y = torch.zeros(1, 8, 4), torch.zeros(1, 8, 8)
    packed = pack(found.layout, torch.zeros(8, 8, 2), torch.zeros(8))
    other = "the weights are packed for another layout than the plan's; pack them for this one"
    refused = [
        ((x[:, :7], packed, y), "the plan is for an input (1, 8, 4) of torch.float32, not (1, 7, 4) of torch.float32"),
        ((x, packed, y.half()), "the plan is for an output (1, 8, 8) of torch.float32, not (1, 8, 8) of torch.float16"),
        ((x.to("meta"), packed, y), "the tensors are on cpu and meta; move them to one device"),
        ((x, replace(packed, bias=None), y), other),
        ((x, replace(packed, layout=replace(packed.layout, rounded=True)), y), other),
    ]
    for arguments_, message in refused:
        with pytest.raises(LaunchError) as caught:
            Launcher(found, torch.device("cpu"))(*arguments_)
        assert str(caught.value) == message
    workspace = torch.zeros(found.workspace + 16, dtype=torch.uint8)
    odd = next(workspace[i : i + 8] for i in range(16) if (workspace.data_ptr() + i) % 16 == 8)
    with pytest.raises(LaunchError) as caught:
        launch(found, x, packed, y, odd)
    message = f"the workspace has 8 bytes at {odd.data_ptr():#x}; the plan needs {found.workspace}, aligned to 16"
    assert str(caught.value) == message


def test_launchers_are_remembered_and_warm_without_a_device() -> None:
    found = made(Task(Geometry(2, 2), (4,), 1, 8, 8, 1, "float32"), Choice(cells=16, depth=16))
    device = torch.device("cpu")
    warm(found, device)
    assert launcher(found, device) is launcher(found, device)
