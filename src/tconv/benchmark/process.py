"""A contender in a process of its own: threads that spin while they wait for work would slow down the others.

A process that is not at its turn sleeps on its standard input. Run as a program, this file is one contender:

    python -m tconv.benchmark.process torch 2       # answers every line of JSON with a line of JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Any

from tconv import errors
from tconv.benchmark.suite import Case

FLOOR = "floor"
PROGRAM = ("-m", "tconv.benchmark.process")
PAUSE = 0.03  # seconds between turns, in which the threads of the last one fall asleep

ISAS = {
    "avx2": {
        "TCONV_BACKEND": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "OV_CPU_MAX_ISA": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    }
}
"""Environment that holds the contenders, and the products under the floor, to an instruction set."""

HELD = (
    "tconv; torch (ATen, oneDNN, MKL); openvino (oneDNN's kernels, so every deconvolution; its own from the release "
    "on that heeds OV_CPU_MAX_ISA); jax (what XLA compiles, and oneDNN; not the kernels that it brings compiled)"
)
"""What these settings reach, as ONEDNN_VERBOSE=1, OpenVINO's runtime model and XLA's list of flags show."""

FREE = ("onnxruntime",)
"""Contenders that ask the processor what it can do, and have no setting."""


class Failed(errors.TconvError):
    """A contender could not do what it was asked."""


class Contestant:
    """The parent's end of one process; it is started when it is first asked, and again if it has died.

    Args:
        name: which contender.
        threads: that it may use.
        isa: instruction set to hold it to; default none.
        program: what Python runs, with name and threads as arguments; it calls `serve`.
    """

    def __init__(self, name: str, threads: int, isa: str | None = None, program: Sequence[str] = PROGRAM) -> None:
        self.name = name
        self._command = [sys.executable, *program, name, str(threads)]
        self._environment = os.environ | _environment(threads) | ISAS.get(isa or "", {})
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, do: str, case: Case | None = None) -> dict[str, Any]:
        """Let the process do something while all others sleep.

        Raises:
            Failed: it says that it cannot, or dies.
        """
        sleep(PAUSE)
        question = json.dumps({"do": do} | ({"case": asdict(case)} if case else {}))
        process = self._process = self._process or self._start()
        assert process.stdin and process.stdout
        try:
            process.stdin.write(question.encode() + b"\n")
            answer: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            self.close()
            raise Failed(f"the process stopped with status {process.returncode}") from None
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer

    def close(self) -> None:
        """End the process; without a question left to answer it ends by itself."""
        if self._process:
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Contestant:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if kind and self._process:
            self._process.kill()  # it may be in the middle of a long layer
        self.close()

    def _start(self) -> subprocess.Popen[bytes]:
        quiet = None if os.environ.get("TCONV_DEBUG") else subprocess.DEVNULL
        pipe = subprocess.PIPE
        return subprocess.Popen(self._command, bufsize=0, stdin=pipe, stdout=pipe, stderr=quiet, env=self._environment)


def _environment(threads: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return dict.fromkeys(names, str(threads)) | {"JAX_PLATFORMS": "cpu"}


def cores(count: int) -> set[int]:
    """`count` of the CPUs that this process may run on, no two on one core while there is a core left."""
    allowed = sorted(os.sched_getaffinity(0))
    order = sorted(allowed, key=lambda cpu: (_place_on_core(cpu), cpu))
    return set(order[:count])


def _place_on_core(cpu: int) -> int:
    """0 for the first CPU of a core, 1 for its hyperthread."""
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    siblings = path.read_text() if path.exists() else str(cpu)
    return [int(sibling) for sibling in siblings.replace("-", ",").split(",")].index(cpu)


def serve(make: Callable[[], Any], threads: int) -> None:
    """Be a contender until standard input ends: a question names the method of what `make` returns that answers it."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not end up among the answers
    os.sched_setaffinity(0, cores(threads))  # not every library can be told a number of threads
    worker: Any = None
    for line in sys.stdin:
        question = json.loads(line)
        try:
            worker = worker or make()
            answer = getattr(worker, question["do"])(*_case(question))
        except Exception as error:
            answer = {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
        print(json.dumps(answer), file=answers, flush=True)


def _worker(name: str, threads: int) -> Any:
    """Imported here: the parent needs neither."""
    from tconv.benchmark.floor import Floor
    from tconv.benchmark.worker import Worker

    return Floor(threads) if name == FLOOR else Worker(name, threads)


def _case(question: dict[str, Any]) -> list[Case]:
    if "case" not in question:
        return []
    fields = question["case"]
    return [Case(**fields | {"in_size": tuple(fields["in_size"])})]


if __name__ == "__main__":
    serve(lambda: _worker(sys.argv[1], int(sys.argv[2])), int(sys.argv[2]))
