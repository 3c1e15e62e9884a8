"""The benchmarks of models and folds run, call any model, compare results, and say what they found."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
FORM = r"^\| (\w+) \| ([\d.]+) \| ([\d.]+) \| ([\d.e+-]+) \| ([\d.]+) \| (\d+) \| ([\d.]+) \|$"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The benchmarks' modules can be imported, and are forgotten afterwards, for their names are short."""
    monkeypatch.syspath_prepend(BENCH)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(BENCH) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


def module(name: str) -> ModuleType:
    return importlib.import_module(name)


def run(program: str, out: Path, *options: str) -> str:
    command = [sys.executable, BENCH / program, "--rounds", "1", "-o", out, *options]
    subprocess.run(command, capture_output=True, text=True, check=True)
    return out.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fsrcnn", "dcgan"])
def test_models(model: str, tmp_path: Path) -> None:
    contenders = ["torch", "torch_cl", "onnxruntime", "tconv"]
    text = run("models.py", tmp_path / "models.md", "--models", model, "--contenders", *contenders)
    rows = re.findall(FORM, text, re.MULTILINE)
    assert [row[0] for row in rows] == contenders
    assert all(float(row[3]) < 1e-4 for row in rows)
    assert "Errors against float64." in text and "Geometric mean of better eager / tconv over 1 models: " in text


@pytest.mark.slow
def test_what_takes_too_long_is_said(tmp_path: Path) -> None:
    options = ("--models", "fsrcnn", "--contenders", "torch", "compile", "--limit", "1")
    text = run("models.py", tmp_path / "models.md", *options)
    assert "| compile | failed: not ready after 1 s | | | | | |" in text and len(re.findall(FORM, text, re.M)) == 1


@pytest.mark.slow
def test_folds(tmp_path: Path) -> None:
    text = run("folds.py", tmp_path / "folds.md", "--folds", "nearest + conv", "transposed + Tanh", "--in-turns", "0")
    rows = re.findall(r"^\| (nearest \+ conv|transposed \+ Tanh) \|( [\d.]+ \|){6} ([\d.e-]+) \|$", text, re.MULTILINE)
    assert len(rows) == 2 and all(float(error) < 1e-5 for *_, error in rows)


@pytest.mark.slow
def test_in_turns(tmp_path: Path) -> None:
    text = run("folds.py", tmp_path / "turns.md", "--folds", "--in-turns", "2")
    rows = re.findall(r"^\| 64 channels, 48 x 48 \| (torch|swapped) \|(?: [\d.]+ \|){5}$", text, re.MULTILINE)
    assert rows == ["torch", "swapped"]


@pytest.mark.usefixtures("bench")
def test_every_package_is_in_the_extra() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["models"]
    named = {re.split(r"[\[>=<]", requirement)[0] for requirement in extra}
    packages = {entry.package for entry in module("zoo").MODELS.values() if entry.package}
    assert packages <= named
    assert len(packages) >= 6


def race(**each: dict[str, Any]) -> dict[str, Any]:
    kinds = {"modules": 3, "convolutions": 2, "transposed": 0}
    return {"expected": {"precision": "float64", "kinds": kinds}, "each": each}


def ran(seconds: float, error: float = 1e-6) -> dict[str, Any]:
    return {"seconds": seconds, "error": error, "peak": 100.4, "ready": 1.25}


@pytest.mark.usefixtures("bench")
def test_table_of_a_model() -> None:
    zoo, tables = module("zoo"), module("tables")
    entry = zoo.Entry("pack", "Net; 1 x 3", lambda: (nn.Identity(), torch.ones(1)))
    each = {"torch": ran(0.2), "torch_cl": ran(0.1), "compile": {"failed": "a|b"}, "tconv": ran(0.05, 3e-6)}
    assert tables.model_table("net", entry, race(**each)) == (
        "### net\n\npack: Net; 1 x 3. 3 modules, 2 convolutions. Errors against float64.\n\n"
        "| contender | ms | better eager / it | largest error | error / eager's | peak MB | ready s |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| torch | 200.0 | 0.50 | 1.0e-06 | 1.0 | 100 | 1.2 |\n"
        "| torch_cl | 100.0 | 1.00 | 1.0e-06 | 1.0 | 100 | 1.2 |\n"
        "| compile | failed: a/b | | | | | |\n"
        "| tconv | 50.0 | 2.00 | 3.0e-06 | 3.0 | 100 | 1.2 |\n"
    )


@pytest.mark.usefixtures("bench")
def test_summary() -> None:
    tables = module("tables")
    races = {
        "good": race(torch=ran(0.4), tconv=ran(0.1)),
        "bad": race(torch=ran(0.1), tconv=ran(0.1, 2e-5)),
        "exact": race(torch=ran(0.1, 0.0), tconv=ran(0.1)),
        "broken": race(torch=ran(0.1), tconv={"failed": "no"}),
    }
    assert tables.summary(races) == (
        "| model | torch ms | tconv ms | better eager / tconv | error / eager's |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| good | 400.0 | 100.0 | 4.00 | 1.0 |\n"
        "| bad | 100.0 | 100.0 | 1.00 | 20.0 |\n"
        "| exact | 100.0 | 100.0 | 1.00 |  |\n"
        "| broken | 100.0 | failed |  |  |\n"
        "\nGeometric mean of better eager / tconv over 3 models: 1.59; worst: bad, 1.00. "
        "Error beyond 10 times eager's: bad. Failed, and not in the mean: broken.\n"
    )
    assert tables.verdict({"alone": race(torch=ran(0.1))}) == ""


class Sum(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> dict[str, Any]:
        return {"sum": a + b, "noise": torch.rand(1), "whole": torch.ones(1, dtype=torch.long)}

    def minus(self, a: Tensor, b: Tensor) -> Tensor:
        return a - b


@pytest.mark.usefixtures("bench")
@pytest.mark.parametrize(
    "example", [(torch.ones(1), torch.ones(1)), {"b": torch.ones(1), "a": torch.ones(1)}], ids=["tuple", "dict"]
)
def test_any_call(example: Any) -> None:
    zoo, calling = module("zoo"), module("calling")
    entry = zoo.Entry("", "", lambda: (Sum(), example), random=True)
    model, example = zoo.made(entry)
    go = calling.runner(entry, calling.called(entry, model), example)
    first, second = calling.tensors(go()), calling.tensors(go())
    assert len(first) == 2 and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    flat = calling.Flat(entry, model, example)
    assert torch.equal(flat(*flat.inputs)[0], first[0])
    entry = zoo.Entry("", "", lambda: (Sum(), example), method="minus")
    assert calling.runner(entry, calling.called(entry, model), example)().item() == 0


@pytest.mark.usefixtures("bench")
def test_layout_and_precision() -> None:
    calling = module("calling")
    model, x = nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8)
    changed = calling.channels_last(model, {"x": x, "n": torch.ones(2, dtype=torch.long)})
    assert changed["x"].is_contiguous(memory_format=torch.channels_last)
    assert model.weight.is_contiguous(memory_format=torch.channels_last)
    changed = calling.double(model, (x, torch.ones(2, dtype=torch.long)))
    assert [each.dtype for each in changed] == [torch.float64, torch.int64] and model.weight.dtype == torch.float64


@pytest.mark.usefixtures("bench")
def test_errors() -> None:
    calling = module("calling")
    expected = [torch.tensor([4.0, 0]), torch.tensor([0.5], dtype=torch.float64), torch.zeros(0)]
    found = [torch.tensor([4.0, 1]), torch.tensor([0.25]), torch.zeros(0)]
    assert calling.largest_error(found, expected) == 0.5
    with pytest.raises(ValueError) as caught:
        calling.largest_error([torch.zeros(2)], [torch.zeros(3), torch.zeros(1)])
    assert str(caught.value) == "the results have shapes [(2,)], not [(3,), (1,)]"
