"""`tconv bench` as a whole: a real tiny run, a missing peer, wrong options. Nothing here depends on how fast it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmark import fake

from tconv import cli, extras
from tconv.benchmark import clock, measure, process, worker
from tconv.benchmark.suite import SUITE, Case
from tconv.cli import bench

TINY = Case("tiny", "", 1, 2, 2, (3, 3), 2, 2)


def test_a_real_run(tmp_path: Path) -> None:
    code = "from tconv.cli import main; main()"
    options = ["--only", "seed 16", "--peers", "none", "--repeat", "1", "--threads", "1", "-o", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", code, "bench", *options], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "seed 16->16 down/up" in done.stdout and "torch" not in done.stdout.splitlines()[1]
    assert "below 0.95x the best peer: none" in done.stdout
    (path,) = (tmp_path / "out").glob("*.json")
    (row,) = json.loads(path.read_text())["rows"]
    assert set(row["seconds"]) == {"tconv_cf", "tconv_cl"} and max(row["errors"].values()) < 1e-6
    assert path.with_suffix(".md").read_text().startswith("# Benchmark")


def test_the_smaller_measurements() -> None:
    with process.Contestant("tconv_cf", 1) as contestant:
        assert set(contestant.ask("sizes", TINY)) == {"new", "changing", "fixed"}
        assert len(contestant.ask("callers", TINY)["rates"]) == len(worker.CALLERS)
        assert contestant.ask("memory", TINY)["growth"] >= 0


def test_a_forced_instruction_set_reaches_the_contender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_row", lambda case, floor, contestants, rounds: contestants)
    results = measure.run([TINY], ["onnxruntime"], isa="avx2")
    assert results.free == ["onnxruntime"] and results.about["backend"] == "avx2"
    assert not measure.run([TINY], ["onnxruntime"]).free
    for contestant in results.rows[0]:
        assert process.ISAS["avx2"].items() <= contestant._environment.items()


def test_a_missing_peer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "lacking", lambda name: ("jax",) if name == "jax" else ())
    monkeypatch.setattr(measure, "_row", lambda case, floor, contestants, rounds: [c.name for c in contestants])
    results = measure.run([TINY], ["jax"])
    assert results.missing == {"jax": "jax not installed"}
    assert results.rows == [["tconv_cf", "tconv_cl"]]


def test_what_fails_is_left_out() -> None:
    """A contender that dies on a layer is started again for the next question."""
    contestant = process.Contestant("nobody", 1)
    with contestant, pytest.raises(process.Failed, match="KeyError: 'nobody'"):
        contestant.ask("turn")
    with process.Contestant("tconv_cf", 1) as contestant:
        contestant.ask("prepare", TINY)
        assert contestant._process
        contestant._process.kill()
        with pytest.raises(process.Failed, match="the process stopped with status -9"):
            contestant.ask("turn")
        assert contestant.ask("prepare", TINY)["error"] < 1e-6


def test_a_row_without_the_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def __init__(self, name: str, fails_at: str = "") -> None:
            self.name, self.fails_at = name, fails_at

        def ask(self, do: str, case: Case | None = None) -> dict[str, float]:
            if do == self.fails_at:
                raise process.Failed(do)
            return {"error": 1e-7, "seconds": 2.0, "gemm": 1e9, "copy": 1e9}

    contenders = [Fake("tconv_cf"), Fake("torch", "turn"), Fake("jax", "prepare"), Fake("openvino")]
    row = measure._row(TINY, Fake("floor"), contenders, 3)
    assert row.seconds == {"tconv_cf": 2.0, "openvino": 2.0}
    assert row.failed == {"torch": "turn", "jax": "prepare"}


def test_cores() -> None:
    one, two = process.cores(1), process.cores(2)
    assert len(one) == 1 and one <= two and process.cores(10**6) >= two


def test_clock() -> None:
    calls: list[None] = []
    seconds = clock.seconds_of_calls(lambda: calls.append(None), least=0)
    assert 1 <= len(seconds) == len(calls) - 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--only nothing", "--only 'nothing' matches no layer; the layers are seed 32->16, "),
        ("--peers torch,caffe", "--peers 'caffe' is unknown; choose among torch, torch_cl, onnxruntime, openvino, jax"),
        ("--peers ,", "--peers '' is unknown; "),
        ("--repeat 0", "--repeat 0 must be at least 1"),
        ("--threads -1", "--threads -1 must be at least 1"),
        ("--isa sse", "--isa 'sse' is unknown; choose avx2, or leave it out"),
        ("--repeat many", 'invalid value for --repeat: unable to convert "many" into int'),
        ("-o /dev/null/x", "/dev/null/x: a part of this path is a file, not a folder"),
    ],
)
def test_wrong_options(options: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["bench", *options.split()])
    err = capsys.readouterr().err
    assert left.value.code == 2 and err.count("\n") == 1
    assert err.startswith(f"tconv: {said}")


def test_a_system_that_holds_nobody(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delattr("os.sched_setaffinity")
    with pytest.raises(SystemExit):
        cli.main(["bench"])
    assert capsys.readouterr().err == (
        "tconv: the benchmark runs on Linux only: it holds each contender to processors of its own\n"
    )


def test_what_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def run(cases: list[Case], *rest: object) -> object:
        report: Callable[[str, int, int], None] = rest[-1]
        report(cases[0].name, 0, 1)
        return fake.results()

    monkeypatch.setattr(bench, "measure", run)
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as left:
        cli.main(["bench", "--only", SUITE[0].name, "-o", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert not left.value.code
    assert lines[1].split() == [
        *["layer", "floor", "tconv_cf", "tconv_cl", "torch", "torch_cl", "openvino"],
        *["cf/peer", "cl/peer", "cf/floor", "cl/floor", "error"],
    ]
    assert " ".join(lines[2].split()) == "up 20.0 40.0 25.0 80.0 20.0 60.0 1.50 0.80 2.00 1.25 1.2e-07"
    assert lines[-1] == f"no plot: it needs matplotlib: {extras.cure('bench')}"
    assert {path.name for path in tmp_path.iterdir()} == {"fake-tm-1-2026-01-02.json", "fake-tm-1-2026-01-02.md"}
