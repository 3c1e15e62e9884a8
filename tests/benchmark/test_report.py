"""Ratios, means and the report's text, on results with round numbers."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from benchmark import fake

from tconv.benchmark import machine, report
from tconv.benchmark.results import Results

MARKDOWN = """\
# Benchmark of the transposed convolution

- cpu: Fake (TM) 1
- threads: 2, on 2 CPUs
- backend: avx2
- date: 2026-01-02

## Verdict

- tconv_cf: 1.73x as fast as the best peer (geometric mean of 2 layers)
- tconv_cf: 2.00x as fast as torch (geometric mean of 2 layers)
- tconv_cf: 2.00x the floor's time (geometric mean of 2 layers)
- tconv_cf: a new input size in every call costs +10% at most (down)
- tconv_cl: 11.11x as fast as the best peer (geometric mean of 2 layers)
- tconv_cl: 3.58x as fast as torch (geometric mean of 2 layers)
- tconv_cl: 1.12x the floor's time (geometric mean of 2 layers)
- below 0.95x the best peer: up (tconv_cl 0.80)
- the better layout: 1.79x as fast as the best peer of any layout; below 0.95x: up (0.80)
- disturbed, the median of the rounds over 10% worse than the best: down (tconv_cl +50%), up (floor +11%)
- openvino failed on down: the process stopped with status -11
- jax left out: jax not installed
"""

LAYERS = """\
| layer | floor | tconv_cf | tconv_cl | torch | torch_cl | openvino | cf/peer | cl/peer | cf/floor | cl/floor | error |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| up | 20.0 | 40.0 | 25.0 | 80.0 | 20.0 | 60.0 | 1.50 | 0.80 | 2.00 | 1.25 | 1.2e-07 |
| down | 8.00 | 16.0 | 8.00 | 32.0 | 1,234 | - | 2.00 | 154.31 | 2.00 | 1.00 | 1.0e-07 |
"""

OTHERS = """\
| up | 100 | 10.0 | arithmetic | 1.2e-07 | 1.2e-07 | 1.2e-07 | 1.2e-07 | 1.2e-07 |
| down | 100 | 10.0 | memory | 1.0e-07 | 1.0e-07 | 1.0e-07 | 1.0e-07 | - |
| up | torch | 100 | +10% | +900% |
| up | tconv_cf | 20.0 | +0% | +5% |
| down | tconv_cf | 10.0 | -1% | +10% |
| up | torch | 1,000 | 4,000 | 16,000 |
| up | torch | 3.0 | 1.0 | 0.5 |
"""


def test_ratios() -> None:
    up, down = fake.results().rows
    assert (up.bound, down.bound) == ("arithmetic", "memory")
    assert (up.floor, down.floor) == (pytest.approx(20e-6), pytest.approx(8e-6))
    assert up.over_peer("tconv_cf") == pytest.approx(60 / 40)  # OpenVINO is faster than PyTorch
    assert up.over_peer("tconv_cl") == pytest.approx(20 / 25)
    assert down.to_floor("tconv_cl") == pytest.approx(1)
    del up.seconds["torch_cl"], down.seconds["tconv_cf"]
    assert up.over_peer("tconv_cl") is down.over_peer("tconv_cf") is down.to_floor("tconv_cf") is None


def test_a_time_below_the_floor_is_an_error_of_measurement() -> None:
    results = fake.results()
    results.rows[0].seconds["tconv_cl"] = 18e-6
    assert results.too_fast() == [("up", "tconv_cl", pytest.approx(0.9))]
    assert "below 0.95 floors, so that the floor itself was disturbed: up (tconv_cl 0.90)" in report.markdown(results)


def test_only_what_decides_counts_as_disturbed() -> None:
    """A peer that is not the fastest one may be as slow as it likes."""
    results = fake.results()
    results.rows[0].spread |= {"openvino": 3.0, "torch_cl": 0.2}
    assert results.disturbed() == [("down", "tconv_cl", pytest.approx(0.5)), ("up", "torch_cl", pytest.approx(0.2))]


def test_means_and_losses() -> None:
    results = fake.results()
    assert results.lost() == [("up", "tconv_cl", pytest.approx(0.8))]
    assert results.mean(lambda row: row.over_peer("tconv_cf")) == (pytest.approx(3**0.5), 2)
    assert Results({}).mean(lambda row: row.floor) is None


def test_markdown() -> None:
    text = report.markdown(fake.results())
    assert text.startswith(MARKDOWN)
    assert LAYERS in text
    rows = [line for line in text.splitlines() if line.startswith(("| up |", "| down |"))]
    assert rows[2:] == OTHERS.splitlines()


def test_a_report_without_peers() -> None:
    results = fake.results()
    results.rows, results.sizes, results.callers, results.memory = results.rows[1:], [], [], []
    for peer in ("torch", "torch_cl"):
        del results.rows[0].seconds[peer]
    assert list(report.verdict(results))[:3] == [
        "tconv_cf: 2.00x the floor's time (geometric mean of 1 layers)",
        "tconv_cl: 1.00x the floor's time (geometric mean of 1 layers)",
        "below 0.95x the best peer: none",
    ]
    assert [table.title for table in report.tables(results)] == ["Layers", "Floor and errors"]


def test_a_peer_that_could_not_be_held_back_is_left_out_once() -> None:
    results = fake.results()
    results.free = ["openvino"]
    lines = list(report.verdict(results))
    assert lines[0] == "tconv_cf: 1.73x as fast as the best peer (geometric mean of 2 layers)"
    assert lines[1] == "tconv_cf: 2.00x as fast as the best peer without openvino (geometric mean of 2 layers)"
    ratios = json.loads(report.to_json(results))["rows"][0]["ratios"]["tconv_cf"]
    assert ratios["as fast as the best peer without openvino"] == pytest.approx(2)


def test_the_header_says_what_was_forced() -> None:
    about = machine.about(datetime(2026, 1, 2), 3, 1, "avx2")
    assert about["isa"].startswith("avx2, forced by TCONV_BACKEND=avx2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=")
    assert about["held to it"].startswith("tconv; torch ") and about["cannot be held"] == "onnxruntime"
    free = machine.about(datetime(2026, 1, 2), 3, 1, None)
    assert free["isa"] == "best available" and not {"held to it", "cannot be held"} & set(free)


def test_json() -> None:
    data = json.loads(report.to_json(fake.results()))
    assert data["about"]["cpu"] == "Fake (TM) 1"
    assert data["rows"][0]["seconds"]["torch"] == 80e-6
    assert data["rows"][0]["ratios"]["tconv_cf"]["as fast as the best peer"] == pytest.approx(1.5)
    assert data["rows"][1]["bound"] == "memory"
    assert data["missing"] == {"jax": "jax not installed"}
    assert data["memory"][0]["growth"] == 3 * 2**20


def test_file_names() -> None:
    about = fake.results().about
    assert machine.file_stem(about, None) == "fake-tm-1-2026-01-02"
    assert machine.file_stem(about, "avx2") == "fake-tm-1-2026-01-02-avx2"


def test_plot(tmp_path: Path) -> None:
    from tconv.benchmark import plot

    plot.save(fake.results(), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
